"""Compiles the query tree into the query DSL: structured clauses only, so that no text of a user's
is ever read as a query. What words mean is `storage.words.query_readings`, as for the embedded
engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.query_tree import (
    MACHINE,
    TEXT_FIELDS,
    Bool,
    DateRange,
    Everything,
    Keyword,
    Node,
    Nothing,
    Phrase,
    Prefix,
    Word,
    is_fact,
)
from core.retrieval import LexicalWeights
from storage.opensearch.index.body import GAP
from storage.record.item_fields import unstemmed_field
from storage.record.item_rows import to_micros
from storage.words.machine_words import MachineWords
from storage.words.query_readings import LOOSE, SILENT, WHOLE, QueryReadings
from storage.words.query_words import PLAIN, without_stop_words
from storage.words.word_pairs import WordPair

Clause = dict[str, Any]
NONE: Mapping[str, Any] = {"match_none": {}}
EVERY_WORD = MachineWords(1, lambda _field, _term: 1)  # for conditions, which score nothing


class Compiler:
    """Compiles trees, for words as `storage.words.query_readings.QueryReadings` reads them."""

    def __init__(
        self,
        languages: tuple[str, ...],
        main: tuple[str, ...],
        weights: LexicalWeights = PLAIN,
        machine: MachineWords = SILENT,
    ) -> None:
        self._readings = QueryReadings(languages or ("en",), main, weights, machine)

    def scored(self, query: Node) -> Clause:
        """The query, scored by BM25."""
        scored = self._node(without_stop_words(query, self._readings.main))
        pairs = self._pairs(query)
        return {"bool": {"must": [scored], "should": pairs}} if pairs else scored

    def required(self, node: Node) -> Clause:
        """The query as a condition: a word that the analyzer takes apart must be there whole."""
        return self._node(node, strict=True)

    def narrowing(self, node: Node) -> Clause:
        """What narrows a search for vectors: as `required`, with every alternative whole, too."""
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
            case Everything():
                return {"match_all": {"boost": 0.0}}
            case Nothing():
                return dict(NONE)
            case Bool():
                return self._bool(node)

    def _bool(self, node: Bool) -> Clause:
        """Facts are conditions; with no `must`, one of `should` has to hold."""
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
        if field == MACHINE:
            return _any(self._said(terms, slop, 1.0))
        if field:
            return self._terms(terms, field, slop)
        clauses = [self._terms(terms, "all", slop)]
        for name, weight in self._readings.fields:
            clauses.append(_boosted(self._terms(terms, name, slop), weight))
        return _any(clauses + self._said(terms, slop, self._readings.machine_weight))

    def _said(self, terms: Sequence[str], slop: int, weight: float) -> list[Clause]:
        """The terms as machines say them."""
        return [
            _constant(self._terms(whole, MACHINE, slop), weight * score)
            for whole, score in self._readings.said(terms, slop)
        ]

    def _pairs(self, query: Node) -> list[Clause]:
        """What neighbouring words of the query add where they are near each other."""
        return [
            _boosted(_best([_near(reading, slop) for reading in pair]), weight)
            for pair, slop, weight in self._readings.pairs(query)
        ]

    def _terms(self, terms: Sequence[str], field: str, slop: int) -> Clause:
        """The terms within `slop` of each other in order; with slop LOOSE any of them."""
        if slop == LOOSE and len(terms) > 1:
            return _any([_term(field, term) for term in self._readings.telling(terms)])
        return _term(field, terms[0]) if len(terms) == 1 else _phrase(field, " ".join(terms), slop)

    def _prefix(self, text: str, field: str) -> Clause:
        words = self._readings.beginning(text)
        if not words:
            return dict(NONE)
        if field:
            return _beginning(words, field)
        found = {name: _beginning(words, name) for name in TEXT_FIELDS}
        found[MACHINE] = _boosted(found[MACHINE], self._readings.machine_weight)
        return _best(list(found.values()))


def _beginning(words: Sequence[str], field: str) -> Clause:
    """The whole words before the last one, and any that begins as the last."""
    name = unstemmed_field(field)
    clauses: list[Clause] = [{"prefix": {name: {"value": words[-1]}}}]
    clauses += [_term(name, word) for word in words[:-1]]
    return clauses[0] if len(clauses) == 1 else {"bool": {"must": clauses}}


def _term(field: str, term: str) -> Clause:
    return {"term": {field: {"value": term}}}


def _phrase(field: str, terms: str, slop: int) -> Clause:
    """Terms by spaces, which is all that the field's analyzer looks at."""
    return {"match_phrase": {field: {"query": terms, "slop": slop}}}


def _near(pair: WordPair, slop: int) -> Clause:
    gaps = [GAP] * (pair.distance - 1)
    return _phrase("all", " ".join((pair.first, *gaps, pair.second)), slop)


def _any(clauses: list[Clause]) -> Clause:
    """What satisfies one of the clauses; their scores are added up."""
    if not clauses:
        return dict(NONE)
    return clauses[0] if len(clauses) == 1 else {"bool": {"should": clauses}}


def _best(clauses: list[Clause]) -> Clause:
    """What satisfies one of the clauses; the best of their scores counts."""
    if not clauses:
        return dict(NONE)
    return clauses[0] if len(clauses) == 1 else {"dis_max": {"queries": clauses}}


def _boosted(clause: Clause, boost: float) -> Clause:
    """The clause with its score multiplied."""
    return clause if boost == 1.0 else {"bool": {"must": [clause], "boost": boost}}


def _constant(clause: Clause, score: float) -> Clause:
    return {"constant_score": {"filter": clause, "boost": score}}


def _unscored(clause: Clause) -> Clause:
    return _constant(clause, 0.0)


def _dates(node: DateRange) -> Clause:
    bounds = {"gte": node.since, "lt": node.until}
    limits = {name: to_micros(moment) for name, moment in bounds.items() if moment is not None}
    return {"range": {node.field: limits}} if limits else {"match_all": {}}
