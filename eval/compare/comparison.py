"""Compares systems on the same questions: what differs, by how much, and is it more than chance?

`eval.compare.outcomes` says what the figures mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.errors import InputError
from eval.compare.outcomes import FEWEST, MOST_VALUES, Outcome, corrected, outcomes_of
from eval.compare.pairing import Pair, paired
from eval.compare.swings import Swing, swings
from eval.runs.measures import Qrels
from eval.runs.results import Collection, RunResult


@dataclass(frozen=True, slots=True)
class Cost:
    """What one system's answers cost over all collections: milliseconds of a query, the number of
    answers with each stage skipped or cut short, refused queries, and the share of the found
    documents without a judgement.
    """

    system: str
    p50: float
    p95: float
    p99: float
    degraded: Mapping[str, int]
    refused: int
    unjudged: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that `compare` found.

    `changed` has, by system and name, each setting, model or profile that differs from the
    baseline's: (the baseline's, its own). `swings` are by the first of `measures`.
    """

    baseline: str
    systems: tuple[str, ...]
    measures: tuple[str, ...]
    collections: tuple[Collection, ...]
    outcomes: tuple[Outcome, ...]
    swings: tuple[Swing, ...]
    costs: tuple[Cost, ...]
    changed: Mapping[str, Mapping[str, tuple[str, str]]]
    notes: tuple[str, ...] = ()

    def of(self, *kinds: str) -> tuple[Outcome, ...]:
        """Return the outcomes of these kinds, in order."""
        return tuple(outcome for outcome in self.outcomes if outcome.kind in kinds)

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison, ready for JSON; an unknown value is NaN, which becomes null."""
        return asdict(self)


def compare(
    baseline: Sequence[RunResult],
    others: Sequence[Sequence[RunResult]],
    measures: Sequence[str] = (),
    *,
    by_slice: bool = True,
    queries: int = 10,
    judgements: Mapping[str, Qrels] | None = None,
    allow_missing: bool = False,
) -> Comparison:
    """Compare each of `others` with `baseline`; each is one system's results, one per collection.

    Without `measures`, all that every result has are compared. The `queries` that won most and the
    `queries` that lost most are kept with both lists; `judgements`, by a collection's label, give
    their documents' grades. Raises InputError for results that do not answer the same questions
    (`eval.compare.pairing`), for values that are not numbers and for equal names.
    """
    if not baseline or not others:
        raise InputError("there is nothing to compare", mend="name two systems' results or more")
    names = _names([baseline, *others])
    matched = {
        name: paired(baseline, results, allow_missing=allow_missing)
        for name, results in zip(names[1:], others, strict=True)
    }
    chosen = tuple(measures) or _shared_measures([*baseline, *(r for each in others for r in each)])
    outcomes = [
        outcome
        for measure in chosen
        for name, pairs in matched.items()
        for outcome in outcomes_of(name, measure, pairs, by_slice=by_slice)
    ]
    graded = judgements or {}
    found = [s for pairs in matched.values() for s in swings(pairs, chosen[0], queries, graded)]
    return Comparison(
        baseline=names[0],
        systems=names[1:],
        measures=chosen,
        collections=tuple(result.collection for result in baseline),
        outcomes=corrected(outcomes),
        swings=tuple(found),
        costs=tuple(cost_of(results) for results in (baseline, *others)),
        changed={results[0].system.name: _changed(baseline[0], results[0]) for results in others},
        notes=tuple(_notes(matched, baseline, others, by_slice)),
    )


def cost_of(results: Sequence[RunResult]) -> Cost:
    """Return one system's cost over all its collections."""
    rows = [row for result in results for row in result.rows]
    p50, p95, p99 = np.percentile([row.milliseconds for row in rows], (50, 95, 99))
    documents = sum(len(row.documents) for row in rows)
    flags = Counter(flag.partition(":")[0] for row in rows for flag in row.degraded)
    return Cost(
        system=results[0].system.name,
        p50=float(p50),
        p95=float(p95),
        p99=float(p99),
        degraded=dict(flags),
        refused=sum(bool(row.refused) for row in rows),
        unjudged=sum(row.unjudged for row in rows) / documents if documents else 0.0,
    )


def _names(systems: Sequence[Sequence[RunResult]]) -> tuple[str, ...]:
    names = []
    for results in systems:
        if not results:
            raise InputError("a system without results", mend="name a folder with results")
        names.append(results[0].system.name)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"two systems are named {twice[0]!r}", mend="give them names of their own: NAME=FOLDER"
        )
    return tuple(names)


def _shared_measures(results: Sequence[RunResult]) -> tuple[str, ...]:
    shared = [m for m in results[0].measures if all(m in each.measures for each in results)]
    if not shared:
        raise InputError("no measure is in all of the results", mend="run them with the same ones")
    return tuple(shared)


def _changed(one: RunResult, other: RunResult) -> dict[str, tuple[str, str]]:
    """Return the facts that differ, by name. The index is left out, because it differs by
    collection.
    """
    before, after = _facts(one), _facts(other)
    return {
        name: (before.get(name, "default"), after.get(name, "default"))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }


def _facts(result: RunResult) -> dict[str, str]:
    system = result.system
    return {
        "profile": system.profile,
        "place": system.place,
        "version": system.version,
        **{name: str(value) for name, value in system.settings.items()},
        **{f"model {role}": digest for role, digest in system.models.items()},
    }


def _notes(
    matched: Mapping[str, Sequence[Pair]],
    baseline: Sequence[RunResult],
    others: Sequence[Sequence[RunResult]],
    by_slice: bool,
) -> Iterator[str]:
    for name, pairs in matched.items():
        for pair in pairs:
            if pair.missing:
                told = f"{pair.missing} queries are in one of them only and count 0 there"
                yield f"{name}, {pair.label}: {told}"
    for result in baseline:
        if len(result.rows) < FEWEST:
            told = "p can't be small and the interval means nothing"
            yield f"{result.collection.label} has {len(result.rows)} queries: {told}"
    if by_slice:
        yield from _facets_left_out(baseline)
    for results in (baseline, *others):
        for result in results:
            yield from (
                f"{result.system.name}, {result.collection.label}: {n}" for n in result.notes
            )


def _facets_left_out(results: Sequence[RunResult]) -> Iterator[str]:
    rows = [row for result in results for row in result.rows]
    seen = {(facet, str(value)) for row in rows for facet, value in row.slices.items()}
    for facet, count in Counter(facet for facet, _ in seen).items():
        if count > MOST_VALUES:
            yield f"facet {facet} has {count} values and is not shown"
