"""One news document becomes one `Item`: ninjs 1.x to 3.x and AP Media API's content items.

Only `uri` is required. These members decide the rest:

- **version**: a whole number, or its digits. Without one it is `versioncreated` in whole unix
  seconds, so that a later edition supersedes, and 0 if that is missing as well.
- **times**: `versioncreated`, else `firstcreated`, else the time of ingest. An empty string counts
  as absent.
- **embargo**: the later one of `embargoed` and AP's `embargoedUntil`. The document is refused if an
  embargo is empty, or if a member that can only mean an embargo is not read (`embargo`,
  `embargodate`).
- **chain**, the story that the item belongs to: the alternative id with the role (1.x: the key)
  `chain`; else AP's `itemid`; else the uri of the association named `predecessor` or
  `writethru_of`, which should be the first story of the chain; else the item's own uri.
- **products**, who may see it: our extension member `products`, an array of strings or of objects
  with `id` or `code` or `name`; AP's `meta.products[].id`; and those that the caller of ingest
  names. An item without any gets those of the setting `default_products`; without these nobody
  may see it, and the report of an ingest counts it.
- **rights**, what may be done with it: our extension member `rights`, else a rating of
  `usageterms`, `rightsinfo` and AP's `signals` (`indexing/rights.py`).
- **shots** of a video: our extension member `shotlist`, an array of `{start, end, description}` or
  a text of lines; another shape is a warning. Lines that belong to no shot are text.
- **texts**: `headline`, else `title`; the best of its descriptions (caption, then text, then
  summary; never credits and notes to editors) and of its bodies (plain text, else HTML, else XML,
  without markup).

Members that ninjs doesn't know stay in `Item.source` and are counted, never refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from core.errors import DocumentError
from core.items import Concept, Item, ItemType, Shot
from core.ports.engine import Clock
from indexing import boundary, fields, json_tree, rights, texts
from indexing.boundary import Document, NamedThing, Product
from indexing.choice import body, description, headline
from indexing.media.shots.listed import shots_named
from storage.words.told_languages import told_language

MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
MAX_NAME = 2_048  # characters of a name or a code, which may be an address
_EMBARGOES = ("embargoed", "embargoeduntil")
_NO_LETTERS = re.compile("[^a-z]+")
_PREDECESSORS = ("predecessor", "writethru_of")
_LINES = ("slugline", "located", "ednote", "copyrightnotice")


@dataclass(frozen=True, slots=True)
class Checked:
    """An item, the doubts about it, and the names of its members that ninjs doesn't know."""

    item: Item
    warnings: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Reading:
    """A document in progress: its members, the spelling of each, and the doubts so far."""

    members: Document
    written: Mapping[str, str]
    warnings: list[str]

    def spelling(self, name: str) -> str:
        return self.written.get(name, name)

    def moment(self, name: str) -> datetime | None:
        value: str | None = getattr(self.members, name)
        return fields.moment(value, self.spelling(name), self.warnings) if value else None

    def clean(self, text: str) -> str:
        return clean(text, self.warnings)


def clean(text: str, warnings: list[str]) -> str:
    """Clean a text by `texts.clean`; add a warning if that removes characters."""
    cleaned, removed = texts.clean(text)
    if removed:
        warnings.append("control characters or endless marks removed")
    return cleaned


def read_bytes(
    data: bytes, clock: Clock, products: Sequence[str] = (), limit: int = MAX_DOCUMENT_BYTES
) -> Checked:
    """Return the item in a JSON document of at most `limit` bytes. Raises DocumentError."""
    if len(data) > limit:
        raise DocumentError(f"document too large: over {limit} bytes")
    return read_tree(json_tree.parse(data), clock, products)


