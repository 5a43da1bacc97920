"""AP's operations on content: search, single items, downloads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import RedirectResponse, Response

from api.access.callers import CallerDep, LinksDep, Surface, SurfaceDep
from api.access.receipts import receiving
from api.access.services import Services
from api.content.media_links import ORIGINAL, PREVIEW, THUMBNAIL, MediaLinks
from api.contract import NinjsAnswer
from api.customers.followed import named_topics
from api.customers.ordering import order_rendition
from api.envelope import delivered
from api.formats.items import ItemView
from api.formats.ninjs import VERSIONS, ninjs
from api.formats.renditions import MEDIA_TYPES, NEWSML, text_rendition
from api.formats.texts import NITF, PLAIN
from api.media.account_routes import title_of
from api.media.answers import answer, now
from api.media.contract import TEXTS, MediaAnswer, served
from api.media.items import asked_view, contents_of
from api.media.links import PREFIX, Addresses, addresses_of
from api.media.parameters import DownloadAsked, ItemAsked, Priced, SearchAsked
from api.media.sold import costly_in, in_our_words, included_only, prices_of, products_json, sold_to
from api.problems import ParameterError, no_item
from api.search.elsewhere import ReadRoute
from core.callers import Caller
from core.errors import NotFoundError, QueryError
from core.items import Item, ItemType, itemid_of
from core.query_tree import EVERYTHING
from core.retrieval import SortOrder
from search.answers import DateUse, EntityUse, SearchRequest, SearchResponse
from search.understanding.language import why_unreadable

router = APIRouter(prefix=PREFIX, tags=["AP Media API: content"], route_class=ReadRoute)
_ITEM = "/content/{item_id:path}"
_DOWNLOAD = "/content/{item_id:path}/download"
PARAMETERS: dict[str, type[BaseModel]] = {
    f"{PREFIX}/content/search": SearchAsked,
    f"{PREFIX}{_ITEM}": ItemAsked,
    f"{PREFIX}{_DOWNLOAD}": DownloadAsked,
}
_OWN = {"main": ORIGINAL, "preview": PREVIEW, "thumbnail": THUMBNAIL}
_MAIN = "main"
_READABLE = "close each quotation mark and bracket, and put a text with other signs into quotes"
_NINJS = {"ninjs": "", **{f"ninjs-{version}": version for version in VERSIONS}}
_FORMS = {
    "json": "",
    "nitf": NITF,
    "newsmlg2": NEWSML,
    "text": PLAIN,
    "plain": PLAIN,
}  # -> a rendition


@served(router, "/content/search", "AP: search")
async def search(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    links: LinksDep,
    asked: Annotated[SearchAsked, Query()],
) -> Response:
    """One page of what a query finds. `next_page` goes on with the same list, for ten minutes."""
    addresses = addresses_of(request)
    receive = receiving(surface.services, caller, "search")
    view = asked_view(caller, asked.include, asked.exclude, links, addresses, receive=receive)
    services = surface.services

    def found() -> tuple[SearchResponse, list[dict[str, Any]]]:
        if why := why_unreadable(asked.q):
            raise QueryError(f"the query can't be read: {why}", mend=_READABLE)
        response = services.search.search(_wanted(asked, services, caller), caller)
        items = [hit.item for hit in response.hits]
        scores = [{"score": round(float(hit.score), 3)} for hit in response.hits]
        ids = [hit.id for hit in response.hits]
        return response, results(items, scores, view, asked, services, ids)

    response, told = await surface.reads.run(found, caller)
    request.state.items = len(told)
    surface.metrics.searched(response.milliseconds, degraded=bool(response.degraded))
    data = {
        "query": asked.q,
        "updated": now(),
        "page_size": response.page_size,
        "total_items": max(response.total.value, response.depth),
        "current_page": response.page,
        "current_item_count": len(told),
        **_pages(request, response, addresses),
        "items": told,
    }
    title = title_of(services, caller)
    return answer(request, title, data, session_label=asked.session_label or "")


def _wanted(asked: SearchAsked, services: Services, caller: Caller) -> SearchRequest:
    """Return the search that AP's parameters ask for."""
    return SearchRequest(
        q=in_our_words(asked.q, sold_to(services, caller)),
        filters=included_only(services, caller) if asked.in_my_plan else EVERYTHING,
        order=SortOrder(asked.sort),
        page=asked.page,
        page_size=asked.page_size,
        cursor=asked.qt,
        highlight=False,
    )


