"""Compiles the query tree for tantivy. `storage.words.query_readings` says what words mean, for
both engines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeAlias

import tantivy
from tantivy import Occur, Query

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
)
from core.retrieval import LexicalWeights
from storage.record.item_fields import keyword_field, unstemmed_field
from storage.record.item_rows import to_micros
from storage.words.analysis import LONGEST_TERM
from storage.words.apart_words import ApartWords
from storage.words.query_readings import (
    LOOSE,
    PLAIN,
    SILENT,
    WHOLE,
    QueryReadings,
    WordPair,
    read_beside,
    readings,
    without_stop_words,
)

_FEW_KEYS = 16
_MANY_ITEMS = 800
_MOST_KNOWN = 4096  # words whose query is kept
_PATTERN_SIGN = re.compile(r"([\\.+*?()|\[\]{}^$#&~-])")  # the only signs that may be escaped

Clause: TypeAlias = tuple[tantivy.Occur, Query]
Beginnings: TypeAlias = Callable[[str, str], Sequence[str]]


class Compiler:
    """Compiles trees for one schema; `storage.words.query_readings.QueryReadings` reads their
    words. The scores of words that are no part of a text do not change, so each word is compiled
    once. `beginnings`, if given, returns the words of an unstemmed field with a beginning, for an
    index so small that they are found faster than an automaton is made.
    """

    def __init__(
        self,
        schema: tantivy.Schema,
        languages: tuple[str, ...],
        main: tuple[str, ...],
        weights: LexicalWeights = PLAIN,
        apart: ApartWords = SILENT,
        beginnings: Beginnings | None = None,
    ) -> None:
        self._schema = schema
        self._readings = QueryReadings(languages or ("en",), main, weights, apart)
        self._beginnings = beginnings
        self._known: dict[tuple[str, str, int], Query] = {}
        self._known_parts: dict[str, list[Clause]] = {}

    def weighing(self, weights: LexicalWeights) -> Compiler:
        """Return the same compiler with other weights."""
        read = self._readings
        return Compiler(self._schema, read.languages, read.main, weights, read.apart)

    def scored(self, query: Node, filters: Node | None = None) -> Query:
        """Return the query, scored by BM25; filters and other facts add nothing to a score."""
        clauses = [(Occur.Must, self._ranking(without_stop_words(query, self._readings.main)))]
        if filters is not None and not isinstance(filters, Everything):
            clauses.append((Occur.Must, Query.const_score_query(self._node(filters), 0.0)))
        clauses += [(Occur.Should, beside) for beside in self._pairs(query)]
        return clauses[0][1] if len(clauses) == 1 else Query.boolean_query(clauses)

    def required(self, node: Node) -> Query:
        """Return the query as a condition: a word that the analyzer splits must occur whole."""
        return self._node(node, strict=True)

    def throughout(self, node: Node) -> Query:
        """Return the query as `required`, where alternatives must also occur whole."""
        return self._node(node, strict=True, throughout=True)

    def readings(self, word: str) -> set[str]:
        """Return the terms that a word of one term may become, over the languages."""
        return readings(word, self._readings.languages)

    def written(self, term: str, filters: Node) -> Query:
        """Return the query for the unstemmed `term` in any text field, within `filters`."""
        names = [unstemmed_field(name) for name in TEXT_FIELDS]
        terms = [Query.term_query(self._schema, name, term) for name in names]
        found = Query.boolean_query([(Occur.Should, query) for query in terms])
        if isinstance(filters, Everything):
            return found
        return Query.boolean_query([(Occur.Must, found), (Occur.Must, self._node(filters))])

    def within(self, seq: int, node: Node) -> Query:
        """Return the query as a condition on one item."""
        one = Query.term_query(self._schema, "seq", seq)
        return Query.boolean_query([(Occur.Must, one), (Occur.Must, self.required(node))])

    def among(self, seqs: Sequence[int], query: Query) -> Query:
        """Return the query for matches among some hundred items. Up to a thousand of them are
        looked up one by one, in a third of the time of an automaton of the set.
        """
        if len(seqs) > _MANY_ITEMS:
            items = Query.term_set_query(self._schema, "seq", seqs)
        else:
            each = [Query.term_query(self._schema, "seq", seq) for seq in seqs]
            items = Query.boolean_query([(Occur.Should, one) for one in each])
        return Query.boolean_query([(Occur.Must, items), (Occur.Must, query)])

    def _node(self, node: Node, *, strict: bool = False, throughout: bool = False) -> Query:
        match node:
            case Word(text, field, boost):
                how = WHOLE if strict else LOOSE
                return _boosted(self._text(text, field, how), boost)
            case Phrase(text, field, slop, boost):
                return _boosted(self._text(text, field, slop), boost)
            case Prefix(text, field, boost):
                return _boosted(self._prefix(text, field), boost)
            case Keyword(field, values):
                return self._keyword(field, [value.casefold() for value in values])
            case DateRange(field, since, until):
                return self._range(field, *_micros(since, until))
            case Recorded(after, upto):
                return self._range("seq", _following(after), _following(upto))
            case Everything():
                return Query.const_score_query(Query.all_query(), 0.0)
            case Nothing():
                return Query.empty_query()
            case Bool():
                return self._bool(node, throughout)

    def _keyword(self, field: str, keys: Sequence[str]) -> Query:
        """Return the query for one of `keys`. A few keys are looked up one by one, a hundred times
        as fast as by an automaton of the set.
        """
        name = keyword_field(field)
        if len(keys) > _FEW_KEYS:
            found = Query.term_set_query(self._schema, name, keys)
            return Query.const_score_query(found, 0.0)
        terms = [Query.term_query(self._schema, name, key) for key in keys]
        found = (
            terms[0]
            if len(terms) == 1
            else Query.boolean_query([(Occur.Should, one) for one in terms])
        )
        return Query.const_score_query(found, 0.0)

    def _ranking(self, node: Node) -> Query:
        """Compile a list of optional words as one flat list of terms, which tantivy adds up a third
        faster than nested lists. The other order may change the last bit of a score.
        """
        if not isinstance(node, Bool) or node.must or node.must_not or not node.should:
            return self._node(node)
        return Query.boolean_query([part for child in node.should for part in self._parts(child)])

    def _parts(self, child: Node) -> list[Clause]:
        """Return the clauses of one child of a list; a word with several readings is one clause, as
        only its best reading counts.
        """
        if not isinstance(child, Word) or child.field or child.boost != 1.0:
            return [(Occur.Should, self._node(child))]
        known = self._known_parts.get(child.text)
        if known is None:
            known = self._parts_of(child)
            if len(child.text) <= LONGEST_TERM:
                if len(self._known_parts) >= _MOST_KNOWN:
                    self._known_parts.clear()
                self._known_parts[child.text] = known
        return known

    def _parts_of(self, word: Word) -> list[Clause]:
        found = self._readings.of(word.text)
        if len(found) != 1:
            return [(Occur.Should, self._node(word))]
        telling = self._readings.telling(found[0])
        return [part for term in telling for part in self._clauses((term,), LOOSE)]

    def _bool(self, node: Bool, throughout: bool) -> Query:
        def needed(child: Node) -> Query:
            return self._node(child, strict=True, throughout=throughout)

        some = needed if throughout else self._node
        clauses = [(Occur.Must, needed(child)) for child in node.must]
        clauses += [(Occur.Should, some(child)) for child in node.should]
        clauses += [(Occur.MustNot, needed(child)) for child in node.must_not]
        if not node.must and not node.should:
            clauses.append((Occur.Must, self._node(Everything())))
        return Query.boolean_query(clauses)

    def _text(self, text: str, field: str, slop: int) -> Query:
        if len(text) > LONGEST_TERM:
            return self._compiled_text(text, field, slop)
        key = (text, field, slop)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = self._compiled_text(text, field, slop)
        return found

    def _compiled_text(self, text: str, field: str, slop: int) -> Query:
        queries = [self._reading(terms, field, slop) for terms in self._readings.of(text)]
        if not queries:
            return Query.empty_query()
        return queries[0] if len(queries) == 1 else Query.disjunction_max_query(queries)

    def _reading(self, terms: Sequence[str], field: str, slop: int) -> Query:
        if field in APART:
            return Query.boolean_query(self._apart(terms, slop, field))
        if field:
            return self._terms(terms, field, slop)
        return Query.boolean_query(self._clauses(terms, slop))

    def _clauses(self, terms: Sequence[str], slop: int) -> list[Clause]:
        """Return the clauses for the terms of a word without a field; their scores are added up."""
        clauses = [(Occur.Should, self._terms(terms, "all", slop))]
        for name, weight in self._readings.fields:
            part = Query.boost_query(self._terms(terms, name, slop), weight)
            clauses.append((Occur.Should, part))
        return clauses + self._apart(terms, slop)

    def _apart(self, terms: Sequence[str], slop: int, field: str = "") -> list[Clause]:
        """Return clauses for the terms in the words that are no part of a text."""
        found = self._readings.found_apart(terms, slop, field)
        parts = ((self._terms(whole, name, slop), score) for name, whole, score in found)
        return [(Occur.Should, Query.const_score_query(part, score)) for part, score in parts]

    def _pairs(self, query: Node) -> Iterator[Query]:
        """Yield queries that add to the score if neighbouring words of the query are close."""
        for pair, slop, weight in self._readings.pairs(query):
            found = [self._near(reading, slop) for reading in pair]
            best = found[0] if len(found) == 1 else Query.disjunction_max_query(found)
            yield Query.boost_query(best, weight)

    def _near(self, pair: WordPair, slop: int) -> Query:
        words: list[str | tuple[int, str]] = [(0, pair.first), (pair.distance, pair.second)]
        return Query.phrase_query(self._schema, "all", words, slop)

    def _terms(self, terms: Sequence[str], field: str, slop: int) -> Query:
        """Return the query for the terms in order, within `slop`; with slop LOOSE for any of them,
        as Lucene reads "time-sharing" in a list of words.
        """
        if slop == LOOSE and len(terms) > 1:
            telling = self._readings.telling(terms)
            each = [Query.term_query(self._schema, field, term) for term in telling]
            return Query.boolean_query([(Occur.Should, query) for query in each])
        if len(terms) == 1:
            return Query.term_query(self._schema, field, terms[0])
        words: list[str | tuple[int, str]] = list(terms)
        return Query.phrase_query(self._schema, field, words, slop)

    def _prefix(self, text: str, field: str) -> Query:
        words = self._readings.beginning(text)
        if not words:
            return Query.empty_query()
        names = (field, *read_beside(field)) if field else TEXT_FIELDS
        found = {name: self._beginning(words, name) for name in names}
        if not field:
            for name in APART:
                found[name] = _boosted(found[name], self._readings.apart_weight(name))
        return Query.disjunction_max_query(list(found.values()))

    def _beginning(self, words: Sequence[str], field: str) -> Query:
        """Return the query for whole words, and a last one that is the beginning of a word."""
        name = unstemmed_field(field)
        if self._beginnings is not None:
            found = [*self._beginnings(name, words[-1])]
            clauses = [Query.term_set_query(self._schema, name, found)]
        else:
            pattern = _PATTERN_SIGN.sub(r"\\\1", words[-1]) + ".*"
            clauses = [Query.regex_query(self._schema, name, pattern)]
        clauses += [Query.term_query(self._schema, name, word) for word in words[:-1]]
        return Query.boolean_query([(Occur.Must, clause) for clause in clauses])

    def _range(self, field: str, lower: int | None, upper: int | None) -> Query:
        """Return the query for numbers in [lower, upper); None leaves that side open."""
        if lower is None and upper is None:
            return self._node(Everything())
        numbers = Query.range_query(
            self._schema,
            field,
            tantivy.FieldType.Integer,
            lower,
            upper,
            include_lower=True,
            include_upper=upper is None,  # tantivy counts an open end as included
        )
        return Query.const_score_query(numbers, 0.0)


def _micros(since: datetime | None, until: datetime | None) -> tuple[int | None, int | None]:
    bounds = (None if moment is None else to_micros(moment) for moment in (since, until))
    return next(bounds), next(bounds)


def _following(number: int | None) -> int | None:
    return None if number is None else number + 1


def _boosted(query: Query, boost: float) -> Query:
    return query if boost == 1.0 else Query.boost_query(query, boost)
