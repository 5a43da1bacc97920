"""What the words of a query are to BM25, whichever engine reckons it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from core.query_tree import Bool, Node, Word
from core.retrieval import LexicalWeights
from storage.words.analysis import LONGEST_TERM, analyzer
from storage.words.stop_words import is_stop_word

K1 = 1.2  # tantivy's and Lucene's
PLAIN = LexicalWeights()


def terms_of(text: str, language: str) -> tuple[str, ...]:
    """The index terms of a word or a phrase, in order. A query's words are asked for again and
    again, by all that weigh them and by other queries; long texts are not kept.
    """
    return _kept_terms(text, language) if len(text) <= LONGEST_TERM else _terms(text, language)


def _terms(text: str, language: str) -> tuple[str, ...]:
    return tuple(analyzer(language).analyze(text))


_kept_terms = lru_cache(maxsize=16_384)(_terms)


def text_readings(text: str, languages: Iterable[str]) -> list[tuple[str, ...]]:
    """The terms of a word or a phrase in each of the languages, once each, where it has any."""
    return sorted({terms_of(text, language) for language in languages} - {()})


def readings(word: str, languages: Iterable[str]) -> set[str]:
    """The terms that a word of one term may be, by language."""
    return {terms[0] for terms in text_readings(word, languages) if len(terms) == 1}


def without_stop_words(node: Node, languages: tuple[str, ...]) -> Node:
    """Leaves common words out of a list of optional words, unless it holds nothing else."""
    if not isinstance(node, Bool) or not node.should:
        return node
    kept = tuple(
        child
        for child in node.should
        if not (isinstance(child, Word) and not child.field and is_stop_word(child.text, languages))
    )
    return Bool(node.must, kept or node.should, node.must_not)
