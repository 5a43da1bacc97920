"""How an item is written into the record and read back: JSON with a version number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from core.items import Concept, Item, ItemType, PubStatus

FORMAT = 1
ITEM_COLUMNS = (
    "seq, uri, version, chain, language, pubstatus, versioncreated, embargoed, expires,"
    " facts, document"
)
_CONCEPTS = ("subject", "person", "organisation", "place")
_TEXTS = (
    "headline",
    "description",
    "body",
    "byline",
    "slugline",
    "located",
    "ednote",
    "copyrightnotice",
    "usageterms",
)


def to_micros(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01 UTC."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(micros: int) -> datetime:
    """The inverse of `to_micros`, aware and in UTC."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def encode_facts(item: Item) -> bytes:
    """What filters and facets ask for, as JSON: short, so that all of it can be loaded at start."""
    facts: dict[str, Any] = {
        "type": item.type,
        "firstcreated": to_micros(item.firstcreated),
        "urgency": item.urgency,
        "products": item.products,
    }
    for name in _CONCEPTS:
        facts[name] = [[concept.name, concept.code] for concept in getattr(item, name)]
    return orjson.dumps(facts)


def encode_document(item: Item) -> bytes:
    """The item's texts and the document as it arrived, as JSON."""
    texts = {name: getattr(item, name) for name in _TEXTS}
    return orjson.dumps({"format": FORMAT, **texts, "source": item.source})


def content_digest(item: Item) -> bytes:
    """What makes two puts of one version the same: sha256 over content, state and times.

    Products are left out: they are entitlements, which may change without a new version. Times of
    creation count only as the source gives them: an undated document's is the time of its ingest.
    """
    facts = orjson.loads(encode_facts(item))
    del facts["products"], facts["firstcreated"]
    document = orjson.loads(encode_document(item))
    state = [
        item.uri,
        item.version,
        item.chain,
        item.language,
        item.pubstatus,
        item.embargoed and to_micros(item.embargoed),
        item.expires and to_micros(item.expires),
    ]
    return hashlib.sha256(
        orjson.dumps([facts, document, state], option=orjson.OPT_SORT_KEYS)
    ).digest()


def decode(row: Sequence[Any]) -> Item:
    """The item of a row selected as ITEM_COLUMNS."""
    (_, uri, version, chain, language, pubstatus, versioncreated, embargoed, expires) = row[:9]
    facts = orjson.loads(row[9])
    document = orjson.loads(row[10])
    members: dict[str, Any] = {name: document[name] for name in _TEXTS}
    for name in _CONCEPTS:
        members[name] = tuple(Concept(label, code) for label, code in facts[name])
    return Item(
        uri=uri,
        version=version,
        chain=chain,
        language=language,
        pubstatus=PubStatus(pubstatus),
        type=ItemType(facts["type"]),
        versioncreated=from_micros(versioncreated),
        firstcreated=from_micros(facts["firstcreated"]),
        embargoed=None if embargoed is None else from_micros(embargoed),
        expires=None if expires is None else from_micros(expires),
        urgency=facts["urgency"],
        products=tuple(facts["products"]),
        source=document["source"],
        **members,
    )
