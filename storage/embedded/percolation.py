"""Finds which stored queries match which items: a search in reverse, by the same compiler.

An item's own terms decide most queries (`item_terms`). For the others the items go into an index in
memory with the schema of the archive's, and each query is asked of it. A query is compiled once for
all batches. So the terms that a machine's text has are not looked up here, and a subject is not
replaced by the narrower codes of the archive's items: instead each item also has the broader topics
of its own codes, in a spelling that no document can have. A query with the beginning of a word is
compiled for each batch, with the words that begin so: an automaton takes milliseconds to make and
half a megabyte to keep.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import tantivy

from core.items import Item
from core.languages import primary_subtag
from core.query_tree import Bool, Keyword, Node, Prefix, with_leaves
from storage.embedded.item_terms import (
    KeptTerms,
    Verdict,
    broader_keys,
    subject_keys,
    verdict,
)
from storage.embedded.lexical.fields import build_schema, document_of, take_words
from storage.embedded.lexical.query import Compiler
from storage.record.item_fields import indexed_texts, keyword_field, unstemmed_field
from storage.words.analysis import analyzer
from storage.words.apart_words import ApartWords
from storage.words.query_readings import PLAIN
from storage.words.topics import Topics

T = TypeVar("T")
BoolMatrix = npt.NDArray[np.bool_]
Languages = Callable[[], Collection[str]]
_EVERY_WORD = ApartWords(1, lambda _field, _term: 1)  # any word may be in any field
_HEAP = 15_000_000  # the least that tantivy takes
_MOST_KEPT = 4096  # compiled queries, and verdicts
_SUBJECT = "subject"
_LAST = "\U0010ffff"  # sorts behind every continuation of a beginning


class Reading:
    """Compiles queries for batches, with words read in `languages`. It keeps those that are asked
    again and again. Thread-safe.
    """

    def __init__(self, languages: tuple[str, ...], topics: Topics) -> None:
        self.languages = languages
        self.topics = topics
        self.schema = build_schema()
        self._compiler = Compiler(self.schema, languages, (), PLAIN, _EVERY_WORD)
        self._queries: dict[Node, tantivy.Query] = {}
        self._verdicts: dict[Node, Verdict] = {}

    def compiled(self, tree: Node) -> tantivy.Query | None:
        """Return the query for every item that satisfies the tree, alternatives included; None if
        it has to be compiled for each batch (`compiled_for`).
        """
        return None if _has_beginning(tree) else self._compiler.throughout(self.with_topics(tree))

    def compiled_for(self, batch: Batch, tree: Node) -> tantivy.Query:
        """Return the query for the items of one batch."""
        compiler = Compiler(
            self.schema, self.languages, (), PLAIN, _EVERY_WORD, batch.words_beginning
        )
        return compiler.throughout(self.with_topics(tree))

    def kept_verdict(self, tree: Node) -> Verdict:
        """Return what decides by an item's own terms whether it satisfies the tree."""
        known = self._verdicts.get(tree)
        if known is None:
            known = verdict(tree, self.languages or ("en",), self.topics)
            _keep(self._verdicts, tree, known)
        return known

    def kept_query(self, tree: Node, batch: Batch) -> tantivy.Query:
        """Return the query for the items of one batch."""
        query = self._queries.get(tree) or self.compiled(tree)
        if query is None:
            return self.compiled_for(batch, tree)
        _keep(self._queries, tree, query)
        return query

    def batch(self, items: Sequence[Item]) -> Batch:
        """Return the items as a batch to ask."""
        return Batch(items, self.schema, self.topics)

    def with_topics(self, node: Node) -> Node:
        """Return the tree in which each subject also has the keys of the topics that it means."""

        def with_keys(leaf: Node) -> Node:
            if not isinstance(leaf, Keyword) or leaf.field != _SUBJECT:
                return leaf
            values = (*leaf.values, *subject_keys(leaf.values, self.topics))
            return Keyword(_SUBJECT, values)

        return with_leaves(node, with_keys)


class Batch:
    """Items in an index in memory."""

    def __init__(self, items: Sequence[Item], schema: tantivy.Schema, topics: Topics) -> None:
        self._items = items
        self._words: dict[str, list[str]] = {}
        index = tantivy.Index(schema)
        take_words(index)
        writer = index.writer(heap_size=_HEAP, num_threads=1)
        for place, item in enumerate(items):
            document = document_of(place, item)
            for key in broader_keys(item, topics):
                document.add_text(keyword_field(_SUBJECT), key)
            writer.add_document(document)
        writer.commit()
        index.reload()
        self._searcher = index.searcher()

    def matching(self, query: tantivy.Query) -> list[int]:
        """Return the places of the items that match, in no order."""
        most = len(self._items)
        found = self._searcher.search(query, most, count=False, order_by_field="seq")
        return [place for place, _ in found.hits]

    def words_beginning(self, field: str, letters: str) -> Sequence[str]:
        """Return the words of an unstemmed field that begin so, sorted."""
        if not self._words:
            found: dict[str, set[str]] = {}
            for item in self._items:
                for name, text in indexed_texts(item).items():
                    of_field = found.setdefault(unstemmed_field(name), set())
                    of_field.update(analyzer("und").analyze(text) if text else ())
            self._words = {name: sorted(words) for name, words in found.items()}
        words = self._words.get(field, [])
        start = bisect_left(words, letters)
        return words[start : bisect_left(words, letters + _LAST, start)]


class Percolator:
    """`core.ports.customers.TopicMatcher`. `languages` returns those of the archive's items, in
    which a search reads each word. Thread-safe.
    """

    def __init__(self, topics: Topics, languages: Languages) -> None:
        self._topics = topics
        self._languages = languages
        self._reading = Reading((), topics)
        self.terms = KeptTerms(topics)

    def reading(self, items: Sequence[Item]) -> Reading:
        """Return how queries are read for these items, the same object while no language is new."""
        held = {*self._languages(), *(primary_subtag(item.language) for item in items)}
        wanted = tuple(sorted(held))
        if wanted != self._reading.languages:
            self._reading = Reading(wanted, self._topics)
        return self._reading

    def matches(self, items: Sequence[Item], trees: Sequence[Node]) -> BoolMatrix:
        """Return whether item i matches tree j: bool [n, m]. Only what the items' own terms do not
        decide is asked of an index.
        """
        found = np.zeros((len(items), len(trees)), np.bool_)
        if not found.size:
            return found
        reading = self.reading(items)
        terms = [self.terms.of(item) for item in items]
        unsure = np.zeros_like(found)
        for column, tree in enumerate(trees):
            decide = reading.kept_verdict(tree)
            for row, item in enumerate(terms):
                answer = decide(item)
                found[row, column], unsure[row, column] = answer is True, answer is None
        if rows := np.flatnonzero(unsure.any(axis=1)).tolist():
            batch = reading.batch([items[row] for row in rows])
            for column in np.flatnonzero(unsure.any(axis=0)).tolist():
                for place in batch.matching(reading.kept_query(trees[column], batch)):
                    found[rows[place], column] = True
        return found


def _keep(kept: dict[Node, T], tree: Node, made: T) -> None:
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    kept[tree] = made


def _has_beginning(node: Node) -> bool:
    match node:
        case Prefix():
            return True
        case Bool(must, should, must_not):
            return any(map(_has_beginning, (*must, *should, *must_not)))
        case _:
            return False
