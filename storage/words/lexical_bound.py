"""Computes the upper bound of BM25 for a query, so that fusion can see how low even the best hit
is.

The BM25 of a term grows with its frequency in an item towards idf times (k1 + 1), and that of a
phrase towards the sum over its terms (Lucene, Bm25Similarity). This adds up all parts of a query's
score at these limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log1p
from typing import NamedTuple

from core.query_tree import APART, TEXT_FIELDS, Bool, Node, Phrase, Prefix, Word
from core.retrieval import LexicalWeights
from storage.record.item_fields import unstemmed_field
from storage.words.analysis import LONGEST_TERM
from storage.words.apart_words import ApartWords, Held
from storage.words.query_readings import (
    K1,
    read_beside,
    terms_of,
    without_stop_words,
    word_pairs,
)

_PREFIX = 1.0  # every word with the prefix scores this
_MOST_KNOWN = 4096  # words whose supremum is kept


class Bound(NamedTuple):
    """`whole` is the upper bound of a query's scores, `seen` its part by words that an item has."""

    whole: float
    seen: float


NO_BOUND = Bound(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Supremum:
    """The upper bound of the scores of a compiled query, with the same languages (the archive's
    main one first) and weights. `held` returns how many of `documents` items have a term in a
    field. It must always return the same, because the bound of a word is computed once.
    """

    documents: int
    held: Held
    languages: tuple[str, ...]
    main: tuple[str, ...]
    weights: LexicalWeights
    _known: dict[Node, Bound] = field(default_factory=dict, repr=False, compare=False)

    def of(self, query: Node) -> Bound:
        """Return the limit of the score of an item as the frequency of each word in it grows. Words
        that no item has count in full. A word with several readings counts as the rarest of those
        that an item has.
        """
        whole, seen = self._node(without_stop_words(query, self.main))
        pairs = self._pairs(query)
        return Bound(whole + pairs, seen + pairs)

    def _node(self, node: Node) -> Bound:
        if isinstance(node, Bool):
            parts = [self._node(child) for child in (*node.must, *node.should)]
            return Bound(sum(one.whole for one in parts), sum(one.seen for one in parts))
        if not isinstance(node, Word):
            return Bound(whole := self._leaf(node), whole)
        if len(node.text) > LONGEST_TERM:
            return Bound(self._leaf(node), 0.0)
        found = self._known.get(node)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[node] = self._word(node)
        return found

    def _word(self, word: Word) -> Bound:
        whole = self._leaf(word)
        readings = (terms_of(word.text, one) for one in self.languages)
        there = any(self._is_there(terms, word.field) for terms in readings)
        return Bound(whole, whole if there else 0.0)

    def _leaf(self, node: Node) -> float:
        match node:
            case Word(text, field, boost) | Phrase(text, field, _, boost):
                readings = [terms_of(text, one) for one in self.languages]
                return boost * self._most(readings, field)
            case Prefix(text, field, boost):
                words = terms_of(text, "und")[:-1]
                begun = self._begun(field, words)
                return boost * max(self._prefix(words, name, weight) for name, weight in begun)
            case _:
                return 0.0

    def _pairs(self, query: Node) -> float:
        weight = max(0.0, self.weights.phrase) + max(0.0, self.weights.proximity)
        if not weight:
            return 0.0
        pairs = word_pairs(query, self.languages, self.main)
        terms = ([(one.first, one.second) for one in pair] for pair in pairs)
        return weight * sum(self._most(readings, "all") for readings in terms)

    def _fields(self, field: str) -> Mapping[str, float]:
        return {field: 1.0} if field else {"all": 1.0, **self.weights.fields}

    def _begun(self, field: str, words: tuple[str, ...]) -> Sequence[tuple[str, float]]:
        """Return the fields to search for a prefix, and their weights. Those APART are among them
        only if they have all of `words`.
        """
        if field:
            return [(name, 1.0) for name in (field, *read_beside(field))]
        own = [(name, 1.0) for name in TEXT_FIELDS if name not in APART]
        return own + [
            (name, self._weight(name))
            for name in APART
            if all(self.held(unstemmed_field(name), word) for word in words)
        ]

    def _prefix(self, words: tuple[str, ...], name: str, weight: float) -> float:
        return weight * (_PREFIX + self._sum(words, {unstemmed_field(name): 1.0}))

    def _most(self, readings: Sequence[tuple[str, ...]], field: str) -> float:
        """Return the bound of the best reading that an item has, else of the first."""
        first, rest = readings[0], set(readings[1:]) - {readings[0]}
        if not rest:
            return self._reading(first, field)
        there = [terms for terms in {first, *rest} if self._is_there(terms, field)]
        return max(self._reading(terms, field) for terms in there or [first])

    def _reading(self, terms: tuple[str, ...], field: str) -> float:
        """Return the bound of a reading for an item with it in every kind of text."""
        if field in APART:
            return max(self._apart(terms, name) for name in (field, *read_beside(field)))
        own = self._sum(terms, self._fields(field))
        return own if field else own + sum(self._weight(n) * self._apart(terms, n) for n in APART)

    def _apart(self, terms: tuple[str, ...], field: str) -> float:
        scores = ApartWords(self.documents, self.held)
        return sum(scores.score(field, (term,)) for term in terms)

    def _weight(self, name: str) -> float:
        return max(0.0, self.weights.apart.get(name, 0.0))

    def _is_there(self, terms: tuple[str, ...], field: str) -> bool:
        fields = (*self._fields(field), *(read_beside(field) if field else APART))
        return any(self.held(name, term) for name in fields for term in terms)

    def _sum(self, terms: tuple[str, ...], fields: Mapping[str, float]) -> float:
        return sum(
            weight * self._idf(self.held(name, term)) * (K1 + 1)
            for name, weight in fields.items()
            if weight > 0
            for term in terms
        )

    def _idf(self, held: int) -> float:
        return log1p((self.documents - held + 0.5) / (held + 0.5))
