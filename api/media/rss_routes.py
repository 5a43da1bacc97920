"""AP's operations `/content/rss`: the list of RSS feeds, and each of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.access.callers import CallerDep, Surface, SurfaceDep
from api.access.checks import no_parameters
from api.customers.rss_routes import feed_document, feed_list
from api.envelope import delivered
from api.media.contract import served
from api.media.links import PREFIX, addresses_of
from api.media.parameters import PAGE_SIZE, Fields, PageSize
from api.media.sold import sold_to
from core.callers import Caller
from core.query_tree import Keyword
from customers.rss import RssFeed

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
    """One for each entitlement, by its number, and one for each followed topic."""
    root = addresses_of(request).base + PATH
    read = partial(feed_list, surface, caller, _sold(surface, caller), root)
    return delivered(request, await surface.reads.run(read, caller), XML)


@served(router, f"{PATH}/{{rss_id}}", "AP: an RSS feed", _FOUND)
async def one_feed(
    request: Request,
    rss_id: str,
    surface: SurfaceDep,
    caller: CallerDep,
    asked: Annotated[RssAsked, Query()],
) -> Response:
    """The newest items of an entitlement or of a followed topic that this key may see now."""
    root, products, shows = (
        addresses_of(request).base,
        _sold(surface, caller),
        partial(_told, asked),
    )
    read = partial(feed_document, surface, caller, products, rss_id, asked.page_size, root, shows)
    return delivered(request, await surface.reads.run(read, caller), XML)


def _sold(surface: Surface, caller: Caller) -> tuple[RssFeed, ...]:
    """Return a feed for each entitlement of a caller, by the number that `/account/plans` tells."""
    return tuple(
        RssFeed(
            one.id,
            one.name,
            f"The newest items of {one.name}",
            filters=Keyword("product", one.products),
        )
        for one in sold_to(surface.services, caller)
    )


def _told(asked: RssAsked, member: str) -> bool:
    """Return whether the parameters ask for a member of items."""
    include, exclude = map(_members, (asked.include, asked.exclude))
    return (not include or not include.isdisjoint({member, "*"})) and member not in exclude


def _members(names: Sequence[str]) -> frozenset[str]:
    """Return an item's members as RSS has them, with one description."""
    found = (name.partition(".")[0] for name in names)
    return frozenset("description" if one.startswith("description") else one for one in found)