def _pages(request: Request, response: SearchResponse, addresses: Addresses) -> dict[str, str]:
    """Return the links to other pages, and to the feed of the same query."""
    given = request.query_params.multi_items()
    kept = [(name, value) for name, value in given if name not in ("page", "qt")]

    def link(page: int | str, *more: tuple[str, str]) -> str:
        return addresses.of("/content/search", [*kept, ("page", str(page)), *more])

    followed = [pair for pair in kept if pair[0] != "sort"]
    pages = {
        "page_template": link("{page}"),
        "feed_href": addresses.of("/content/feed", followed),
    }
    if response.cursor:
        pages["next_page"] = link(response.page + 1, ("qt", response.cursor))
    if response.page > 1:
        pages["previous_page"] = link(response.page - 1)
    return pages


def results(
    items: Sequence[Item],
    metas: Sequence[dict[str, Any]],
    view: ItemView,
    asked: Priced,
    services: Services,
    ids: Sequence[int] = (),
) -> list[dict[str, Any]]:
    """Return the `contentresult` of each item."""
    costly = costly_in(services, view.caller, items) if asked.in_my_plan else ()
    versions = [*zip(ids or [0] * len(items), items, strict=True)]
    contents = contents_of(versions, view, services.library, services.forms, costly)
    sold, topics = sold_to(services, view.caller), named_topics(services, items, view.caller)
    prices = prices_of(services, view.caller, items) if asked.pricing else [None] * len(items)
    return [
        {
            "meta": {
                **meta,
                "products": products_json(item, sold),
                **followed,
                **({"pricing": price.as_ap()} if price else {}),
            },
            "item": told,
        }
        for item, meta, followed, price, told in zip(
            items, metas, topics, prices, contents, strict=True
        )
    ]


@dataclass(frozen=True, slots=True)
class Named:
    """What the path of a request names: an item, and a version of it, 0 for the newest."""

    item: Item
    version: int = 0


@served(router, _DOWNLOAD, "AP: a rendition of an item", {"content": TEXTS})
async def download(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    links: LinksDep,
    item_id: str,
    asked: Annotated[DownloadAsked, Query()],
) -> Response:
    """Leads to a rendition of an item: `rid` is its name among the item's `renditions`."""
    services = surface.services

    def read() -> Response:
        item = found_item(services, item_id, caller).item
        rendition = _rendition(item, asked)
        made = rendition in MEDIA_TYPES
        address = "" if made else _address(item, rendition, caller, links, request, services)
        if not made and not address:
            raise NotFoundError(
                f"The item has no rendition '{rendition[:80]}' for this key.",
                mend="The item's member renditions lists those that there are.",
            )
        name = _OWN.get(rendition, rendition)
        if request.method == "GET" and name not in (PREVIEW, THUMBNAIL):
            order_rendition(services, caller, item, name, asked.price, asked.currency)
        receiving(services, caller, "download", synced=True)([item])
        if address:
            return RedirectResponse(address, 302)
        body = text_rendition(rendition, item, caller, services.library)
        return delivered(request, body, MEDIA_TYPES[rendition])

    return await surface.reads.run(read, caller)


def _rendition(item: Item, asked: DownloadAsked) -> str:
    """Return the name of the rendition that is asked for: as it is, by AP's format, or the item's
    main one, which is the text of a story, and the file of anything else.
    """
    named = asked.rid.lower() or asked.format.lower()
    if named and named != _MAIN:
        return named
    return NITF if item.media is None and item.type is ItemType.TEXT else _MAIN


