"""The fields of the lexical index, and how an item fills them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tantivy

from core.items import Item
from core.languages import primary_subtag
from core.query_tree import APART, DATE_FIELDS, KEYWORD_FIELDS, TEXT_FIELDS
from storage.record.item_fields import indexed_texts, keyword_field, keywords_of, unstemmed_field
from storage.record.item_rows import to_micros
from storage.words.analysis import STEMMERS, analyzer

_UNSTEMMED = "default"  # tantivy's name for the tokenizer of texts
_STEMMED = "stemmed"
_COMMON = "en"  # the language whose words the index stems itself


def build_schema() -> tantivy.Schema:
    """Return the schema of the index. After a change here the index is rebuilt by itself."""
    builder = tantivy.SchemaBuilder()
    # Signed, because the binding deletes by signed numbers, which never match an unsigned field.
    builder.add_integer_field("seq", indexed=True, fast=True)
    for name in ("all", *TEXT_FIELDS):
        builder.add_text_field(name, tokenizer_name=_STEMMED)
    for name in TEXT_FIELDS:
        builder.add_text_field(unstemmed_field(name), index_option="basic")
    for name in KEYWORD_FIELDS:
        builder.add_text_field(keyword_field(name), tokenizer_name="raw", index_option="basic")
    for name in DATE_FIELDS:
        builder.add_integer_field(name, indexed=True, fast=True)
    return builder.build()


def take_words(index: tantivy.Index) -> None:
    """Let `index` split texts into words, and stem those of English. That takes a fifth of the time
    of taking words that are split already, in the index's own thread.
    """
    index.register_tokenizer(_UNSTEMMED, analyzer("und"))
    index.register_tokenizer(_STEMMED, analyzer(_COMMON))


def document_of(seq: int, item: Item) -> tantivy.Document:
    """Return the item as a document for an index after `take_words`. A field has one tokenizer, and
    stems depend on the item's language: only the words of other languages are split here.
    """
    document = tantivy.Document()
    document.add_integer("seq", seq)
    stemmer = STEMMERS.get(primary_subtag(item.language))
    splits = stemmer == STEMMERS[_COMMON]
    add: Callable[[str, Any], None] = (
        document.add_text if splits else document.add_pre_tokenized_text
    )
    for name, text in indexed_texts(item).items():
        if text:
            words = text if splits else analyzer(item.language).pre_tokenize(text)
            add(name, words)
            document.add_text(unstemmed_field(name), text)
            if name not in APART:
                add("all", words)
    for name, values in keywords_of(item).items():
        for value in values:
            document.add_text(keyword_field(name), value.casefold())
    document.add_integer("versioncreated", to_micros(item.versioncreated))
    document.add_integer("firstcreated", to_micros(item.firstcreated))
    return document
