"""The terms of a query's words for BM25, in both engines."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from core.query_tree import Node, without_words
from core.retrieval import LexicalWeights
from storage.words.analysis import LONGEST_TERM, analyzer
from storage.words.stop_words import is_stop_word

K1 = 1.2  # tantivy's and Lucene's
PLAIN = LexicalWeights()


def terms_of(text: str, language: str) -> tuple[str, ...]:
    """Return the index terms of a word or a phrase, in order. They are kept, because one query and
    others need them many times; those of long texts are not.
    """
    return _kept_terms(text, language) if len(text) <= LONGEST_TERM else _terms(text, language)


def _terms(text: str, language: str) -> tuple[str, ...]:
    return tuple(analyzer(language).analyze(text))


_kept_terms = lru_cache(maxsize=16_384)(_terms)


def text_readings(text: str, languages: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the different readings of a word or a phrase, as tuples of terms, sorted."""
    return sorted({terms_of(text, language) for language in languages} - {()})


def readings(word: str, languages: Iterable[str]) -> set[str]:
    """Return the terms that a word of one term may become, over the languages."""
    return {terms[0] for terms in text_readings(word, languages) if len(terms) == 1}


def without_stop_words(node: Node, languages: tuple[str, ...]) -> Node:
    """Return the query without optional stop words, unless all optional words are some."""
    return without_words(node, lambda word: is_stop_word(word, languages))
