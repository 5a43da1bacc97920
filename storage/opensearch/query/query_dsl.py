"""Compiles the query tree into the query DSL. All clauses are structured, so OpenSearch never
parses a user's text as a query. `storage.words.query_readings` says what words mean, for both
engines.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from core.query_tree import (
    APART,
    TEXT_FIELDS,
    Bool,
    DateRange,
    Everything,
    Keyword,
    Node,
    Nothing,
    Phrase,
    Prefix,
    Recorded,
    Word,
    is_fact,
)
from core.retrieval import LexicalWeights
from storage.opensearch.index.body import GAP
from storage.record.item_fields import unstemmed_field
from storage.record.item_rows import to_micros
from storage.words.apart_words import ApartWords
from storage.words.query_readings import (
    LOOSE,
    PLAIN,
    SILENT,
    WHOLE,
    QueryReadings,
    WordPair,
    read_beside,
    without_stop_words,
)

Clause = dict[str, Any]
NONE: Mapping[str, Any] = {"match_none": {}}


def any_word(fields: Collection[str]) -> ApartWords:
    """Return the scores for conditions, which have none: any word may be in one of `fields`."""
    return ApartWords(1, lambda field, _term: int(field in fields))


class Compiler:
    """Compiles trees; `storage.words.query_readings.QueryReadings` reads their words."""

    def __init__(
        self,
        languages: tuple[str, ...],
        main: tuple[str, ...],
        weights: LexicalWeights = PLAIN,
        apart: ApartWords = SILENT,
    ) -> None:
        self._readings = QueryReadings(languages or ("en",), main, weights, apart)

    def scored(self, query: Node) -> Clause:
        """Return the query, scored by BM25."""
        scored = self._node(without_stop_words(query, self._readings.main))
        pairs = self._pairs(query)
        return {"bool": {"must": [scored], "should": pairs}} if pairs else scored

    def required(self, node: Node) -> Clause:
        """Return the query as a condition: a word that the analyzer splits must occur whole."""
        return self._node(node, strict=True)

    def narrowing(self, node: Node) -> Clause:
        """Return the condition for a vector search: all words and alternatives occur whole."""
        if not isinstance(node, Bool):
            return self.required(node)
        either = node.should if not node.must else ()
        parts = {
            "filter": [self.narrowing(child) for child in node.must],
            "should": [self.narrowing(child) for child in either],
            "must_not": [self.narrowing(child) for child in node.must_not],
        }
        return {"bool": {**parts, "minimum_should_match": 1 if either else 0}}

    def _node(self, node: Node, *, strict: bool = False) -> Clause:
        match node:
            case Word(text, field, boost):
                how = WHOLE if strict else LOOSE
                return _boosted(self._text(text, field, how), boost)
            case Phrase(text, field, slop, boost):
                return _boosted(self._text(text, field, slop), boost)
            case Prefix(text, field, boost):
                return _boosted(self._prefix(text, field), boost)
            case Keyword(field, values):
                keys = sorted({value.casefold() for value in values})
                return _unscored({"terms": {field: keys}})
            case DateRange():
                return _unscored(_dates(node))
            case Recorded(after, upto):
                return _unscored(_range("seq", {"gt": after, "lte": upto}))
            case Everything():
                return {"match_all": {"boost": 0.0}}
            case Nothing():
                return dict(NONE)
            case Bool():
                return self._bool(node)

    def _bool(self, node: Bool) -> Clause:
        """Compile a Bool. Facts are conditions; without `must`, one of `should` has to match."""
        facts = [self._node(child) for child in node.must if is_fact(child)]
        must = [self._node(child, strict=True) for child in node.must if not is_fact(child)]
        if not node.must and not node.should:
            facts.append(self._node(Everything()))
        clause: Clause = {
            "must": must,
            "filter": facts,
            "should": [self._node(child) for child in node.should],
            "must_not": [self._node(child, strict=True) for child in node.must_not],
        }
        least = {"minimum_should_match": 0 if node.must or not node.should else 1}
        return {"bool": {**{name: part for name, part in clause.items() if part}, **least}}

    def _text(self, text: str, field: str, slop: int) -> Clause:
        return _best([self._reading(terms, field, slop) for terms in self._readings.of(text)])

    def _reading(self, terms: Sequence[str], field: str, slop: int) -> Clause:
        if field in APART:
            return _any(self._apart(terms, slop, field))
        if field:
            return self._terms(terms, field, slop)
        clauses = [self._terms(terms, "all", slop)]
        for name, weight in self._readings.fields:
            clauses.append(_boosted(self._terms(terms, name, slop), weight))
        return _any(clauses + self._apart(terms, slop))

    def _apart(self, terms: Sequence[str], slop: int, field: str = "") -> list[Clause]:
        """Return clauses for the terms in the words that are no part of a text."""
        return [
            _constant(self._terms(whole, name, slop), score)
            for name, whole, score in self._readings.found_apart(terms, slop, field)
        ]

    def _pairs(self, query: Node) -> list[Clause]:
        """Return clauses that add to the score if neighbouring words of the query are close."""
        return [
            _boosted(_best([_near(reading, slop) for reading in pair]), weight)
            for pair, slop, weight in self._readings.pairs(query)
        ]

    def _terms(self, terms: Sequence[str], field: str, slop: int) -> Clause:
        """Return the clause for the terms in order, within `slop`; with LOOSE for any of them."""
        if slop == LOOSE and len(terms) > 1:
            return _any([_term(field, term) for term in self._readings.telling(terms)])
        return _term(field, terms[0]) if len(terms) == 1 else _phrase(field, " ".join(terms), slop)

    def _prefix(self, text: str, field: str) -> Clause:
        words = self._readings.beginning(text)
        if not words:
            return dict(NONE)
        names = (field, *read_beside(field)) if field else TEXT_FIELDS
        found = {name: _beginning(words, name) for name in names}
        if not field:
            for name in APART:
                found[name] = _boosted(found[name], self._readings.apart_weight(name))
        return _best(list(found.values()))


def _beginning(words: Sequence[str], field: str) -> Clause:
    """Return the clause for all whole words but the last, and a word that begins with the last."""
    name = unstemmed_field(field)
    clauses: list[Clause] = [{"prefix": {name: {"value": words[-1]}}}]
    clauses += [_term(name, word) for word in words[:-1]]
    return clauses[0] if len(clauses) == 1 else {"bool": {"must": clauses}}


def _term(field: str, term: str) -> Clause:
    return {"term": {field: {"value": term}}}


def _phrase(field: str, terms: str, slop: int) -> Clause:
    """Return a phrase; its terms are joined by spaces, at which the field's analyzer splits."""
    return {"match_phrase": {field: {"query": terms, "slop": slop}}}


