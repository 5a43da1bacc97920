"""The route `GET /v1/suggest`: completions of an unfinished text."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api import contract
from api.access.callers import CallerDep, SurfaceDep
from api.envelope import Json, base
from api.search.elsewhere import ReadRoute
from core.errors import NotFoundError
from search.suggest import MAX_SUGGESTIONS, MAX_TYPED_CHARACTERS

PATH = "/v1/suggest"
router = APIRouter(tags=["search"], route_class=ReadRoute)


class SuggestParameters(BaseModel):
    """What `GET /v1/suggest` takes."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(
        default="",
        max_length=MAX_TYPED_CHARACTERS,
        description=f"What was typed so far, at most {MAX_TYPED_CHARACTERS} characters; the last "
        "word may be the beginning of one.",
    )
    limit: int = Field(
        default=10,
        ge=1,
        le=MAX_SUGGESTIONS,
        description=f"How many suggestions, 1 to {MAX_SUGGESTIONS}.",
    )


@router.get(
    PATH,
    summary="Complete names, subjects and headlines while they are typed",
    response_model=None,
    responses=contract.answers(contract.SuggestAnswer, 400, 401, 404, 503),
)
async def suggest(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    parameters: Annotated[SuggestParameters, Query()],
) -> Json:
    """Names of people, organisations and places, subjects and headlines that have every word of
    `q`, best first. `count` is the number of stories with it that this key may see at this moment.
    """
    suggester = surface.services.suggest
    if suggester is None:
        raise NotFoundError("This service makes no suggestions.", mend="Search for the words.")
    found = await surface.reads.run(
        partial(suggester.suggest, parameters.q, parameters.limit, caller), caller
    )
    items = [{"text": one.text, "kind": one.kind.value, "count": one.count} for one in found]
    data = {"query": parameters.q, "items": items}
    return Json(base(request, org_name=caller.name, data=data))
