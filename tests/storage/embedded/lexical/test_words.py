"""The index stems words as the analyzer of the item's language does, whoever splits the text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import tantivy

from storage.embedded.lexical.fields import build_schema, document_of, take_words
from storage.words.analysis import LONGEST_TERM, analyzer
from tests.storage.world import make_item

BODY = f"Die Häuser am Quai; ships, Shipping and cafés by {'z' * (LONGEST_TERM + 1)} harbours."


@pytest.mark.parametrize("language", ["en", "en-gb", "de", "zh"])
def test_words_are_stemmed_by_the_items_language(language: str) -> None:
    item = make_item("u", headline="Ferries sank", body=BODY, language=language)
    index = tantivy.Index(build_schema())
    take_words(index)
    writer = index.writer(15_000_000, 1)
    writer.add_document(document_of(7, item))
    writer.commit()
    index.reload()
    searcher = index.searcher()

    def finds(field: str, *terms: str) -> bool:
        query = (
            tantivy.Query.term_query(index.schema, field, terms[0])
            if len(terms) == 1
            else tantivy.Query.phrase_query(index.schema, field, _placed(terms))
        )
        return searcher.search(query, 1).count == 1

    terms = analyzer(language).analyze(BODY)
    assert all(finds("body", term) and finds("all", term) for term in terms)
    assert finds("body", *terms[:4])
    assert not finds("body", terms[1], terms[0])
    first = analyzer(language).analyze("Ferries sank")
    assert finds("all", *first)
    assert not finds("all", first[-1], terms[0])  # a phrase does not go from one field to the next
    assert all(finds("body_words", word) for word in analyzer("und").analyze(BODY))
    assert finds("body", "ship") == (language[:2] == "en")
    assert finds("body", "haus") == (language == "de")


def _placed(terms: Sequence[str]) -> list[str | tuple[int, str]]:
    return list(enumerate(terms))
