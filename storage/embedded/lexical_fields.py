"""The fields of the lexical index, and how an item fills them."""

from __future__ import annotations

import tantivy

from core.items import Item
from core.query_tree import DATE_FIELDS, MACHINE, TEXT_FIELDS
from storage.analysis import analyzer
from storage.embedded.documents import to_micros
from storage.embedded.lexical_query import keyword_field, unstemmed_field

_UNSTEMMED = analyzer("und").pre_tokenize
_KEYWORDS = (
    "type",
    "subject",
    "person",
    "organisation",
    "place",
    "language",
    "product",
    "rights",
    "urgency",
)


def build_schema() -> tantivy.Schema:
    """The index's fields; a change here needs `dateline rebuild`, which happens by itself."""
    builder = tantivy.SchemaBuilder()
    # Signed: the binding deletes by signed numbers, which match nothing in an unsigned field.
    builder.add_integer_field("seq", indexed=True, fast=True)
    for name in ("all", *TEXT_FIELDS):
        builder.add_text_field(name)
    for name in TEXT_FIELDS:
        builder.add_text_field(unstemmed_field(name), index_option="basic")
    for name in _KEYWORDS:
        builder.add_text_field(keyword_field(name), tokenizer_name="raw", index_option="basic")
    for name in DATE_FIELDS:
        builder.add_integer_field(name, indexed=True, fast=True)
    return builder.build()


def document_of(seq: int, item: Item) -> tantivy.Document:
    """The item as the index keeps it."""
    document = tantivy.Document()
    document.add_integer("seq", seq)
    analyze = analyzer(item.language).pre_tokenize
    for name, text in indexed_texts(item).items():
        if text:
            document.add_pre_tokenized_text(name, analyze(text))
            document.add_pre_tokenized_text(unstemmed_field(name), _UNSTEMMED(text))
            if name != MACHINE:
                document.add_pre_tokenized_text("all", analyze(text))
    for name, values in keywords_of(item).items():
        for value in values:
            document.add_text(keyword_field(name), value.casefold())
    document.add_integer("versioncreated", to_micros(item.versioncreated))
    document.add_integer("firstcreated", to_micros(item.firstcreated))
    return document


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
