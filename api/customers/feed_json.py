"""Entries of a feed as JSON: whole items, and tombstones of what was taken away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from api.customers.followed import names_of
from api.envelope import rfc3339
from api.formats.items import ItemView, share_of
from api.formats.kept_forms import KeptForms, ToldItem, told_items
from api.search.search_json import cut_json, products_json
from core.items import Item
from core.ports.engine import Heads
from customers.feed import Entry
from customers.topics import FollowedTopics


def entries_json(
    entries: Sequence[Entry],
    view: ItemView,
    library: Heads,
    topics: FollowedTopics | None = None,
    kept: KeptForms | None = None,
) -> list[dict[str, Any]]:
    """Return a result for each entry, in order. A tombstone has `uri`, `altids.itemid`, `version`
    and `pubstatus`, and nothing else. An item names the `topics` of the account that it matches.
    Items may be JSON already: `kept` has forms that were made before.
    """
    whole = [entry.head for entry in entries if entry.head is not None]
    heads, read = {head.id: head for head in whole}, partial(_items, entries, library)
    followed: dict[int, dict[str, Any]] = {}
    if topics is not None and topics.has_some(view.caller):
        items = read(heads.keys())
        named = names_of(topics, [*items.values()], view.caller)
        followed, read = dict(zip(items, named, strict=True)), partial(_among, items)
    told = told_items(heads, read, view, library, share_of(len(whole)), kept)
    return [*filter(None, (_result(entry, told, followed, view) for entry in entries))]


def _items(entries: Sequence[Entry], library: Heads, ids: Collection[int]) -> dict[int, Item]:
    """Return the items of these versions: those that the entries have, and the rest from the
    record.
    """
    read = {e.head.id: e.item for e in entries if e.head is not None and e.item is not None}
    missing = [id_ for id_ in ids if id_ not in read]
    found = library.versions(missing) if missing else {}
    return {id_: read.get(id_) or found[id_] for id_ in ids if id_ in read or id_ in found}


def _among(items: Mapping[int, Item], ids: Collection[int]) -> dict[int, Item]:
    """Return those of the items that have one of these ids."""
    return {id_: items[id_] for id_ in ids if id_ in items}


def _result(
    entry: Entry,
    told: Mapping[int, ToldItem],
    followed: Mapping[int, dict[str, Any]],
    view: ItemView,
) -> dict[str, Any] | None:
    """Return the result of an entry; None for a version that the record has no more."""
    moved = {"transition": _transition(entry)}
    if entry.head is None:
        return {"meta": moved, "item": tombstone(entry)}
    id_ = entry.head.id
    if id_ not in told:
        return None
    products = {"products": products_json(entry.head.products, view.caller)}
    more = followed.get(id_, {}) | cut_json(told[id_].cut)
    return {"meta": {**moved, **products, **more}, "item": told[id_].item}


def _transition(entry: Entry) -> dict[str, Any]:
    transition = entry.transition
    return {
        "id": transition.id,
        "position": transition.n,
        "kind": str(entry.kind),
        "at": rfc3339(transition.at),
    }


def tombstone(entry: Entry) -> dict[str, Any]:
    """Return the tombstone of an item that was taken away."""
    altids = {"altids": {"itemid": entry.itemid}} if entry.itemid else {}
    own = {"version": entry.version, "pubstatus": entry.pubstatus}
    return {"uri": entry.transition.uri, **altids, **own}
