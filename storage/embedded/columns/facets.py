"""Counts facets over the columns, and expands filters by subject to the topics below.

Before retrieval, the codes that the archive's items really have are added to a filter's value. So a
new vocabulary needs no rebuild, both retrievers get the same list, and the list has no codes that
the archive does not use. The facet `subject` counts broader topics, too.
"""

from __future__ import annotations

from threading import Lock

from core.query_tree import Node
from core.retrieval import DateBuckets, FacetCount, Ids, Retrieval
from storage.embedded.columns.facts import Columns, ValueColumn
from storage.record.facts import check_facet
from storage.words.date_buckets import count_dates
from storage.words.topics import TopicCounts, Topics, expanded, expanded_request


def count_facets(
    columns: Columns, ids: Ids, name: str, limit: int, buckets: DateBuckets
) -> tuple[FacetCount, ...]:
    """Return the values of facet `name` among `ids`: dates newest first, others by count."""
    if name == "versioncreated":
        return count_dates(columns.dates["versioncreated"].view()[ids], limit, buckets)
    check_facet(name)
    return columns.values[name].counts(ids, limit)


class TopicFacet:
    """`storage.words.topics.TopicCounts` over the columns of names and of codes."""

    def __init__(self, topics: Topics, names: ValueColumn, codes: ValueColumn) -> None:
        self._counts = TopicCounts(topics)
        self._names = names
        self._codes = codes

    def counts(self, ids: Ids, limit: int) -> tuple[FacetCount, ...]:
        """Return the most frequent subjects and broader topics of `ids`, by count, then label."""
        labels, written = self._names.labels, self._codes.labels
        pairs = zip(self._names.numbers_of(ids), self._codes.numbers_of(ids), strict=True)
        items = (
            ([labels[n] for n in names], [written[n] for n in codes]) for names, codes in pairs
        )
        return self._counts.of(items, limit)


class TopicCodes:
    """The codes in the growing `column` at or below each topic. Thread-safe."""

    def __init__(self, topics: Topics, column: ValueColumn) -> None:
        self._topics = topics
        self._column = column
        self._below: dict[str, tuple[str, ...]] = {}
        self._seen = 0
        self._lock = Lock()

    def retrieval(self, request: Retrieval) -> Retrieval:
        """Return the request with its query and its filters expanded."""
        return expanded_request(request, self._narrower)

    def expanded(self, node: Node) -> Node:
        """Return the tree. Each subject in it also stands for its narrower topics."""
        return expanded(node, self._narrower)

    def _narrower(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Return the codes that items have at or below the topics of `values`, without `values`."""
        self._take_in()
        found: dict[str, None] = {}
        for value in values:
            for topic in self._topics.meant(value):
                found.update(dict.fromkeys(self._below.get(topic, ())))
        return tuple(code for code in found if code not in values)

    def _take_in(self) -> None:
        """Read the codes that were added to the column."""
        if self._seen == len(self._column.labels):
            return
        with self._lock:
            while self._seen < len(self._column.labels):
                label = self._column.labels[self._seen]
                for topic in self._topics.line(self._topics.code(label)):
                    self._below[topic] = (*self._below.get(topic, ()), label)
                self._seen += 1
