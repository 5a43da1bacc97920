"""Facts of candidates, from the record of truth: facets, dates, names, and filters on few items.

Values are made when they are first needed, and kept up to a limit. Counts are exact for any number
of shards, because they come from the record and not from the index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import chain
from sys import intern
from typing import cast

import numpy as np

from core.entities import KnownName
from core.languages import primary_subtag
from core.query_tree import Bool, DateRange, Everything, Keyword, Node, Recorded
from core.retrieval import DateBuckets, FacetCount, Ids, Marks
from storage.record.facts import CODE_FIELDS, FactRow, check_facet, values_in
from storage.record.guard import KeptFacts
from storage.record.item_rows import to_micros
from storage.record.kept_values import KeptValues
from storage.words.date_buckets import count_dates
from storage.words.topics import TopicCounts, Topics, most_frequent

_KEPT = 40_000  # versions, of some kilobytes


class Facts:
    """The values of one version, made when they are first asked for. Of values that differ only in
    case there is one.
    """

    __slots__ = ("_row", "_values")

    def __init__(self, row: FactRow) -> None:
        self._row = row
        self._values: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def keys(self, name: str) -> tuple[str, ...]:
        """Return the values of a field, casefolded."""
        return self._of(name)[0]

    def labels(self, name: str) -> tuple[str, ...]:
        """Return the values of a field as written, in the same order."""
        return self._of(name)[1]

    def date(self, name: str) -> int:
        """Return one of the version's dates, in microseconds."""
        row = self._row
        created = name == "versioncreated"
        return row.versioncreated if created else cast("int", row.facts["firstcreated"])

    def _of(self, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = self._values.get(name)
        if found is None:
            labels: dict[str, str] = {}
            for value in filter(None, values_in(self._row, name)):
                labels.setdefault(intern(value.casefold()), intern(value))
            found = self._values[name] = (tuple(labels), tuple(labels.values()))
        return found


class RecordedFacts:
    """Answers about candidates from `facts`. Versions that are gone have no facts. Thread-safe."""

    def __init__(self, facts: KeptFacts, topics: Topics) -> None:
        self._facts = facts
        self._topics = TopicCounts(topics)
        self._kept = KeptValues[Facts](_KEPT)

    def facets(
        self, ids: Ids, fields: Sequence[str], limit: int, buckets: DateBuckets, *, broader: bool
    ) -> dict[str, tuple[FacetCount, ...]]:
        """Return counts by field, as `core.ports.engine.Catalogue` says."""
        found = self._of(ids.tolist())
        facts = [found[seq] for seq in sorted({*found})]
        return {name: self._facet(facts, name, limit, buckets, broader) for name in fields}

    def created(self, ids: Ids) -> Ids:
        """Return when each version was created, in microseconds; 0 for a version that is gone."""
        found = self._facts.of(ids.tolist())
        times = [found[seq].versioncreated if seq in found else 0 for seq in ids.tolist()]
        return np.array(times, np.int64)

    def languages_of(self, ids: Ids) -> list[str]:
        """Return the primary language of each version; "" for a version that is gone."""
        found = self._facts.of(ids.tolist())
        return [primary_subtag(found[seq].language) if seq in found else "" for seq in ids.tolist()]

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """Return which versions have which name."""
        found = self._of(ids.tolist())
        wanted = [(name.field, {text.casefold() for text in name.spellings}) for name in names]
        marks = np.zeros((len(ids), len(names)), np.bool_)
        for row, seq in enumerate(ids.tolist()):
            if facts := found.get(seq):
                marks[row] = [not keys.isdisjoint(facts.keys(field)) for field, keys in wanted]
        return marks

    def satisfying(self, ids: Ids, node: Node) -> Ids:
        """Return the ids that match a tree of facts, in the given order."""
        found = self._of(ids.tolist())
        marks = [seq in found and _satisfies(seq, found[seq], node) for seq in ids.tolist()]
        return ids[np.array(marks, np.bool_)]

    def _facet(
        self, facts: Sequence[Facts], name: str, limit: int, buckets: DateBuckets, broader: bool
    ) -> tuple[FacetCount, ...]:
        if name == "versioncreated":
            times = np.array([each.date(name) for each in facts], np.int64)
            return count_dates(times, limit, buckets)
        check_facet(name)
        if broader and name == "subject":
            subjects = ((each.labels(name), each.labels(CODE_FIELDS[name])) for each in facts)
            return self._topics.of(subjects, limit)
        return _counts(facts, name, limit)

    def _of(self, seqs: Sequence[int]) -> dict[int, Facts]:
        found = self._kept.of(seqs)
        missing = [seq for seq in dict.fromkeys(seqs) if seq not in found]
        if missing:
            fresh = {seq: Facts(row) for seq, row in self._facts.of(missing).items()}
            self._kept.keep(fresh)
            found |= fresh
        return found


def _counts(facts: Sequence[Facts], name: str, limit: int) -> tuple[FacetCount, ...]:
    """Return the most frequent values, by count and then by label. Of labels that differ only in
    case, the one that was recorded first stands for all.
    """
    every = [each.keys(name) for each in facts]
    counts = Counter(chain.from_iterable(every))
    labels: dict[str, str] = {}
    for each, keys in zip(reversed(facts), reversed(every), strict=True):
        if keys:
            labels.update(zip(keys, each.labels(name), strict=True))
    return most_frequent(counts, labels, limit)


def _satisfies(seq: int, facts: Facts, node: Node) -> bool:
    match node:
        case Everything():
            return True
        case Keyword(field, values):
            wanted = {value.casefold() for value in values}
            fields = (field, CODE_FIELDS[field]) if field in CODE_FIELDS else (field,)
            return any(not wanted.isdisjoint(facts.keys(name)) for name in fields)
        case Recorded(after, upto):
            return seq > (after or 0) and (upto is None or seq <= upto)
        case DateRange(field, since, until):
            moment = facts.date(field)
            from_then = since is None or moment >= to_micros(since)
            return from_then and (until is None or moment < to_micros(until))
        case Bool(must, should, must_not):
            holds = partial(_satisfies, seq, facts)
            either = bool(must) or not should or any(map(holds, should))
            return either and all(map(holds, must)) and not any(map(holds, must_not))
        case _:
            raise TypeError(f"not a fact: {node}")