def _near(pair: WordPair, slop: int) -> Clause:
    gaps = [GAP] * (pair.distance - 1)
    return _phrase("all", " ".join((pair.first, *gaps, pair.second)), slop)


def _any(clauses: list[Clause]) -> Clause:
    """Return the clause that needs one of the clauses and adds up their scores."""
    if not clauses:
        return dict(NONE)
    return clauses[0] if len(clauses) == 1 else {"bool": {"should": clauses}}


def _best(clauses: list[Clause]) -> Clause:
    """Return the clause that needs one of the clauses and takes the best of their scores."""
    if not clauses:
        return dict(NONE)
    return clauses[0] if len(clauses) == 1 else {"dis_max": {"queries": clauses}}


def _boosted(clause: Clause, boost: float) -> Clause:
    """Return the clause with its score multiplied."""
    return clause if boost == 1.0 else {"bool": {"must": [clause], "boost": boost}}


def _constant(clause: Clause, score: float) -> Clause:
    return {"constant_score": {"filter": clause, "boost": score}}


def _unscored(clause: Clause) -> Clause:
    return _constant(clause, 0.0)


def _dates(node: DateRange) -> Clause:
    bounds = {"gte": node.since, "lt": node.until}
    limits = {name: None if at is None else to_micros(at) for name, at in bounds.items()}
    return _range(node.field, limits)


def _range(field: str, bounds: Mapping[str, int | None]) -> Clause:
    limits = {name: bound for name, bound in bounds.items() if bound is not None}
    return {"range": {field: limits}} if limits else {"match_all": {}}
