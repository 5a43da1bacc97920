"""Which stored queries match which items: the other way round of a search, by the same compiler.

The items go into an index in memory with the schema of the archive's, and each query is asked of
it. A query is compiled once for all batches. So the terms that a machine's text has are not looked
up here, and a subject is not replaced by the narrower codes of the archive's items: instead each
item also has the broader topics of its own codes, in a spelling that no document can have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt
import tantivy

from core.items import Item
from core.query_tree import Bool, Keyword, Node
from storage.embedded.lexical.fields import build_schema, document_of, take_unstemmed
from storage.embedded.lexical.query import Compiler
from storage.record.item_fields import keyword_field
from storage.words.analysis import primary_subtag
from storage.words.machine_words import MachineWords
from storage.words.query_words import PLAIN
from storage.words.topics import Topics

BoolMatrix = npt.NDArray[np.bool_]
Languages = Callable[[], Collection[str]]
_EVERY_WORD = MachineWords(1, lambda _field, _term: 1)  # any word may be a machine's
_HEAP = 15_000_000  # the least that tantivy takes
_MOST_KEPT = 4096  # compiled queries
_SUBJECT = "subject"
_MARK = "\x1f"  # reading a document removes this sign


def topic_key(code: str) -> str:
    """Return the value of a subject field that stands for a topic and all below it."""
    return _MARK + code


def broader_keys(item: Item, topics: Topics) -> set[str]:
    """Return the keys of the topics at and above the codes of an item's subjects."""
    codes = (topics.code(concept.code) for concept in item.subject if concept.code)
    return {topic_key(topic) for code in codes for topic in topics.line(code)}


def subject_keys(values: Sequence[str], topics: Topics) -> tuple[str, ...]:
    """Return the keys that stand for the topics that `values` mean."""
    return tuple(topic_key(topic) for value in values for topic in topics.meant(value))


class Reading:
    """Compiles queries for batches, with words read in `languages`. Thread-safe."""

    def __init__(self, languages: tuple[str, ...], topics: Topics) -> None:
        self.languages = languages
        self.topics = topics
        self.schema = build_schema()
        self._compiler = Compiler(self.schema, languages, (), PLAIN, _EVERY_WORD)

    def compiled(self, tree: Node) -> tantivy.Query:
        """Return the query for every item that satisfies the tree, alternatives included."""
        return self._compiler.throughout(self._with_topics(tree))

    def batch(self, items: Sequence[Item]) -> Batch:
        """Return the items as a batch to ask."""
        return Batch(items, self.schema, self.topics)

    def _with_topics(self, node: Node) -> Node:
        match node:
            case Keyword(field, values) if field == _SUBJECT:
                return Keyword(field, (*values, *subject_keys(values, self.topics)))
            case Bool(must, should, must_not):
                parts = (must, should, must_not)
                return Bool(*(tuple(self._with_topics(one) for one in part) for part in parts))
            case _:
                return node


class Batch:
    """Items in an index in memory."""

    def __init__(self, items: Sequence[Item], schema: tantivy.Schema, topics: Topics) -> None:
        self._size = len(items)
        index = tantivy.Index(schema)
        take_unstemmed(index)
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
        found = self._searcher.search(query, self._size, count=False, order_by_field="seq")
        return [place for place, _ in found.hits]


class Percolator:
    """`core.customer_ports.TopicMatcher`. `languages` returns those of the archive's items, in
    which a search reads each word. Thread-safe.
    """

    def __init__(self, topics: Topics, languages: Languages) -> None:
        self._topics = topics
        self._languages = languages
        self._reading = Reading((), topics)
        self._compiled: dict[Node, tantivy.Query] = {}

    def reading(self, items: Sequence[Item]) -> Reading:
        """Return how queries are read for these items, the same object while no language is new."""
        held = {*self._languages(), *(primary_subtag(item.language) for item in items)}
        wanted = tuple(sorted(held))
        if wanted != self._reading.languages:
            self._compiled = {}
            self._reading = Reading(wanted, self._topics)
        return self._reading

    def matches(self, items: Sequence[Item], trees: Sequence[Node]) -> BoolMatrix:
        """Return whether item i matches tree j: bool [n, m]."""
        found = np.zeros((len(items), len(trees)), np.bool_)
        if not found.size:
            return found
        reading, kept = self.reading(items), self._compiled
        batch = reading.batch(items)
        for place, tree in enumerate(trees):
            query = kept.get(tree)
            if query is None:
                if len(kept) >= _MOST_KEPT:
                    kept.clear()
                query = kept[tree] = reading.compiled(tree)
            found[batch.matching(query), place] = True
        return found
