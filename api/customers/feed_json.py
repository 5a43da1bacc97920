"""Entries of a feed as JSON: whole items, and tombstones of what was taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.customers.followed import names_of
from api.envelope import rfc3339
from api.formats.items import ItemView, items_json
from api.search.search_json import cut_json, products_json
from core.ports import Library
from customers.feed import Entry
from customers.topics import FollowedTopics


def entries_json(
    entries: Sequence[Entry],
    view: ItemView,
    library: Library,
    topics: FollowedTopics | None = None,
) -> list[dict[str, Any]]:
    """A result for each entry, in order. A tombstone has `uri`, `altids.itemid`, `version` and
    `pubstatus`, and nothing else. An item names the `topics` of the account that it matches.
    """
    items = [entry.item for entry in entries if entry.item is not None]
    named = names_of(topics, items, view.caller)
    shown = iter(zip(items_json(items, view, library), named, strict=True))
    return [_result(entry, shown, view) for entry in entries]


def _result(entry: Entry, shown: Any, view: ItemView) -> dict[str, Any]:
    told = {"transition": _transition(entry)}
    if entry.item is None:
        return {"meta": told, "item": tombstone(entry)}
    (members, cut), followed = next(shown)
    products = {"products": products_json(entry.item, view.caller)}
    return {"meta": {**told, **products, **followed, **cut_json(cut)}, "item": members}


def _transition(entry: Entry) -> dict[str, Any]:
    transition = entry.transition
    return {
        "id": transition.id,
        "position": transition.n,
        "kind": str(entry.kind),
        "at": rfc3339(transition.at),
    }


def tombstone(entry: Entry) -> dict[str, Any]:
    """All that is told of an item that was taken away."""
    altids = {"altids": {"itemid": entry.itemid}} if entry.itemid else {}
    own = {"version": entry.version, "pubstatus": entry.pubstatus}
    return {"uri": entry.transition.uri, **altids, **own}
