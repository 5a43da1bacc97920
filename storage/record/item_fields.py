"""The names and the contents of an item's fields in a lexical index, for both engines."""

from __future__ import annotations

from core.items import Item
from core.query_fields import FACT, ID
from core.query_tree import MACHINE, SCRIPT, SPEECH
from storage.record.source_facts import DOCUMENT_FIELDS, document_keywords, source_facts, source_ids

_NO_VALUES: list[str] = []  # nobody changes it


def keyword_field(name: str) -> str:
    """Return the name of the raw field of a keyword."""
    return f"is_{name}"


def unstemmed_field(name: str) -> str:
    """Return the name of the field with a text field's unstemmed words, for prefixes: a stem
    ("ferri" of "ferry") need not begin like its word.
    """
    return f"{name}_words"


def indexed_texts(item: Item) -> dict[str, str]:
    """Return the text of each field of an item; all but those APART together, in order, are the
    field `all`. What is said is the agency's own text if no machine has found it.
    """
    spoken = item.speech_text
    return {
        "headline": item.headline,
        "description": "\n".join(filter(None, (item.description, item.agency_shotlist))),
        "body": item.body,
        "names": _names(item),
        SCRIPT: "" if item.speech_by else spoken,
        MACHINE: item.machine_text,
        SPEECH: spoken if item.speech_by else "",
        "seen": item.seen_text,
        "looks": item.looks_text,
        "filename": item.file_words,
    }


def _names(item: Item) -> str:
    concepts = (*item.person, *item.organisation, *item.place, *item.subject)
    lines = [concept.name for concept in concepts] + [item.slugline, item.byline, item.located]
    return "\n".join(line for line in lines if line)


def keywords_of(item: Item) -> dict[str, list[str]]:
    """Return the values of each keyword field, as written."""
    return {
        **plain_keywords_of(item),
        **dict.fromkeys(DOCUMENT_FIELDS, _NO_VALUES),
        **document_keywords(item),
        FACT: source_facts(item),
        ID: [f"uri:{item.uri}", *source_ids(item)],
    }


def plain_keywords_of(item: Item) -> dict[str, list[str]]:
    """Return the same without the fields that are read from the item's document."""
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
