"""Compiles the query tree for tantivy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import log1p

import tantivy
from tantivy import Occur, Query

from core.query_tree import (
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
)
from storage.analysis import analyzer
from storage.embedded.documents import to_micros
from storage.stop_words import is_stop_word

_WHOLE, _LOOSE = 0, -1  # a word of several terms: side by side, or any of them
K1 = 1.2  # tantivy's and Lucene's
HEADLINE_SHARE = 0.3  # of the headline's own BM25, beside that of the whole item
_SHORTEST_PREFIX = 2
_PATTERN_SIGN = re.compile(r"([\\.+*?()|\[\]{}^$#&~-])")  # the only ones that may be escaped there


def keyword_field(name: str) -> str:
    """The name of the raw field behind a keyword."""
    return f"is_{name}"


def unstemmed_field(name: str) -> str:
    """The name of the field that holds a text field's words as they are written, for prefixes: a
    stem ("ferri" of "ferry") need not begin as its word does.
    """
    return f"{name}_words"


class Compiler:
    """Compiles trees for one schema. A word means what it means in any of `languages` (those that
    the archive holds); scores of its readings are not added up. The stop words of the `main` ones
    are left out of lists of optional words.
    """

    def __init__(
        self, schema: tantivy.Schema, languages: tuple[str, ...], main: tuple[str, ...]
    ) -> None:
        self._schema = schema
        self._languages = languages or ("en",)
        self._main = main

    def scored(self, query: Node, filters: Node | None = None) -> Query:
        """The query, scored by BM25; filters and other facts add nothing to a score."""
        compiled = self._node(_without_stop_words(query, self._main))
        if filters is None or isinstance(filters, Everything):
            return compiled
        held = Query.const_score_query(self._node(filters), 0.0)
        return Query.boolean_query([(Occur.Must, compiled), (Occur.Must, held)])

    def bound(self, query: Node, searcher: tantivy.Searcher) -> float:
        """BM25's supremum for the query: the sum over its distinct terms of idf times k1 + 1, with
        the headline's share. What an item gets that has each of them without end; words that no
        item has count in full.
        """
        terms: set[str] = set()
        for text in _ranking_texts(_without_stop_words(query, self._main)):
            terms.update(analyzer((*self._main, *self._languages)[0]).analyze(text))
        count = searcher.num_docs

        def most(field: str, term: str) -> float:
            held = searcher.doc_freq(field, term)
            return log1p((count - held + 0.5) / (held + 0.5)) * (K1 + 1)

        return sum(most("all", term) + HEADLINE_SHARE * most("headline", term) for term in terms)

    def required(self, node: Node) -> Query:
        """The query as a condition: a word that the analyzer takes apart must be there whole."""
        return self._node(node, strict=True)

    def readings(self, word: str) -> set[str]:
        """The terms that a word of one term may be, by language."""
        found = (analyzer(language).analyze(word) for language in self._languages)
        return {terms[0] for terms in found if len(terms) == 1}

    def written(self, term: str, filters: Node) -> Query:
        """The unstemmed `term` in any text field, within `filters`."""
        names = [unstemmed_field(name) for name in TEXT_FIELDS]
        terms = [Query.term_query(self._schema, name, term) for name in names]
        found = Query.boolean_query([(Occur.Should, query) for query in terms])
        return Query.boolean_query([(Occur.Must, found), (Occur.Must, self._node(filters))])

    def within(self, seq: int, node: Node) -> Query:
        """The query as a condition on one item."""
        one = Query.term_query(self._schema, "seq", seq)
        return Query.boolean_query([(Occur.Must, one), (Occur.Must, self.required(node))])

    def _node(self, node: Node, *, strict: bool = False) -> Query:
        match node:
            case Word(text, field, boost):
                how = _WHOLE if strict else _LOOSE
                return _boosted(self._text(text, field, how), boost)
            case Phrase(text, field, slop, boost):
                return _boosted(self._text(text, field, slop), boost)
            case Prefix(text, field, boost):
                return _boosted(self._prefix(text, field), boost)
            case Keyword(field, values):
                keys = [value.casefold() for value in values]
                terms = Query.term_set_query(self._schema, keyword_field(field), keys)
                return Query.const_score_query(terms, 0.0)
            case DateRange():
                return self._dates(node)
            case Everything():
                return Query.const_score_query(Query.all_query(), 0.0)
            case Nothing():
                return Query.empty_query()
            case Bool():
                return self._bool(node)

    def _bool(self, node: Bool) -> Query:
        clauses = [(Occur.Must, self._node(child, strict=True)) for child in node.must]
        clauses += [(Occur.Should, self._node(child)) for child in node.should]
        clauses += [(Occur.MustNot, self._node(child, strict=True)) for child in node.must_not]
        if not node.must and not node.should:
            clauses.append((Occur.Must, self._node(Everything())))
        return Query.boolean_query(clauses)

    def _text(self, text: str, field: str, slop: int) -> Query:
        readings = {tuple(analyzer(language).analyze(text)) for language in self._languages}
        queries = [self._reading(terms, field, slop) for terms in sorted(readings) if terms]
        if not queries:
            return Query.empty_query()
        return queries[0] if len(queries) == 1 else Query.disjunction_max_query(queries)

    def _reading(self, terms: Sequence[str], field: str, slop: int) -> Query:
        if field:
            return self._terms(terms, field, slop)
        headline = Query.boost_query(self._terms(terms, "headline", slop), HEADLINE_SHARE)
        whole = self._terms(terms, "all", slop)
        return Query.boolean_query([(Occur.Should, whole), (Occur.Should, headline)])

    def _terms(self, terms: Sequence[str], field: str, slop: int) -> Query:
        """The terms within `slop` of each other in order; with slop _LOOSE any of them, as Lucene
        reads "time-sharing" in a list of words.
        """
        if slop == _LOOSE and len(terms) > 1:
            telling = [term for term in terms if not is_stop_word(term, self._main)] or terms
            each = [Query.term_query(self._schema, field, term) for term in telling]
            return Query.boolean_query([(Occur.Should, query) for query in each])
        if len(terms) == 1:
            return Query.term_query(self._schema, field, terms[0])
        words: list[str | tuple[int, str]] = list(terms)
        return Query.phrase_query(self._schema, field, words, slop)

    def _prefix(self, text: str, field: str) -> Query:
        words = analyzer("und").analyze(text)
        if len("".join(words)) < _SHORTEST_PREFIX:
            return Query.empty_query()
        fields = [field] if field else TEXT_FIELDS
        return Query.disjunction_max_query([self._beginning(words, name) for name in fields])

    def _beginning(self, words: Sequence[str], field: str) -> Query:
        """The whole words before the last one, and any that begins as the last."""
        name = unstemmed_field(field)
        pattern = _PATTERN_SIGN.sub(r"\\\1", words[-1]) + ".*"
        clauses = [Query.regex_query(self._schema, name, pattern)]
        clauses += [Query.term_query(self._schema, name, word) for word in words[:-1]]
        return Query.boolean_query([(Occur.Must, clause) for clause in clauses])

    def _dates(self, node: DateRange) -> Query:
        lower = None if node.since is None else to_micros(node.since)
        upper = None if node.until is None else to_micros(node.until)
        if lower is None and upper is None:
            return self._node(Everything())
        dates = Query.range_query(
            self._schema,
            node.field,
            tantivy.FieldType.Integer,
            lower,
            upper,
            include_lower=True,
            include_upper=upper is None,  # tantivy counts an open end as included
        )
        return Query.const_score_query(dates, 0.0)


def _ranking_texts(node: Node) -> Iterator[str]:
    """The words and phrases that an item may score by."""
    match node:
        case Word(text) | Phrase(text):
            yield text
        case Bool(must, should, _):
            for child in (*must, *should):
                yield from _ranking_texts(child)


def _boosted(query: Query, boost: float) -> Query:
    return query if boost == 1.0 else Query.boost_query(query, boost)


def _without_stop_words(node: Node, languages: tuple[str, ...]) -> Node:
    """Leaves common words out of a list of optional words, unless it holds nothing else."""
    if not isinstance(node, Bool) or not node.should:
        return node
    kept = tuple(
        child
        for child in node.should
        if not (isinstance(child, Word) and not child.field and is_stop_word(child.text, languages))
    )
    return Bool(node.must, kept or node.should, node.must_not)
