"""Counts the facet `subject` with broader topics, over the columns."""

from __future__ import annotations

from core.retrieval import FacetCount, Ids
from storage.embedded.columns.facts import ValueColumn
from storage.words.topic_facet import TopicCounts
from storage.words.topics import Topics


class TopicFacet:
    """`storage.words.topic_facet.TopicCounts` over the columns of names and of codes."""

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
