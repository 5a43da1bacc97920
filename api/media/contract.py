"""The shapes of AP's answers for our OpenAPI document, and the declaration of their routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.formats.renditions import MEDIA_TYPES
from api.media.codes import CODES

Handler = TypeVar("Handler", bound=Callable[..., Any])


class MediaBase(BaseModel):
    """AP's `baseresponse`."""

    model_config = ConfigDict(extra="allow")

    api_version: str
    id: str
    method: str
    params: dict[str, Any]


class MediaAnswer(MediaBase):
    """A successful answer; AP's contract describes `data` of each operation."""

    data: dict[str, Any]


class MediaErrorDetail(BaseModel):
    """What went wrong; `message` says everything. docs/api.md lists the codes."""

    model_config = ConfigDict(extra="allow")

    status: int
    code: int
    message: str
    timestamp: str


class MediaError(MediaBase):
    """AP's `errorresponse`."""

    error: MediaErrorDetail


_STATUSES = sorted({code.status for code in CODES})
_MEANINGS = {
    status: "; or ".join(code.means for code in CODES if code.status == status)
    for status in _STATUSES
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": MediaAnswer, "description": "The answer"},
    302: {"description": "A file, at an address that is signed for the key"},
    304: {"description": "The client has it already"},
    **{
        status: {"model": MediaError, "description": _MEANINGS[status].capitalize()}
        for status in _STATUSES
    },
}
TEXTS: dict[str, Any] = {kind.partition(";")[0]: {} for kind in MEDIA_TYPES.values()}


def served(
    router: APIRouter, path: str, summary: str, found: Any = None, **more: Any
) -> Callable[[Handler], Handler]:
    """Declare a route for GET and for HEAD; `found` is the 200 of a route that has more forms."""

    def declared(handler: Handler) -> Handler:
        responses = RESPONSES | ({200: {"description": "The answer", **found}} if found else {})
        told = {"response_model": None, "responses": responses, **more}
        router.get(path, summary=summary, **told)(handler)
        router.head(path, include_in_schema=False, response_model=None)(handler)
        return handler

    return declared
