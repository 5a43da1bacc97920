"""Items from documents, and their forms as a caller gets them from a newsroom in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.formats.items import ItemView, items_json
from core.callers import Caller
from core.items import Item
from indexing import ninjs
from tests.api.newsroom import Newsroom

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
READER = Caller("reader", frozenset({"wire"}))
BASE = "https://wire.example/media/v"


@dataclass(frozen=True)
class Addresses:
    """Addresses of a service that nobody runs."""

    def item(self, itemid: str) -> str:
        return f"{BASE}/content/{itemid}"

    def download(self, itemid: str, version: int, rendition: str) -> str:
        return f"{BASE}/content/{itemid}.{version}/download?rid={rendition}"


def item_of(document: Mapping[str, Any], *products: str) -> Item:
    return ninjs.read_tree(document, lambda: NOW, products or ("wire",)).item


def newsroom(*items: Item) -> Newsroom:
    room = Newsroom()
    for item in items:
        room.items.setdefault(item.uri, []).append(item)
    return room


def ap(document: Mapping[str, Any] | Item, *others: Item, **view: Any) -> dict[str, Any]:
    """The content item of a document, as AP's contract has it."""
    item = document if isinstance(document, Item) else item_of(document)
    how = ItemView(**{"caller": READER, "whole": True, "addresses": Addresses(), **view})
    ((members, _),) = items_json([item], how, newsroom(item, *others))
    return members
