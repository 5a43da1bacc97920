"""Counts subjects with the topics above them: a story on football is also one on sport."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from core.retrieval import FacetCount
from storage.words.topics import Topics

Subjects = tuple[Sequence[str], Sequence[str]]  # the names and the codes of an item's subjects


class TopicCounts:
    """Counts for the facet `subject` with a vocabulary of topics.

    An item counts once for each topic at or above one of its codes, under the topic's label. It
    also counts for each name of its subjects that is no label of these topics. So a topic's count
    is the number of counted items that a filter by its label finds.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._lines: dict[str, tuple[str, ...]] = {}  # topics at and above a topic, by its code

    def of(self, items: Iterable[Subjects], limit: int) -> tuple[FacetCount, ...]:
        """Return the most frequent subjects and broader topics of `items`, by count, then label."""
        counted: Counter[str] = Counter()
        written: dict[str, str] = {}
        for names, codes in items:
            found = {label.casefold(): label for label in self._labels(names, codes)}
            counted.update(found.keys())
            for key, label in found.items():
                written.setdefault(key, label)
        ranked = sorted((-count, written[key]) for key, count in counted.items())
        return tuple(FacetCount(label, -count) for count, label in ranked[:limit])

    def _labels(self, names: Sequence[str], codes: Sequence[str]) -> Iterator[str]:
        """Yield the labels that one item counts for; those of the vocabulary come last, so that
        their spelling wins.
        """
        topics = dict.fromkeys(topic for code in codes for topic in self._line(code))
        for name in names:
            if topics.keys().isdisjoint(self._topics.by_label.get(name.casefold(), ())):
                yield name
        for topic in topics:
            yield self._topics.labels.get(topic) or topic

    def _line(self, code: str) -> tuple[str, ...]:
        topic = self._topics.code(code)
        if topic not in self._lines:
            self._lines[topic] = tuple(self._topics.line(topic))
        return self._lines[topic]
