"""Writes an item into the record's columns and reads it back: JSON with its format's number."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from itertools import starmap
from operator import attrgetter
from typing import Any

import orjson

from core.items import Concept, Item, ItemType, MediaFile, PubStatus, Shot
from core.made_up_names import without_made_up_names
from core.media_words import Look, SeenText, Utterance
from storage.record.source_facts import facts_of_source

FORMAT = 2
_WITHOUT_MEDIA_WORDS = 1  # still written for items without any, so that their digests stay
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
_PARTS: Mapping[str, type] = {"speech": Utterance, "seen": SeenText, "looks": Look}
_values_of = {
    kind: attrgetter(*(field.name for field in fields(kind))) for kind in (Shot, *_PARTS.values())
}


# uri, version, pubstatus, embargo (microseconds): what tells whether a version is as it was read
State = tuple[str, int, str, int | None]
STATE_COLUMNS = "seq, uri, version, pubstatus, embargoed"


def state_of(item: Item) -> State:
    """Return the state of an item, as its row in the record has it."""
    embargoed = None if item.embargoed is None else to_micros(item.embargoed)
    return item.uri, item.version, item.pubstatus.value, embargoed


def to_micros(moment: datetime) -> int:
    """Return the whole microseconds since 1970-01-01 UTC."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(micros: int) -> datetime:
    """Return the inverse of `to_micros`, aware and in UTC."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def encode_facts(item: Item) -> bytes:
    """Return what filters and facets need, as JSON, short enough to load all at start."""
    facts: dict[str, Any] = {
        **_stated_facts(item),
        "firstcreated": to_micros(item.firstcreated),
        "products": item.products,
    }
    if item.rights:
        facts["rights"] = item.rights
    return orjson.dumps(facts | facts_of_source(item))


def _stated_facts(item: Item) -> dict[str, Any]:
    concepts = {
        name: [[concept.name, concept.code] for concept in getattr(item, name)]
        for name in _CONCEPTS
    }
    return {"type": item.type, "urgency": item.urgency, **concepts}


def completed_facts(row: Sequence[Any]) -> bytes:
    """Return the facts of a row with the ITEM_COLUMNS with those that older versions of this
    program did not record.
    """
    known: dict[str, Any] = orjson.loads(row[9])
    return orjson.dumps(known | facts_of_source(decode(row)))


def encode_document(item: Item) -> bytes:
    """Return the item's texts and the document as it arrived, as JSON."""
    return orjson.dumps(_document(item))


def _document(item: Item) -> dict[str, Any]:
    texts = {name: getattr(item, name) for name in _TEXTS}
    found = _media_words(item)
    number = FORMAT if found else _WITHOUT_MEDIA_WORDS
    return {"format": number, **texts, **_media(item), **found, "source": item.source}


def _media(item: Item) -> dict[str, Any]:
    """Return the members of a picture or a video, none for other items. So the document and the
    digest of other items are the same as in versions without media.
    """
    members: dict[str, Any] = {}
    if item.media is not None:
        members["media"] = asdict(item.media)
    if item.caption:
        members |= {"caption": item.caption, "caption_by": item.caption_by}
    if item.shots:
        members["shots"] = [_values_of[Shot](shot) for shot in item.shots]
    return members


def _media_words(item: Item) -> dict[str, Any]:
    """Return the words found in the media, each part as an array of its values, with its maker."""
    members: dict[str, Any] = {}
    for name, kind in _PARTS.items():
        if parts := getattr(item, name):
            members[name] = [_values_of[kind](part) for part in parts]
            members[f"{name}_by"] = getattr(item, f"{name}_by")
    return members


def _read_media_words(document: Mapping[str, Any]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, kind in _PARTS.items():
        if name in document:
            members[name] = tuple(kind(*map(_tuples, values)) for values in document[name])
            members[f"{name}_by"] = document[f"{name}_by"]
    return members


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def content_digest(item: Item) -> bytes:
    """Return the digest by which two puts of one version are the same: sha256 over content, state
    and times.

    Products are left out, because they are entitlements, which may change without a new version.
    Rights and facts of the source are left out, because they are read from the document, and older
    versions were recorded without them. Times of creation count only as the source gives them,
    because an undated document gets the time of its ingest.
    """
    facts, document = _stated_facts(item), _document(item)
    if "media" in document:
        del document["media"]["location"]  # the same file in another place is the same file
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
    """Return the item of a row with the ITEM_COLUMNS. It leaves out names that a machine made up,
    which older archives kept.
    """
    (_, uri, version, chain, language, pubstatus, versioncreated, embargoed, expires) = row[:9]
    facts = orjson.loads(row[9])
    document = orjson.loads(row[10])
    members: dict[str, Any] = {name: document[name] for name in _TEXTS}
    for name in _CONCEPTS:
        members[name] = tuple(Concept(label, code) for label, code in facts[name])
    item = Item(
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
        rights=tuple(facts.get("rights", ())),
        source=document["source"],
        media=MediaFile(**document["media"]) if "media" in document else None,
        caption=document.get("caption", ""),
        caption_by=document.get("caption_by", ""),
        shots=tuple(starmap(Shot, document.get("shots", ()))),
        **_read_media_words(document),
        **members,
    )
    return without_made_up_names(item)
