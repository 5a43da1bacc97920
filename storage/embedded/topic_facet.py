"""Subjects counted with the topics above them: a story on football is one on sport, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from core.retrieval import FacetCount, Ids
from storage.embedded.columns import ValueColumn
from storage.topics import Topics


class TopicFacet:
    """The facet `subject` over the columns of names and of codes, read with a vocabulary.

    An item counts once for every topic at or above one of its codes, under the topic's label, and
    for its subjects' names that are no labels of those. So a topic's count is the number of items
    that the filter by its label finds among those that are counted.
    """

    def __init__(self, topics: Topics, names: ValueColumn, codes: ValueColumn) -> None:
        self._topics = topics
        self._names = names
        self._codes = codes
        self._lines: dict[int, tuple[str, ...]] = {}  # topics at and above a code's, by its number

    def counts(self, ids: Ids, limit: int) -> tuple[FacetCount, ...]:
        """The most frequent subjects and broader topics of `ids`, by count and then by label."""
        counted: Counter[str] = Counter()
        written: dict[str, str] = {}
        names, codes = self._names.numbers_of(ids), self._codes.numbers_of(ids)
        for of_names, of_codes in zip(names, codes, strict=True):
            found = {label.casefold(): label for label in self._labels(of_names, of_codes)}
            counted.update(found.keys())
            for key, label in found.items():
                written.setdefault(key, label)
        ranked = sorted((-count, written[key]) for key, count in counted.items())
        return tuple(FacetCount(label, -count) for count, label in ranked[:limit])

    def _labels(self, names: Sequence[int], codes: Sequence[int]) -> Iterator[str]:
        """What one item counts for; labels of the vocabulary last, so that their spelling stays."""
        topics = dict.fromkeys(topic for code in codes for topic in self._line(code))
        for number in names:
            name = self._names.labels[number]
            if topics.keys().isdisjoint(self._topics.by_label.get(name.casefold(), ())):
                yield name
        for topic in topics:
            yield self._topics.labels.get(topic) or topic

    def _line(self, code: int) -> tuple[str, ...]:
        line = self._lines.get(code)
        if line is None:
            topic = self._topics.code(self._codes.labels[code])
            line = self._lines[code] = tuple(self._topics.line(topic))
        return line
