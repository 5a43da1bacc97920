"""Items in AP's answers: as on our own routes, with absolute addresses in place of uris and of
signed links, and with the identifiers that clients keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zlib import crc32

from api.content.media_links import PATH as MEDIA_PATH
from api.formats.items import ItemView, items_json
from api.media.answers import tag_of
from api.media.links import Addresses
from core.callers import Caller
from core.items import Item
from core.ports import Library

_ALWAYS = ("uri", "altids", "version", "type")  # whatever `include` says
_EVERY = "*"


def itemid_of(item: Item) -> str:
    """AP's id of an item: `altids.itemid` of its document, else its uri."""
    altids = item.source.get("altids")
    if isinstance(altids, Mapping) and isinstance(found := altids.get("itemid"), str) and found:
        return found
    return item.uri


def product_id(code: str) -> int:
    """The integer that stands for a product's code: the code itself if it is a number."""
    if code.isascii() and code.isdigit() and len(code) <= 9:
        return int(code)
    return 1_000_000_000 + crc32(code.encode()) % 1_000_000_000


def products_of(item: Item, caller: Caller) -> list[dict[str, Any]]:
    """The item's products that the caller holds."""
    return [
        {"id": product_id(code), "name": code} for code in item.products if code in caller.products
    ]


def asked_view(
    caller: Caller, include: Iterable[str], exclude: Iterable[str], **more: Any
) -> ItemView:
    """The view of an item that `include` and `exclude` ask for; `*` includes everything."""
    wanted = frozenset(include)
    if _EVERY in wanted:
        return ItemView(caller, (), frozenset(exclude), **{**more, "whole": True})
    kept = frozenset(exclude) - set(_ALWAYS)
    return ItemView(caller, wanted and wanted | set(_ALWAYS), kept, **more)


def contents_of(
    items: Sequence[Item], view: ItemView, library: Library, addresses: Addresses
) -> list[dict[str, Any]]:
    """The `contentitem` of each item."""
    shown = [members for members, _ in items_json(items, view, library)]
    recorded = _recorded(shown, library, view.caller)
    return [
        _content(item, members, addresses, recorded)
        for item, members in zip(items, shown, strict=True)
    ]


def _recorded(
    shown: Iterable[Mapping[str, Any]], library: Library, caller: Caller
) -> Mapping[str, str]:
    """The itemids of the associated items that are recorded, by uri."""
    named = {
        str(one.get("uri")): ()
        for members in shown
        for one in _objects(members.get("associations"))
        if one.get("uri")
    }
    sights = library.sights(named, caller) if named else {}
    return {uri: itemid_of(sight.item) if sight.item else uri for uri, sight in sights.items()}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    entries = value.values() if isinstance(value, Mapping) else ()
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _content(
    item: Item, members: dict[str, Any], addresses: Addresses, recorded: Mapping[str, str]
) -> dict[str, Any]:
    itemid = itemid_of(item)
    told = dict(members)
    if "renditions" in told:
        told["renditions"] = _renditions(told["renditions"], item, itemid, addresses)
    if "associations" in told:
        told["associations"] = _associations(told["associations"], addresses, recorded)
    told["altids"] = {
        **_texts(item.source.get("altids")),
        "itemid": itemid,
        "etag": tag_of([item.uri, item.version, item.source]).strip('"'),
    }
    told["uri"] = addresses.item(itemid)
    return told


def _texts(value: Any) -> dict[str, str]:
    """The members of an object that are texts."""
    members = value.items() if isinstance(value, Mapping) else ()
    return {name: member for name, member in members if isinstance(member, str)}


def _renditions(value: Any, item: Item, itemid: str, addresses: Addresses) -> dict[str, Any]:
    """Renditions with absolute addresses that do not end: those of our own media lead to a
    download, which asks the guard.
    """
    told = {}
    for name, one in value.items() if isinstance(value, Mapping) else ():
        if isinstance(one, Mapping):
            ours = MEDIA_PATH in str(one.get("href", "")).partition("?")[0]
            href = {"href": addresses.download(itemid, item.version, name)} if ours else {}
            told[name] = {**one, **href}
    return told


def _associations(
    value: Any, addresses: Addresses, recorded: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Associated items by their addresses. One that is no item here keeps an address of its own, or
    is left out: a client would follow it in vain.
    """
    told = {}
    for name, one in value.items() if isinstance(value, Mapping) else ():
        uri = str(one.get("uri", "")) if isinstance(one, Mapping) else ""
        if uri in recorded:
            itemid = recorded[uri]
            altids = {"itemid": itemid, "etag": tag_of(dict(one)).strip('"')}
            told[name] = {**one, "altids": altids, "uri": addresses.item(itemid)}
        elif uri.startswith(("https://", "http://")):
            told[name] = dict(one)
    return told
