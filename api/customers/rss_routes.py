"""Routes of an account's RSS feeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import contract
from api.access.callers import CallerDep, Surface, SurfaceDep
from api.access.checks import no_parameters
from api.access.forwarding import origin_of
from api.access.receipts import receiving
from api.customers.rss_xml import MEDIA_TYPE, feed_xml, list_xml
from api.customers.topic_routes import topics_of
from api.envelope import delivered
from core.callers import Caller
from core.errors import NotFoundError
from customers.rss import MOST_ITEMS, RssFeed, feed_of, followed, newest, numbered_products

router = APIRouter(tags=["RSS"])
PATH = "/content/rss"
_ONE = f"{PATH}/{{rss_id}}"
_XML: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {}}, "description": "RSS 2.0"},
    304: {"description": "Nothing is new; see If-None-Match"},
}


class RssParameters(BaseModel):
    """What `GET /content/rss/{rss_id}` takes."""

    model_config = ConfigDict(extra="forbid")

    page_size: int = Field(default=20, ge=1, le=MOST_ITEMS, description="How many items.")


@router.get(
    PATH,
    summary="The RSS feeds of your account",
    response_class=Response,
    responses=contract.answers(None, 400, 401, 404, 503) | _XML,
    dependencies=[Depends(no_parameters)],
)
async def list_feeds(request: Request, surface: SurfaceDep, caller: CallerDep) -> Response:
    """One for each of your products that has a number, and one for each topic you follow."""
    root = origin_of(request) + PATH
    read = partial(feed_list, surface, caller, numbered_products(caller), root)
    return delivered(request, await surface.reads.run(read, caller), MEDIA_TYPE)


def feed_list(surface: Surface, caller: Caller, products: Sequence[RssFeed], root: str) -> bytes:
    """Return the list of the feeds of products and of topics, whose addresses begin with `root`."""
    feeds = (*products, *followed(caller, topics_of(surface)))
    return list_xml(feeds, root, [f"{root}/{feed.id}" for feed in feeds])


@router.get(
    _ONE,
    summary="An RSS feed",
    response_class=Response,
    responses=contract.answers(None, 400, 401, 404, 503) | _XML,
)
async def show_feed(
    request: Request,
    rss_id: str,
    surface: SurfaceDep,
    caller: CallerDep,
    parameters: Annotated[RssParameters, Query()],
) -> Response:
    """The newest items of a product or of a followed topic that this key may see now."""
    root, products = origin_of(request), numbered_products(caller)
    count = parameters.page_size
    read = partial(feed_document, surface, caller, products, rss_id, count, root)
    return delivered(request, await surface.reads.run(read, caller), MEDIA_TYPE)


def feed_document(
    surface: Surface,
    caller: Caller,
    products: Sequence[RssFeed],
    rss_id: str,
    count: int,
    root: str,
    shows: Callable[[str], bool] = lambda _: True,
) -> bytes:
    """Return a feed with those members of items that `shows` says; addresses of items are
    `{root}/content/{uri}`. Raises NotFoundError.
    """
    if not (rss_id.isascii() and rss_id.isdigit() and len(rss_id) < 12):
        raise NotFoundError(f"There is no RSS feed '{rss_id[:40]}'.", mend="Its id is a number.")
    feed = feed_of((*products, *followed(caller, topics_of(surface))), int(rss_id))
    items = newest(feed, surface.services.search, caller, count)
    receiving(surface.services, caller, "rss")(items)
    pages = [f"{root}/content/{quote(item.uri, safe=':')}" for item in items]
    return feed_xml(feed, items, f"{root}{PATH}/{feed.id}", pages, shows)
