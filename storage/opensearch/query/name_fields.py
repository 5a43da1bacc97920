"""The members of an index document for names, suggestions and lists of media.

A name is found by its folded form, by its surname, by its code, and by the beginning of each of its
words. Each of these is a keyword that begins with that form and ends with the name as written. So a
prefix finds the items, and an aggregation over the same prefix returns the names with their counts:

    person_name      angelamerkel|Angela Merkel
    person_surname   merkel|angelamerkel|Angela Merkel
    person_coded     angelamerkel|wd:q94746
    person_link      wd:q94746|angelamerkel|Angela Merkel
    person_begins    angela|Angela Merkel   merkel|…   ^angela|…   =angela merkel|…

Here | is the sign LINK, "^" marks the first word and "=" all words, sorted. Of spellings that
differ only in case, a document has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.items import Concept, Item
from storage.record.facts import LINK
from storage.words.names import folded_words, key_of, plain_words

NAMED = ("person", "organisation", "place")
TYPED = (*NAMED, "subject")
FIRST, WHOLE = "^", "="
LONGEST = 1_000  # characters; longer names and headlines are not suggestions
_KEYWORD: Mapping[str, Any] = {"type": "keyword"}
_WORDS: Mapping[str, Any] = {"type": "text", "analyzer": "terms", "index_options": "docs"}

NAME_PROPERTIES: Mapping[str, Any] = {
    **{f"{kind}_{what}": _KEYWORD for kind in NAMED for what in ("name", "coded", "link")},
    **{f"{kind}_begins": _KEYWORD for kind in TYPED},
    "person_surname": _KEYWORD,
    "headline_label": _KEYWORD,
    "headline_typed": _WORDS,
    "headline_length": {"type": "integer"},
    "described": {"type": "boolean"},
}


def name_members(item: Item) -> dict[str, Any]:
    """Return these members for an item's document; empty ones are left out."""
    members: dict[str, Any] = {"described": item.is_described}
    for kind in NAMED:
        members |= _names(kind, getattr(item, kind))
    for kind in TYPED:
        labels = _labels(getattr(item, kind))
        members[f"{kind}_begins"] = [value for label in labels for value in _beginnings(label)]
    if len(item.headline) <= LONGEST and (words := plain_words(item.headline)):
        members["headline_label"] = item.headline
        members["headline_typed"] = " ".join(words)
        members["headline_length"] = len({*words})
    return {name: value for name, value in members.items() if value not in ([], "")}


def _names(kind: str, concepts: Sequence[Concept]) -> dict[str, list[str]]:
    labels = {label.casefold(): label for label in _labels(concepts) if _key(label)}
    values = {folded: LINK.join((_key(label), label)) for folded, label in labels.items()}
    pairs = [
        (concept.code.casefold(), concept.name)
        for concept in concepts
        if 0 < len(concept.code) <= LONGEST
        and LINK not in concept.code
        and concept.name.casefold() in labels
    ]
    found = {
        f"{kind}_name": [*values.values()],
        f"{kind}_coded": [LINK.join((_key(name), code)) for code, name in pairs],
        f"{kind}_link": [LINK.join((code, values[name.casefold()])) for code, name in pairs],
    }
    if kind == "person":
        found["person_surname"] = [
            LINK.join((words[-1], values[folded]))
            for folded, label in labels.items()
            if len(words := folded_words(label)) > 1
        ]
    return {name: [*dict.fromkeys(each)] for name, each in found.items()}


def _labels(concepts: Sequence[Concept]) -> list[str]:
    """Return the names, one of each that differ only in case, without those that nobody types."""
    first: dict[str, str] = {}
    for concept in concepts:
        if concept.name and len(concept.name) <= LONGEST and LINK not in concept.name:
            first.setdefault(concept.name.casefold(), concept.name)
    return [*first.values()]


def _key(label: str) -> str:
    return key_of(folded_words(label), label)


def _beginnings(label: str) -> Iterator[str]:
    words = plain_words(label)
    if not words:
        return
    for word in dict.fromkeys(words):
        yield LINK.join((word, label))
    yield LINK.join((FIRST + words[0], label))
    yield LINK.join((WHOLE + " ".join(sorted({*words})), label))
