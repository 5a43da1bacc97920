"""The route `GET /content/search`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api import contract
from api.access.callers import CallerDep, LinksDep, SurfaceDep, caller_of, links_of, surface_of
from api.access.checks import check_query_string, read_parameters
from api.access.keys import HEADER
from api.access.receipts import receiving
from api.customers.followed import named_topics
from api.envelope import Json, base
from api.formats.items import ItemView
from api.search.elsewhere import Answered, ReadRoute
from api.search.parameters import SearchParameters, search_request
from api.search.search_json import hits_json, page_links, search_data
from search.answers import SearchResponse


class SearchRoute(ReadRoute):
    """A route that is declared like every other, for the contract, but answered without FastAPI's
    dependency solver: it calls the same dependencies in the same order.
    """

    def answered_here(self) -> Answered:
        """The handler that answers in this process."""

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
    asked = search_request(parameters, surface.services.settings.profiles)
    include, exclude = frozenset(parameters.include), frozenset(parameters.exclude)
    receive = receiving(surface.services, caller, "search")
    view = ItemView(caller, include, exclude, links, receive=receive)

    def searched() -> tuple[SearchResponse, list[dict[str, Any]]]:
        found = surface.services.search.search(asked, caller)
        # Not in the event loop: a video has thousands of shots, each with signed links.
        items = hits_json(found.hits, view, surface.services.library)
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
    envelope["data"] = search_data(found, parameters.q, pages, items, caller)
    return Json(envelope)
