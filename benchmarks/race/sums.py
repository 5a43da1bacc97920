"""What the race counts: quality by the product's own evaluation, times, agreement, sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.machine import percentile
from eval.runs.measures import parse_measures, per_query
from eval.sets.judged import JudgedSet

MEASURE = "nDCG@10"
_MB = 1e6

Found = Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Asked:
    """Rounds with so many clients: the seconds of each query, of all rounds, of processors."""

    times: list[float] = field(default_factory=list)
    seconds: float = 0.0
    processor_s: float = 0.0

    def add(self, times: Sequence[float], seconds: float, processor_s: float) -> None:
        """Add a round."""
        self.times += times
        self.seconds += seconds
        self.processor_s += processor_s


@dataclass(slots=True)
class Lap:
    """One system over one set. `found` has the ten ids of each judged query."""

    documents: int
    ingest_s: float
    found: Found
    asked: dict[int, Asked] = field(default_factory=dict)
    own_bytes: int = 0
    server_bytes: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A system over all sets: means over sets of quality and agreement, rates over all queries and
    documents, the largest memory of a set, and bytes on disk for each document.
    """

    quality: Mapping[str, float]
    agreement: float
    per_second: Mapping[int, float]
    p50_ms: Mapping[int, float]
    p99_ms: Mapping[int, float]
    processor_ms: float
    documents_per_s: float
    own_mb: float
    server_mb: float
    disk_kb: float

    @property
    def mean_quality(self) -> float:
        """The mean of the sets' means."""
        return float(np.mean([*self.quality.values()]))


def quality(judged: JudgedSet, found: Found) -> float:
    """Return the mean nDCG@10 over the judged queries, as `dateline eval` counts it."""
    measure = parse_measures([MEASURE])
    values = per_query(measure, judged.qrels, {query: tuple(ids) for query, ids in found.items()})
    return float(np.mean([one[MEASURE] for one in values.values()]))


def agreement(found: Found, other: Found) -> float:
    """Return the mean share of `other`'s hits that `found` has too, in any order; queries for which
    `other` has no hits don't count.
    """
    shares = [
        len(set(ids).intersection(found.get(query, ()))) / len(ids)
        for query, ids in other.items()
        if ids
    ]
    return float(np.mean(shares)) if shares else 1.0


def row_of(laps: Mapping[str, Lap], ours: Mapping[str, Lap], sets: Sequence[JudgedSet]) -> Row:
    """Return a system's row from its laps, and those of Dateline to compare with, by set."""
    judged = {one.name: one for one in sets if one.name in laps}
    counts = [*next(iter(laps.values())).asked]
    whole = {count: _joined([lap.asked[count] for lap in laps.values()]) for count in counts}
    first = whole[counts[0]]
    return Row(
        quality={name: quality(one, laps[name].found) for name, one in judged.items()},
        agreement=float(
            np.mean([agreement(lap.found, ours[name].found) for name, lap in laps.items()])
        ),
        per_second={count: len(one.times) / one.seconds for count, one in whole.items()},
        p50_ms={count: percentile(one.times, 50) for count, one in whole.items()},
        p99_ms={count: percentile(one.times, 99) for count, one in whole.items()},
        processor_ms=1000 * first.processor_s / len(first.times),
        documents_per_s=sum(lap.documents for lap in laps.values())
        / sum(lap.ingest_s for lap in laps.values()),
        own_mb=max(lap.own_bytes for lap in laps.values()) / _MB,
        server_mb=max(lap.server_bytes for lap in laps.values()) / _MB,
        disk_kb=sum(lap.disk_bytes for lap in laps.values())
        / sum(lap.documents for lap in laps.values())
        / 1000,
    )


def _joined(parts: Sequence[Asked]) -> Asked:
    whole = Asked()
    for part in parts:
        whole.add(part.times, part.seconds, part.processor_s)
    return whole
