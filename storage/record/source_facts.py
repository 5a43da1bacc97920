"""Facts that only an item's document has, such as its source and its signals, for filters.

Each is written as "name:value", casefolded, so that one column and one field of an index hold all
of them. `core/query_fields.py` has the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from core.items import Item

# The members of a document, in any case, by the name of the field that finds them.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "slugline": (),
    "byline": ("bylines",),
    "photographer": ("photographer",),
    "located": ("datelinelocation",),
    "event": ("event", "events"),
    "fixture": ("fixture",),
    "keywords": ("keywords", "keyword"),
    "audiences": ("audiences", "audience"),
}
_WHOLE: Mapping[str, tuple[str, ...]] = {
    "provider": ("provider", "providers"),
    "category": ("category", "categories"),
    "signals": ("signals", "signal"),
    "editorialpriority": ("editorialpriority",),
    "editorialrole": ("editorialrole",),
    "editorialtypes": ("editorialtypes", "editorialtype"),
    "profile": ("profile",),
    "genre": ("genre", "genres"),
}
# Of these the values are kept as written, because readers see them beside their counts.
_SHOWN: Mapping[str, tuple[str, ...]] = {
    "source": ("source", "sources", "infosource", "infosources"),
    "credit": ("credit", "creditline", "description_creditline"),
}
DOCUMENT_FIELDS = (*_SHOWN, "orientation", "size")  # keyword fields that the document fills
_SMALL, _LARGE = 1_000, 3_000  # pixels of the longer side
_SQUARE = 0.02  # by how much the sides of a square may differ
_LINES = ("slugline", "byline", "located")  # of these the item has its own line
_READ = frozenset(name for kinds in (_WORDS, _WHOLE) for each in kinds.values() for name in each)
_IDS = ("itemid", "recordid", "friendlykey", "transref")
_SIGNED = re.compile(r"(?i)^by:?\s+")
_TOLD = ("name", "code", "literal", "by", "value", "city")  # members of an object that name it
_MOST = 64  # values of one field
_LONGEST = 256  # characters of a value
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Return the words of a value, casefolded, as the kind WORDS compares them."""
    return _WORD.findall(text.casefold())


def source_facts(item: Item) -> list[str]:
    """Return the item's facts of the kinds WORDS and WHOLE, each once, as "name:value"."""
    document = _lowered(item.source)
    found: dict[str, None] = {}
    has_some = not _READ.isdisjoint(document)  # most documents have none of them
    for name, members in _WORDS.items() if has_some else ((line, ()) for line in _LINES):
        texts = _texts_in(document, members)
        if name in _LINES and (line := getattr(item, name)):
            texts.append(line)
        if texts:
            words = (word[:_LONGEST] for text in texts for word in words_of(text))
            found.update((f"{name}:{word}", None) for word in islice(words, _MOST))
    for name, members in _WHOLE.items() if has_some else ():
        if texts := _texts_in(document, members):
            found.update((f"{name}:{text.casefold()}", None) for text in texts[:_MOST])
    found.update((f"category:{text.casefold()}", None) for text in _categories(document))
    found[f"version:{item.version}"] = None
    for name, concepts in (("person", item.person), ("organisation", item.organisation)):
        found.update(
            (f"{name}.code:{each.code.casefold()}", None) for each in concepts if each.code
        )
    return list(found)


def source_ids(item: Item) -> list[str]:
    """Return the item's identifiers beside its uri, and its whole slugline and byline, as
    "name:value".
    """
    named = _lowered(item.source).get("altids")
    pairs: list[tuple[object, object]] = []
    if isinstance(named, Mapping):
        pairs = [(str(role).lower(), value) for role, value in named.items()]
    elif isinstance(named, list):
        entries = (_lowered(entry) for entry in named if isinstance(entry, Mapping))
        pairs = [(entry.get("role") or entry.get("key"), entry.get("value")) for entry in entries]
    found = {
        f"{role}:{text.casefold()}": None
        for role, value in pairs
        if role in _IDS
        for text in _texts(value)
    }
    lines = (("slugline", item.slugline), ("byline", _SIGNED.sub("", item.byline.strip())))
    found.update((f"{name}:{whole_line(text)}", None) for name, text in lines if text.strip())
    return list(found)


def whole_line(text: str) -> str:
    """Return a line as one value: casefolded, with single blanks between its words."""
    return " ".join(text.casefold().split())[:_LONGEST]


def document_keywords(item: Item) -> dict[str, list[str]]:
    """Return the values of the DOCUMENT_FIELDS that the item has, as written."""
    document = _lowered(item.source)
    found = {name: _each_once(_texts_in(document, members)) for name, members in _SHOWN.items()}
    width, height = _pixels(item, document)
    if width and height:
        found |= {"orientation": [_orientation(width, height)], "size": [_size(width, height)]}
    return {name: values for name, values in found.items() if values}


def facts_of_source(item: Item) -> dict[str, list[str]]:
    """Return the members of an item's recorded facts that this module makes."""
    named = {f"{name}s": values for name, values in document_keywords(item).items()}
    return {"source": source_facts(item), "ids": source_ids(item), **named}


def _each_once(values: Sequence[str]) -> list[str]:
    return list({value.casefold(): value for value in reversed(values[:_MOST])}.values())[::-1]


def _orientation(width: int, height: int) -> str:
    if abs(width - height) <= _SQUARE * max(width, height):
        return "square"
    return "landscape" if width > height else "portrait"


def _size(width: int, height: int) -> str:
    longer = max(width, height)
    return "small" if longer < _SMALL else "medium" if longer < _LARGE else "large"


def _pixels(item: Item, document: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height of the file, else of the largest rendition that the document names;
    (0, 0) without either.
    """
    if item.media is not None:
        return item.media.width, item.media.height
    named = document.get("renditions")
    each = named.values() if isinstance(named, Mapping) else named
    sides = [_sides(one) for one in each] if isinstance(each, Iterable) else []
    return max(sides, key=lambda pair: pair[0] * pair[1], default=(0, 0))


def _sides(rendition: object) -> tuple[int, int]:
    if not isinstance(rendition, Mapping):
        return 0, 0
    width, height = rendition.get("width"), rendition.get("height")
    if isinstance(width, int) and isinstance(height, int) and min(width, height) > 1:
        return width, height  # a true counts as 1
    return 0, 0


def _categories(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield names and codes of the subjects that AP files as categories."""
    subjects = document.get("subject")
    for subject in subjects if isinstance(subjects, list) else ():
        if isinstance(subject, Mapping) and "category" in list(_texts(subject.get("rels"))):
            yield from _texts(subject)


def _texts_in(document: Mapping[str, Any], members: Sequence[str]) -> list[str]:
    """Return the texts in these members; most documents have few of them."""
    return [text for name in members if name in document for text in _texts(document[name])]


def _texts(value: object) -> Iterator[str]:
    """Yield the texts and numbers in a value, and those that name the objects in it."""
    match value:
        case str() if value.strip():
            yield value.strip()[:_LONGEST]
        case bool():
            return
        case int():
            yield str(value)
        case list():
            for each in value:
                yield from _texts(each)
        case Mapping():
            for name in _TOLD:
                if isinstance(value.get(name), str | int):
                    yield from _texts(value[name])


def _lowered(document: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in document.items()}
