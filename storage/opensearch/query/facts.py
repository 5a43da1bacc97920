"""Facts of candidates, from the record of truth: facets, dates, names, and filters on few items.

Values are made when they are first needed, and kept up to a limit. Counts are exact for any number
of shards, because they come from the record and not from the index.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from sys import intern
from typing import cast

import numpy as np

from core.entities import KnownName
from core.languages import primary_subtag
from core.query_tree import Bool, DateRange, Everything, Keyword, Node, Recorded
from core.retrieval import DateBuckets, FacetCount, Ids, Marks
from storage.record.facts import (
    CODE_FIELDS,
    LINK_FIELDS,
    FactRow,
    check_facet,
    values_of,
)
from storage.record.guard import KeptFacts
from storage.record.item_rows import to_micros
from storage.words.date_buckets import count_dates
from storage.words.topics import TopicCounts, Topics, most_frequent

_KEPT = 20_000  # versions, of some kilobytes
_NONE: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """The values of one version by field, casefolded (`keys`) and as written (`labels`). Of values
    that differ only in case there is one.
    """

    keys: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, tuple[str, ...]]
    dates: Mapping[str, int]


class RecordedFacts:
    """Answers about candidates from `facts`. Versions that are gone have no facts. Thread-safe."""

    def __init__(self, facts: KeptFacts, topics: Topics) -> None:
        self._facts = facts
        self._topics = TopicCounts(topics)
        self._kept: dict[int, Facts] = {}
        self._lock = threading.Lock()

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
                marks[row] = [
                    not keys.isdisjoint(facts.keys.get(field, _NONE)) for field, keys in wanted
                ]
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
            times = np.array([each.dates[name] for each in facts], np.int64)
            return count_dates(times, limit, buckets)
        check_facet(name)
        if broader and name == "subject":
            subjects = (
                (each.labels.get(name, _NONE), each.labels.get(CODE_FIELDS[name], _NONE))
                for each in facts
            )
            return self._topics.of(subjects, limit)
        return _counts(facts, name, limit)

    def _of(self, seqs: Sequence[int]) -> dict[int, Facts]:
        with self._lock:
            found = {seq: self._kept[seq] for seq in seqs if seq in self._kept}
        missing = [seq for seq in dict.fromkeys(seqs) if seq not in found]
        if missing:
            fresh = {seq: _facts(row) for seq, row in self._facts.of(missing).items()}
            found |= fresh
            with self._lock:
                if len(self._kept) + len(fresh) > _KEPT:
                    self._kept.clear()
                self._kept |= fresh
        return found


def _counts(facts: Sequence[Facts], name: str, limit: int) -> tuple[FacetCount, ...]:
    """Return the most frequent values, by count and then by label. Of labels that differ only in
    case, the one that was recorded first stands for all.
    """
    counts = Counter(chain.from_iterable(each.keys.get(name, _NONE) for each in facts))
    labels: dict[str, str] = {}
    for each in reversed(facts):
        if name in each.keys:
            labels.update(zip(each.keys[name], each.labels[name], strict=True))
    return most_frequent(counts, labels, limit)


def _facts(row: FactRow) -> Facts:
    firsts: dict[str, dict[str, str]] = {}
    for name, values in values_of(row).items():
        if values and name not in LINK_FIELDS.values():
            labels = firsts[name] = {}
            for value in values:
                if value:
                    labels.setdefault(intern(value.casefold()), intern(value))
    dates = {
        "versioncreated": row.versioncreated,
        "firstcreated": cast("int", row.facts["firstcreated"]),
    }
    return Facts(
        {name: tuple(labels) for name, labels in firsts.items()},
        {name: tuple(labels.values()) for name, labels in firsts.items()},
        dates,
    )


def _satisfies(seq: int, facts: Facts, node: Node) -> bool:
    match node:
        case Everything():
            return True
        case Keyword(field, values):
            wanted = {value.casefold() for value in values}
            fields = (field, CODE_FIELDS[field]) if field in CODE_FIELDS else (field,)
            return any(not wanted.isdisjoint(facts.keys.get(name, _NONE)) for name in fields)
        case Recorded(after, upto):
            return seq > (after or 0) and (upto is None or seq <= upto)
        case DateRange(field, since, until):
            moment = facts.dates[field]
            from_then = since is None or moment >= to_micros(since)
            return from_then and (until is None or moment < to_micros(until))
        case Bool(must, should, must_not):
            holds = partial(_satisfies, seq, facts)
            either = bool(must) or not should or any(map(holds, should))
            return either and all(map(holds, must)) and not any(map(holds, must_not))
        case _:
            raise TypeError(f"not a fact: {node}")
