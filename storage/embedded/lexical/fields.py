"""The fields of the lexical index, and how an item fills them."""

from __future__ import annotations

import tantivy

from core.items import Item
from core.query_tree import DATE_FIELDS, KEYWORD_FIELDS, MACHINE, TEXT_FIELDS
from storage.record.item_fields import indexed_texts, keyword_field, keywords_of, unstemmed_field
from storage.record.item_rows import to_micros
from storage.words.analysis import analyzer

_OF_TEXT = "default"  # tantivy's name for the tokenizer of texts


def build_schema() -> tantivy.Schema:
    """Return the schema of the index. After a change here the index is rebuilt by itself."""
    builder = tantivy.SchemaBuilder()
    # Signed, because the binding deletes by signed numbers, which never match an unsigned field.
    builder.add_integer_field("seq", indexed=True, fast=True)
    for name in ("all", *TEXT_FIELDS):
        builder.add_text_field(name)
    for name in TEXT_FIELDS:
        builder.add_text_field(unstemmed_field(name), index_option="basic")
    for name in KEYWORD_FIELDS:
        builder.add_text_field(keyword_field(name), tokenizer_name="raw", index_option="basic")
    for name in DATE_FIELDS:
        builder.add_integer_field(name, indexed=True, fast=True)
    return builder.build()


def take_unstemmed(index: tantivy.Index) -> None:
    """Let `index` split texts into unstemmed words. That takes a tenth of the time of taking words
    that are split already. Stemmed fields must take those, as stems depend on the item's language.
    """
    index.register_tokenizer(_OF_TEXT, analyzer("und"))


def document_of(seq: int, item: Item) -> tantivy.Document:
    """Return the item as a document for an index after `take_unstemmed`."""
    document = tantivy.Document()
    document.add_integer("seq", seq)
    analyze = analyzer(item.language).pre_tokenize
    for name, text in indexed_texts(item).items():
        if text:
            words = analyze(text)
            document.add_pre_tokenized_text(name, words)
            document.add_text(unstemmed_field(name), text)
            if name != MACHINE:
                document.add_pre_tokenized_text("all", words)
    for name, values in keywords_of(item).items():
        for value in values:
            document.add_text(keyword_field(name), value.casefold())
    document.add_integer("versioncreated", to_micros(item.versioncreated))
    document.add_integer("firstcreated", to_micros(item.firstcreated))
    return document