def _address(
    item: Item,
    rendition: str,
    caller: Caller,
    links: MediaLinks | None,
    request: Request,
    services: Services,
) -> str:
    """Return the address of a file of an item: of ours, one signed for this key, which asks the
    guard again; of a file that lies elsewhere, what the item's document says. "" for none.
    """
    addresses = addresses_of(request)
    if item.media is not None:
        whole = links and replace(links, root_path=addresses.origin)
        return whole.of(item.uri, _OWN[rendition]) if whole and rendition in _OWN else ""
    view = ItemView(caller, ["renditions"], links=links, whole=True, addresses=addresses)
    told = contents_of([(0, item)], view, services.library, services.forms)[0]
    named = {name.lower(): one for name, one in told.get("renditions", {}).items()}
    href = str(named.get(rendition, {}).get("href", ""))
    return href if href.startswith(("https://", "http://")) else ""


@served(router, _ITEM, "AP: one item", {"model": MediaAnswer | NinjsAnswer, "content": TEXTS})
async def content(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    links: LinksDep,
    item_id: str,
    asked: Annotated[ItemAsked, Query()],
) -> Response:
    """One item by AP's itemid or by its uri, the newest version; `{itemid}.{version}` names one."""
    if asked.format.lower() in _NINJS:
        return await _ninjs(request, surface, caller, links, item_id, asked)
    form = _FORMS.get(asked.format.lower())
    if form is None:
        raise ParameterError(
            f"There is no format '{asked.format}'.",
            field="format",
            mend=f"Use one of {', '.join((*_FORMS, *_NINJS))}.",
        )
    if form:
        return await download(request, surface, caller, links, item_id, DownloadAsked(rid=form))
    addresses, services = addresses_of(request), surface.services
    receive = receiving(services, caller, "item")
    view = asked_view(
        caller, asked.include, asked.exclude, links, addresses, receive=receive, whole=True
    )

    def read() -> dict[str, Any]:
        named = found_item(services, item_id, caller)
        items = [named.item]
        if asked.versions == "all":
            items += services.library.chain(named.item.uri, caller)
        data, *before = results(items, [{}] * len(items), view, asked, services)
        return {**data, "versions": before} if asked.versions == "all" else data

    request.state.items = 1
    return answer(request, title_of(services, caller), await surface.reads.run(read, caller))


async def _ninjs(
    request: Request,
    surface: Surface,
    caller: Caller,
    links: MediaLinks | None,
    item_id: str,
    asked: ItemAsked,
) -> Response:
    """Return the item alone, as ninjs of its own version or of the one that `format` names."""
    version, services = _NINJS[asked.format.lower()], surface.services
    whole = links and replace(links, root_path=addresses_of(request).origin)

    def read() -> dict[str, Any]:
        item = found_item(services, item_id, caller).item
        receive = receiving(services, caller, "item")
        return ninjs(item, caller, services.library, version, whole, receive).document

    body = orjson.dumps(await surface.reads.run(read, caller))
    return delivered(request, body, "application/json")


def found_item(services: Services, item_id: str, caller: Caller) -> Named:
    """Return the item that a path names, with or without a version. Raises NotFoundError, with the
    same message whatever hides the item.
    """
    if (item := _by_id(services, item_id, caller)) is not None:
        return Named(item)
    name, dot, number = item_id.rpartition(".")
    if dot and number.isascii() and number.isdigit() and len(number) < 10:
        item = _by_id(services, name, caller)
        if item is not None and item.version != int(number):
            chain = services.library.chain(item.uri, caller)
            same = (one for one in chain if one.uri == item.uri and one.version == int(number))
            item = next(same, None)
        if item is not None:
            return Named(item, int(number))
    raise no_item(item_id)


def _by_id(services: Services, item_id: str, caller: Caller) -> Item | None:
    """Return the item with this uri, else the one that has it as AP's itemid."""
    if (item := services.library.item(item_id, caller)) is not None or not item_id:
        return item
    quoted = item_id.replace("\\", "\\\\").replace('"', '\\"')
    asked = SearchRequest(
        q=f'itemid:"{quoted}"',
        profile="lexical",
        page_size=1,
        entities=EntityUse.OFF,
        dates=DateUse.OFF,
        highlight=False,
    )
    try:
        hits = services.search.search(asked, caller).hits
    except QueryError:  # too long for a query, so it is nobody's id
        return None
    return next((hit.item for hit in hits if itemid_of(hit.item) == item_id), None)
