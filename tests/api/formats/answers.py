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
SUBJECT = {
    "name": "Ferries",
    "code": "ap:ferries",
    "creator": "Machine",
    "rels": ["inferred", "ancestor"],
    "parentids": ["ap:ships"],
    "scheme": "http://cv.ap.org/id/",
}
PERSON = {"name": "Ana Reyes", "creator": "Editorial", "rels": ["direct"], "types": ["POLITICIAN"]}
PLACE = {
    "name": "Oslo",
    "code": "ap:oslo",
    "creator": "Machine",
    "rels": ["direct"],
    "scheme": "http://cv.ap.org/id/",
    "locationtype": {"code": "c", "name": "City"},
    "geometry_geojson": {"type": "Point", "coordinates": [10.75, 59.91]},
}
COMPANY = {
    "name": "Island Lines",
    "code": "ap:il",
    "creator": "Machine",
    "rels": ["direct"],
    "scheme": "http://cv.ap.org/id/",
    "symbols": [{"instrument": "ISL:OSE", "ticker": "ISL", "exchange": "OSE"}],
}
STORY: dict[str, Any] = {
    "uri": "urn:news:ferry",
    "version": 3,
    "type": "text",
    "language": "en",
    "headline": "Ferry freed",
    "versioncreated": "2026-02-01T10:00:00.250Z",
    "firstcreated": "2026-02-01T09:00:00+01:00",
    "urgency": 4,
    "bylines": [{"by": "Ana Reyes", "title": "Reporter", "code": "ar"}],
    "usageterms": ["No archives.", "No sales."],
    "altids": {"itemid": "f00d", "etag": "f00d_0a", "friendlykey": "42"},
    "subject": [SUBJECT],
    "person": [PERSON],
    "place": [PLACE],
    "organisation": [COMPANY],
    "body_text": "It moved.",
}

VIDEO: dict[str, Any] = {  # as ninjs 3.0 has it
    "uri": "urn:news:quay",
    "version": "2",
    "type": "video",
    "profile": "wire",
    "title": "quay-fire",
    "slugline": "quay-fire",
    "language": "en",
    "urgency": 2,
    "versionCreated": "2026-02-01T10:00:00Z",
    "firstCreated": "2026-02-01T09:00:00Z",
    "copyrightNotice": "(c) Island News",
    "edNote": "Updates",
    "located": "OSLO",
    "by": "Ana Reyes",
    "headlines": [{"role": "main", "value": "Fire at the quay"}],
    "descriptions": [{"role": "caption", "contentType": "text/plain", "value": "Boats burn."}],
    "bodies": [{"role": "main", "contentType": "text/html", "value": "<p>Two <b>boats</b>.</p>"}],
    "usageTerms": "No sales.",
    "altIds": [{"role": "itemid", "value": "q1"}],
    "subjects": [{"name": "Ferries", "literal": "ap:ferries"}],
    "keywords": ["fire", "quay"],  # which ninjs 3.0 does not have
    "renditions": [
        {
            "name": "web",
            "href": "https://m.example/1.mp4",
            "contentType": "video/mp4",
            "width": 1280,
            "duration": 12.5,
        }
    ],
    "associations": [{"name": "main", "uri": "urn:news:photo", "headlines": [{"value": "Old"}]}],
    "standard": {"name": "ninjs", "version": "3.0"},
}
PHOTO: dict[str, Any] = {  # what VIDEO carries
    "uri": "urn:news:photo",
    "type": "picture",
    "headline": "A ferry",
    "description_text": "At noon.",
    "renditions": {"main": {"href": "https://m.example/p.jpg", "width": 640}},
}


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
