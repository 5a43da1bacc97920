"""The routes of `/content/search`: GET for a query, POST for a text."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api import contract
from api.access.bodies import read_body
from api.access.callers import (
    CallerDep,
    LinksDep,
    Surface,
    SurfaceDep,
    caller_of,
    links_of,
    surface_of,
)
from api.access.checks import check_query_string, read_parameters
from api.access.keys import HEADER
from api.access.receipts import receiving
from api.content.media_links import MediaLinks
from api.customers.followed import named_topics
from api.envelope import Json, base
from api.formats.items import ItemView
from api.search.elsewhere import Answered, ReadRoute
from api.search.parameters import SearchParameters, TextParameters, search_request
from api.search.pasted_text import is_picture, most_bytes, text_in
from api.search.search_json import hits_json, page_links, search_data
from core.callers import Caller
from search.answers import SearchResponse


class SearchRoute(ReadRoute):
    """A route that is declared like every other, for the contract, but answered without FastAPI's
    dependency solver: it calls the same dependencies in the same order.
    """

    def answered_here(self) -> Answered:
        """Return the handler that answers in this process."""

        async def answer(request: Request) -> Response:
            await check_query_string(request)
            surface = await surface_of(request)
            key = request.headers.get(HEADER)
            caller = await caller_of(request, surface, key)
            links = await links_of(surface, key)
            return await search_content(request, surface, caller, links, read_parameters(request))

        return answer


router = APIRouter(tags=["search"], route_class=SearchRoute)


@router.get(
    "/content/search",
    summary="Search stories, pictures and video",
    response_model=None,
    responses=contract.answers(contract.SearchAnswer, 400, 401, 404, 410, 503),
)
async def search_content(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    links: LinksDep,
    parameters: Annotated[SearchParameters, Query()],
) -> Json:
    """One page of hits, one hit per story: its newest usable version that this key may see.

    `data.total_relation` says what `data.total_items` is: `exact`, `lower_bound` (at least so many)
    or `window` (the number of candidates). `data.cursor` goes on after this page. With
    `similar_to`, an item that does not exist and one that this key may not see give the same 404.
    """
    return await _answered(request, surface, caller, links, parameters)


class TextRoute(ReadRoute):
    """A route with a text as its body."""

    async def read(self, request: Request) -> bytes:
        """Return the body, as long as one with a text of a megabyte may be."""
        return await _read(request, await surface_of(request))


async def _read(request: Request, surface: Surface) -> bytes:
    seconds = surface.services.settings.body_timeout_seconds
    return await read_body(request, most_bytes(request), seconds)


text_router = APIRouter(tags=["search"], route_class=TextRoute)


@text_router.post(
    "/content/search",
    summary="Find coverage like a text, or pictures like a picture",
    response_model=None,
    dependencies=[Depends(check_query_string)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "image/*": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
    responses=contract.answers(contract.SearchAnswer, 400, 401, 404, 408, 410, 413, 503),
)
async def search_by_text(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    links: LinksDep,
    parameters: Annotated[TextParameters, Query()],
) -> Json:
    """The stories that are most like the text in the body, of at most a megabyte; or the pictures
    and videos that look like a picture in the body (`image/jpeg`, `image/png` or any other kind of
    image), of at most 16 MB.

    The text is never read as a query: it is reduced to 25 telling words and 8 passages, and
    `data.understood` says so. `application/json` may have it as `{"text": …}`; any other body is
    the text itself. The parameters are those of GET, without `q` and `similar_to`.
    """
    body = await _read(request, surface)
    if is_picture(request):
        return await _answered(request, surface, caller, links, parameters, picture=body or b" ")
    text = text_in(request, body)
    return await _answered(request, surface, caller, links, parameters, text)


async def _answered(
    request: Request,
    surface: Surface,
    caller: Caller,
    links: MediaLinks | None,
    parameters: SearchParameters | TextParameters,
    text: str = "",
    picture: bytes = b"",
) -> Json:
    asked = search_request(parameters, surface.services.settings.profiles)
    asked = replace(asked, text=text, picture=picture)
    include, exclude = frozenset(parameters.include), frozenset(parameters.exclude)
    receive = receiving(surface.services, caller, "search")
    view = ItemView(caller, include, exclude, links, receive=receive)

    def searched() -> tuple[SearchResponse, list[dict[str, Any]]]:
        found = surface.services.search.search(asked, caller)
        # Not in the event loop: a video has thousands of shots, each with signed links.
        items = hits_json(found.hits, view, surface.services.library, surface.services.forms)
        topics = named_topics(surface.services, [hit.item for hit in found.hits], caller)
        for item, named in zip(items, topics, strict=True):
            item["meta"] |= named
        return found, items

    found, items = await surface.reads.run(searched, caller)
    request.state.items = len(items)
    surface.metrics.searched(found.milliseconds, degraded=bool(found.degraded))
    pages = page_links(request.url.path, request.query_params.multi_items(), found)
    envelope = base(request, org_name=caller.name)
    if parameters.session_label:
        envelope["session_label"] = parameters.session_label
    envelope["data"] = search_data(found, asked.q, pages, items, caller)
    return Json(envelope)
