"""The fields of an item in a lexical index, whichever engine keeps it: their names, and what is in
them.
"""

from __future__ import annotations

from core.items import Item
from core.query_tree import MACHINE


def keyword_field(name: str) -> str:
    """The name of the raw field behind a keyword."""
    return f"is_{name}"


def unstemmed_field(name: str) -> str:
    """The name of the field that holds a text field's words as they are written, for prefixes: a
    stem ("ferri" of "ferry") need not begin as its word does.
    """
    return f"{name}_words"


def indexed_texts(item: Item) -> dict[str, str]:
    """What each text field holds of an item; those but the machines' make up `all`, in order."""
    return {
        "headline": item.headline,
        "description": "\n".join(filter(None, (item.description, item.agency_shotlist))),
        "body": item.body,
        "names": _names(item),
        MACHINE: item.machine_text,
    }


def _names(item: Item) -> str:
    concepts = (*item.person, *item.organisation, *item.place, *item.subject)
    lines = [concept.name for concept in concepts] + [item.slugline, item.byline, item.located]
    return "\n".join(line for line in lines if line)


def keywords_of(item: Item) -> dict[str, list[str]]:
    """The values of each keyword field as they are written."""
    return {
        "type": [item.type],
        "subject": [text for c in item.subject for text in (c.name, c.code) if text],
        "person": [concept.name for concept in item.person],
        "organisation": [concept.name for concept in item.organisation],
        "place": [text for c in item.place for text in (c.name, c.code) if text],
        "language": [item.language],
        "product": list(item.products),
        "rights": list(item.rights),
        "urgency": [] if item.urgency is None else [str(item.urgency)],
    }
