"""Subjects, people, organisations and places with their provenance, as their document gives it: who
set a tag and how, its scheme and broader terms, a person's types, a place's geometry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from core.items import Concept, Item
from indexing.texts import clean

# ninjs 1.x and the contract say `subject`, ninjs 2 and later `subjects`.
MEMBERS = {
    "subject": "subjects",
    "person": "people",
    "organisation": "organisations",
    "place": "places",
}
_SHORT = frozenset({"creator", "rels", "rel", "types", "topparent"})  # said in a list of hits too
_LONGEST_KEPT = 200  # characters
_CODES = ("code", "literal", "uri")


class Said(NamedTuple):
    """What a document says of a concept, by the name and code that ingest reads."""

    name: str
    code: str
    entry: Mapping[str, Any]


def concepts_json(concepts: Sequence[Concept], said: Sequence[Said]) -> list[dict[str, Any]]:
    """Return concepts with all that is `said` of them, and the members that the contract requires.
    What the document does not say was set by its editors.
    """
    if len(said) == len(concepts) == len({one.name for one in said}) and all(
        (one.name, one.code) == (concept.name, concept.code)
        for one, concept in zip(said, concepts, strict=True)
    ):
        return [*map(_told, said)]  # ingest reads most documents this way
    by_name: dict[str, list[Said]] = {}
    for one in said:
        if one.name in by_name:
            by_name[one.name].append(one)
        else:
            by_name[one.name] = [one]
    return [_concept(concept, by_name.get(concept.name, ())) for concept in concepts]


class Listed(NamedTuple):
    """What a list of hits says of an item's concepts, by member: beside their codes, words that
    can't be the uri of an item. `codes` are those that could be one, each with the names of its
    concepts.
    """

    said: Mapping[str, Sequence[Said]]
    codes: Mapping[str, set[str]]


def said_of(tree: Mapping[str, Any], member: str) -> list[Said]:
    """Return what a document says of a member's concepts, in both spellings of ninjs."""
    return [_said(entry) for entry in _entries(tree, member)]


def _said(entry: Mapping[str, Any]) -> Said:
    return Said(*_names(entry, _codes(entry)), entry)


def listed_of(item: Item) -> Listed:
    """Return what a list of hits says of an item's concepts."""
    said: dict[str, list[Said]] = {}
    found: dict[str, set[str]] = {}
    for member in MEMBERS:
        told = said[member] = []
        for concept in getattr(item, member):
            if ":" in concept.code:
                found.setdefault(concept.code, set()).add(concept.name)
        for entry in _entries(item.source, member):
            codes = _codes(entry)
            name, code = _names(entry, codes)
            told.append(Said(name, code, _short(entry)))
            for one in codes:
                if ":" in one:
                    found.setdefault(one, set()).add(name)
    return Listed(said, found)


def passed(
    item: Item, member: str, document: Mapping[str, Any], said: Sequence[Said]
) -> tuple[Concept, ...]:
    """Return the item's concepts, without those whose entry the guard removed from its
    `document`.
    """
    concepts: tuple[Concept, ...] = getattr(item, member)
    names = (member, MEMBERS[member])
    if all(document.get(name) is item.source.get(name) for name in names):
        return concepts  # it is the source's own list
    if [one.entry for one in said] == _entries(item.source, member):
        return concepts
    gone = {one.name for one in said_of(item.source, member)} - {one.name for one in said}
    return tuple(concept for concept in concepts if concept.name not in gone)


def _entries(tree: Mapping[str, Any], member: str) -> list[Mapping[str, Any]]:
    lists = (tree.get(name) for name in (member, MEMBERS[member]))
    return [
        entry
        for entries in lists
        if isinstance(entries, list)
        for entry in entries
        if isinstance(entry, (dict, Mapping))  # the first is faster
    ]


def _codes(entry: Mapping[str, Any]) -> list[str]:
    """Return the codes of an entry; ingest reads the first."""
    return [code for key in _CODES if key in entry and (code := _line(entry[key]))]


def _names(entry: Mapping[str, Any], codes: Sequence[str]) -> tuple[str, str]:
    """Return the name and the code of an entry with these codes, as ingest reads them."""
    code = codes[0] if codes else ""
    return (_line(entry["name"]) if "name" in entry else "") or code, code


def _line(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return _kept_line(value) if len(value) <= _LONGEST_KEPT else _clean_line(value)


def _clean_line(value: str) -> str:
    """Return a line as ingest reads it."""
    plain = value.isascii() and value.isprintable()
    return value.strip() if plain else clean(value)[0].strip()


_kept_line = lru_cache(8192)(_clean_line)  # many items have the same names


def _short(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {name: entry[name] for name in entry if name in _SHORT and _is_plain(entry[name])}
    if isinstance(scheme := entry.get("scheme"), str):
        kept["scheme"] = scheme
    return kept


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return ":" not in value
    if isinstance(value, list):
        return all(isinstance(entry, str) and ":" not in entry for entry in value)
    return isinstance(value, bool)


def _concept(concept: Concept, said: Sequence[Said]) -> dict[str, Any]:
    """Return a concept with the facts that are known for its name and code, else for its name."""
    code: str = concept.code
    entry: Mapping[str, Any] = {}
    if said:
        first = said[0]
        if first.code != code and len(said) > 1:
            first = next((one for one in said if one.code == code), first)
        code, entry = first.code, first.entry
    return _told(Said(concept.name, code, entry))


def _told(said: Said) -> dict[str, Any]:
    told = {**said.entry, "name": said.name, "code": said.code}
    if not isinstance(told.get("creator"), str):
        told["creator"] = "Editorial"
    if not isinstance(told.get("scheme"), str):
        told["scheme"] = ""
    if not told.get("rels"):
        told["rels"] = ["direct"]
    return told