def read_tree(tree: Mapping[str, Any], clock: Clock, products: Sequence[str] = ()) -> Checked:
    """Return the item in a parsed and checked document. Raises DocumentError with the member's
    path.

    An AP search result, with the document in `item` beside `meta`, is read as a document.
    """
    source = dict(tree)
    if "uri" not in source and isinstance(source.get("item"), dict):
        source = {**source["item"], "meta": source.get("meta")}
    members, written, unknown = boundary.read(source)
    refuse_unread_embargo(name for name in unknown if source[name] is not None)
    reading = _Reading(members, written, [])
    item = _item(reading, clock, products, source)
    return Checked(item, tuple(reading.warnings), unknown)


def _item(
    reading: _Reading, clock: Clock, products: Sequence[str], source: Mapping[str, Any]
) -> Item:
    members, spelling = reading.members, reading.spelling
    uri = fields.identifier(members.uri, spelling("uri"))
    versioncreated = reading.moment("versioncreated")
    firstcreated = reading.moment("firstcreated")
    created = versioncreated or firstcreated or clock()
    embargoed = _embargo(reading)
    pubstatus = fields.status(
        members.pubstatus, embargoed is not None, spelling("pubstatus"), reading.warnings
    )
    words = _texts(reading)
    shots, loose = _shots(reading)
    if loose:
        words["body"] = texts.check_body("\n".join(filter(None, (words["body"], loose))), "body")
    item = Item(
        uri=uri,
        version=_version(reading, versioncreated),
        type=fields.item_type(members.type, spelling("type")),
        versioncreated=created,
        firstcreated=firstcreated or created,
        chain=_chain(reading, uri),
        language=fields.language(
            members.language or told_language(words["headline"], words["body"]),
            spelling("language"),
        ),
        pubstatus=pubstatus,
        embargoed=embargoed,
        expires=reading.moment("expires"),
        urgency=_urgency(reading),
        products=_products(reading, products),
        source=source,
        rights=_rights(reading, words["usageterms"]),
        **words,
        subject=_concepts(reading, "subject", "subjects"),
        person=_concepts(reading, "person", "people"),
        organisation=_concepts(reading, "organisation", "organisations"),
        place=_concepts(reading, "place", "places"),
        shots=shots,
    )
    return texts.check_words(item)


def _embargo(reading: _Reading) -> datetime | None:
    """Return the later embargo. An empty one does not mean "over": the document is refused."""
    said = {name: getattr(reading.members, name) for name in _EMBARGOES}
    moments = (
        fields.moment(value, reading.spelling(name), reading.warnings)
        for name, value in said.items()
        if value is not None
    )
    return max(moments, default=None)


def refuse_unread_embargo(unknown: Iterable[str]) -> None:
    """Raise DocumentError for a member that would hide the item if it were spelled right."""
    for spelling in unknown:
        letters = _NO_LETTERS.sub("", spelling.lower())
        if letters.startswith("embargo") or get_close_matches(letters, _EMBARGOES, cutoff=0.85):
            raise DocumentError(
                "an embargo that is not read", field=spelling, mend="name its end in `embargoed`"
            )


def _version(reading: _Reading, versioncreated: datetime | None) -> int:
    if reading.members.version is None:
        return fields.version_of(versioncreated)
    return fields.version(reading.members.version, reading.spelling("version"))


def _shots(reading: _Reading) -> tuple[tuple[Shot, ...], str]:
    """Return the shots of a shot list, and its lines that are text; without a video all lines are
    text.
    """
    members = reading.members
    try:
        shots, rest = shots_named(members.shotlist, duration_s=_duration(members))
    except DocumentError as error:
        reading.warnings.append(f"shotlist left out: {error.what}")
        return (), ""
    is_video = fields.item_type(members.type, reading.spelling("type")) is ItemType.VIDEO
    if not is_video:
        rest = "\n".join([*(shot.description for shot in shots), *filter(None, [rest])])
    clean = tuple(_clean(shot, reading) for shot in shots) if is_video else ()
    return clean, reading.clean(rest)


def _clean(shot: Shot, reading: _Reading) -> Shot:
    said = reading.clean(shot.description)
    return shot if said == shot.description else replace(shot, description=said)


