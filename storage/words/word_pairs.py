"""Pairs of neighbouring words of a query, which add to the score of an item that has them close.

The sequential dependence model (Metzler and Croft, 2005) scores such pairs besides the words: in
order, and within a window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from core.query_tree import Bool, Node, Word
from storage.words.query_words import terms_of
from storage.words.stop_words import is_stop_word

MOST_PAIRS = 32  # of a query; more pairs of a pasted text add nothing


@dataclass(frozen=True, slots=True)
class WordPair:
    """Two terms, the second `distance` positions behind the first: more than 1 if stop words are
    between them.
    """

    first: str
    second: str
    distance: int


def word_pairs(
    query: Node, languages: tuple[str, ...], main: tuple[str, ...]
) -> tuple[tuple[WordPair, ...], ...]:
    """Return the query's pairs of neighbours, each once and at most MOST_PAIRS, each with its
    readings in the `languages`. Only adjacent words without a field in a list of optional words are
    neighbours. Stop words of the `main` languages are in no pair but keep their position, unless
    the list has only stop words.
    """
    found: dict[tuple[WordPair, ...], None] = {}
    for words in _lists(query):
        by_language = [_pairs(words, language, main) for language in languages]
        for readings in zip(*by_language, strict=True):  # languages differ only in stems
            found[tuple(dict.fromkeys(readings))] = None
    return tuple(found)[:MOST_PAIRS]


def _lists(node: Node) -> Iterator[tuple[str, ...]]:
    """Yield every run of words without a field in the lists of a tree, in order."""
    if not isinstance(node, Bool):
        return
    run: list[str] = []
    for child in node.should:
        if isinstance(child, Word) and not child.field:
            run.append(child.text)
            continue
        if len(run) > 1:
            yield tuple(run)
        run = []
    if len(run) > 1:
        yield tuple(run)
    for child in node.must:
        yield from _lists(child)


def _pairs(words: tuple[str, ...], language: str, main: tuple[str, ...]) -> list[WordPair]:
    """Return pairs of neighbouring terms in one language; all terms of a word take part."""
    telling = {word for word in words if not is_stop_word(word, main)} or set(words)
    placed: list[tuple[int, str]] = []
    place = 0
    for word in words:
        terms = terms_of(word, language)
        if word in telling:
            placed += [(place + offset, term) for offset, term in enumerate(terms)]
        place += len(terms)
    return [
        WordPair(first, second, there - here) for (here, first), (there, second) in pairwise(placed)
    ]
