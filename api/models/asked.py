"""What a request sends, its work in a thread of the models' pool, and the answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel

from api.access.callers import Surface
from api.access.checks import read_model
from api.envelope import Json
from api.models.served_models import Port, Served
from core.callers import Caller

DIGEST_HEADER = "x-model-digest"
Body = TypeVar("Body", bound=BaseModel)
Answer = TypeVar("Answer")


async def read(request: Request, surface: Surface, kind: type[Body]) -> Body:
    """Return the request's body; raises the errors of `read_model`."""
    settings = surface.services.settings
    return await read_model(request, kind, settings.max_body_bytes, settings.body_timeout_seconds)


async def computed(
    surface: Surface,
    caller: Caller,
    served: Served[Port],
    body: Body,
    work: Callable[[Served[Port], Body, int], Answer],
) -> Answer:
    """Return what `work` makes of the body with the model, in a thread of the models' pool."""
    limit = surface.services.settings.max_model_tokens
    return await surface.models.run(partial(work, served, body, limit), caller)


def answer(content: object, digest: str) -> Json:
    """Return an answer that says which files computed it."""
    return Json(content, headers={DIGEST_HEADER: digest})
