"""AP's operations `/content/rss`: the list of RSS feeds, and each of them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.access.callers import CallerDep, SurfaceDep
from api.access.checks import no_parameters
from api.customers.rss_routes import feed_document, feed_list
from api.envelope import delivered
from api.media.contract import served
from api.media.links import PREFIX, addresses_of
from api.media.parameters import PAGE_SIZE, Fields, PageSize

router = APIRouter(prefix=PREFIX, tags=["AP Media API: content"])
PATH = "/content/rss"
XML = "text/xml"
_FOUND: dict[str, Any] = {"content": {XML: {}}}


class RssAsked(Fields):
    """What `GET /media/v/content/rss/{rss_id}` takes."""

    page_size: PageSize = Field(default=PAGE_SIZE, description="Items, 1 to 100.")


PARAMETERS: dict[str, type[BaseModel]] = {f"{PREFIX}{PATH}/{{rss_id}}": RssAsked}


@served(router, PATH, "AP: the RSS feeds", _FOUND, dependencies=[Depends(no_parameters)])
async def feeds(request: Request, surface: SurfaceDep, caller: CallerDep) -> Response:
    """One for each product that has a number, and one for each followed topic."""
    root = addresses_of(request).base + PATH
    body = await surface.reads.run(partial(feed_list, surface, caller, root), caller)
    return delivered(request, body, XML)


@served(router, f"{PATH}/{{rss_id}}", "AP: an RSS feed", _FOUND)
async def one_feed(
    request: Request,
    rss_id: str,
    surface: SurfaceDep,
    caller: CallerDep,
    asked: Annotated[RssAsked, Query()],
) -> Response:
    """The newest items of a product or of a followed topic that this key may see now."""
    root = addresses_of(request).base
    read = partial(feed_document, surface, caller, rss_id, asked.page_size, root)
    body = await surface.reads.run(read, caller)
    return delivered(request, body, XML)