def _duration(members: Document) -> float:
    """Return the longest duration of a rendition in seconds; 0 if none has one."""
    trees = [*members.renditions, *members.renditions_object.values()]
    said = [tree.get("duration") for tree in trees if isinstance(tree, dict)]
    return max((float(n) for n in said if isinstance(n, (int, float)) and 0 < n < 10**7), default=0)


def _urgency(reading: _Reading) -> int | None:
    value = reading.members.urgency
    return None if value is None else fields.urgency(value, reading.spelling("urgency"))


def _texts(reading: _Reading) -> dict[str, Any]:
    members = reading.members
    lines = {name: getattr(members, name) for name in _LINES}
    by = ", ".join(byline.by for byline in members.bylines if byline.by)
    found = {
        **lines,
        "headline": " ".join(headline(members).split()),
        "description": description(members),
        "byline": members.byline or members.by or by,
        "usageterms": members.usageterms or "\n".join(members.usageterms_array),
    }
    checked = {
        name: texts.check_size(reading.clean(text).strip(), name) if text else ""
        for name, text in found.items()
    }
    return {**checked, "body": texts.check_body(reading.clean(body(members)).strip(), "body")}


def _concepts(reading: _Reading, *both: str) -> tuple[Concept, ...]:
    """Return the named things of both spellings, each once, in order."""
    found: dict[Concept, None] = {}
    for member in both:
        things: Sequence[NamedThing] = getattr(reading.members, member)
        for thing in things:
            code = reading.clean(thing.code or thing.literal or thing.uri or "").strip()
            name = reading.clean(thing.name or "").strip() or code
            _check_names((name, code), member)
            if name:
                found[Concept(name, code)] = None
            else:
                reading.warnings.append(f"{member} without name or code, left out")
    return tuple(found)


def _chain(reading: _Reading, uri: str) -> str:
    """Return the story's key, or the item's own uri if no member names one."""
    named = (
        _alternative_id(reading, "chain")
        or _alternative_id(reading, "itemid")
        or _predecessor(reading)
    )
    return fields.identifier(named, "chain") if named.strip() else uri


def _alternative_id(reading: _Reading, role: str) -> str:
    value = reading.members.altids_object.get(role)
    if value is not None and not isinstance(value, str):
        field = json_tree.path((reading.spelling("altids_object"), role))
        raise DocumentError("wrong type: Input should be a valid string", field=field)
    return value or next(
        (entry.value for entry in reading.members.altids if entry.role == role and entry.value), ""
    )


def _predecessor(reading: _Reading) -> str:
    members = reading.members
    for name in _PREDECESSORS:
        named = members.associations_object.get(name)
        if named is not None and named.uri:
            return named.uri
        for association in members.associations:
            if name in (association.name, association.rel) and association.uri:
                return association.uri
    return ""


def _products(reading: _Reading, added: Sequence[str]) -> tuple[str, ...]:
    members = reading.members
    own = _codes(members.products, reading.spelling("products"))
    matched = _codes(members.meta.products or (), f"{reading.spelling('meta')}.products")
    return tuple(dict.fromkeys((*own, *matched, *added)))


def _rights(reading: _Reading, usageterms: str) -> tuple[str, ...]:
    """Return the words for the rights; members of another shape have other uses and are ignored."""
    members = reading.members
    named, signals = rights.words_in(members.rights), rights.words_in(members.signals)
    if named is None:
        reading.warnings.append("rights is neither a text nor a list of texts; it is left out")
    own = [reading.clean(word) for word in named or ()]
    return rights.rights_of(usageterms, members.rightsinfo, signals or (), own)


def _codes(products: Sequence[Product], field: str) -> tuple[str, ...]:
    codes = tuple(
        (product.id or product.code or product.name or "").strip() for product in products
    )
    if "" in codes:
        place = json_tree.path((field, codes.index("")))
        raise DocumentError("a product without id, code or name", field=place)
    _check_names(codes, field)
    return codes


def _check_names(names: Sequence[str], field: str) -> None:
    if max(map(len, names), default=0) > MAX_NAME:
        raise DocumentError(f"name or code too long: over {MAX_NAME} characters", field=field)
