"""The outcome of a comparison over one group of queries: all of them, one collection, one slice.

Conventions:

- A difference is a system's value less the baseline's, query by query.
- Several collections give two summaries, which answer different questions. In `all queries` each
  query counts alike, and a big collection decides; in `mean of sets` each collection counts alike.
  With one collection there is only the first.
- p: paired randomization test, two-sided. Intervals: 95 %, bootstrap percentiles over queries; for
  the mean of sets each collection is resampled by itself (`eval.compare.significance`).
- Holm's correction is over all measures and systems of one kind of row: `all queries`, `mean of
  sets`, the collections together, the slices together. So a slice's p accounts for the number of
  slices that were looked at.
- `least_effect` is the true difference that so many queries show with power .8 at alpha .05 (or 1
  less the interval's level), given the observed spread (`eval.compare.power`). A slice without a
  finding has not shown that nothing changed.
- Under FEWEST queries p can't fall below .05, whatever the values are, and a bootstrap interval is
  far too narrow (`too_few`). One query's p is 1. Up to about 20 queries trust p rather than the
  interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import numpy.typing as npt

from eval.compare.pairing import Pair, checked_values
from eval.compare.power import least_effect
from eval.compare.significance import (
    Values,
    bootstrap_interval,
    effect_size,
    holm,
    randomization,
    spread,
)
from eval.runs.results import RunResult

Places = npt.NDArray[np.int64]
Group = tuple[str, str, str, str]  # kind, group, system, measure

WHOLE, ALIKE, COLLECTION, SLICE = "all queries", "mean of sets", "collection", "slice"
LEVEL = 0.95
DRAWS, SLICE_DRAWS = 10_000, 4000
FEWEST = 6  # 2 of 2 ** 6 exchanges are the first share below .05
MOST_VALUES = 30  # a facet with more values does not group queries
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class Outcome:
    """One measure of one system against the baseline, over one group of queries: both means, the
    mean difference with its interval, p before and after Holm's correction, Cohen's d, and how many
    queries won, tied and lost.

    `kind` is one of the four above, `group` the collection or `facet=value`.
    """

    kind: str
    group: str
    system: str
    measure: str
    queries: int
    baseline: float
    mean: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    effect_size: float
    wins: int
    ties: int
    losses: int
    least_effect: float

    @property
    def too_few(self) -> bool:
        """Whether the interval is meaningless."""
        return self.queries < FEWEST


def outcomes_of(
    system: str, measure: str, pairs: Sequence[Pair], *, by_slice: bool = True, level: float = LEVEL
) -> Iterator[Outcome]:
    """Yield one measure's outcomes before Holm's correction: all queries, then the mean of sets and
    each set if there are several, then each slice.
    """
    before = [checked_values(pair.baseline, measure) for pair in pairs]
    after = [checked_values(pair.other, measure) for pair in pairs]
    whole = np.concatenate(before), np.concatenate(after)
    yield outcome_of((WHOLE, WHOLE, system, measure), *whole, level=level)
    if len(pairs) > 1:
        yield _alike((ALIKE, ALIKE, system, measure), before, after, level)
        for pair, old, new in zip(pairs, before, after, strict=True):
            yield outcome_of((COLLECTION, pair.label, system, measure), old, new, level=level)
    if by_slice:
        for name, places in slices([pair.other for pair in pairs]).items():
            group = (SLICE, name, system, measure)
            yield outcome_of(group, whole[0][places], whole[1][places], SLICE_DRAWS, level)


def outcome_of(
    group: Group,
    before: Values,
    after: Values,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Outcome:
    """Return the outcome of the values `before` [n] and `after` [n]."""
    interval = bootstrap_interval([after - before], level, draws)
    return _outcome(group, before, after, interval, draws, level)


def slices(results: Sequence[RunResult]) -> dict[str, Places]:
    """Return the places of each `facet=value`'s queries, int64 [n], in the results' rows end to
    end. Facets with more than MOST_VALUES values are left out.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for place, row in enumerate(row for result in results for row in result.rows):
        for facet, value in row.slices.items():
            found.setdefault((facet, str(value)), []).append(place)
    sizes = Counter(facet for facet, _ in found)
    return {
        f"{facet}={value}": np.array(places, np.int64)
        for (facet, value), places in sorted(found.items())
        if sizes[facet] <= MOST_VALUES
    }


def corrected(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return the outcomes with Holm's correction within each kind, in order."""
    rows = list(outcomes)
    for kind in {row.kind for row in rows}:
        places = [place for place, row in enumerate(rows) if row.kind == kind]
        for place, p in zip(places, holm([rows[at].p for at in places]), strict=True):
            rows[place] = replace(rows[place], p_holm=p)
    return tuple(rows)


def p_text(p: float) -> str:
    """Return a p value as text; random draws can't tell a small p from 0, so it is not called 0."""
    return "<.001" if p < 0.001 else f"{p:.3f}"


def _alike(
    group: Group, before: Sequence[Values], after: Sequence[Values], level: float
) -> Outcome:
    """Return the outcome of the mean of the sets' means. Queries are weighted so that each set
    counts alike; Cohen's d is of the weighted differences.
    """
    total, sets = sum(len(values) for values in before), len(before)
    differences = [new - old for old, new in zip(before, after, strict=True)]
    weights = np.concatenate(
        [np.full(len(values), total / sets / len(values)) for values in before]
    )
    whole = _outcome(
        group,
        np.concatenate(before) * weights,
        np.concatenate(after) * weights,
        bootstrap_interval(differences, level, DRAWS),
        DRAWS,
        level,
    )
    error = sqrt(sum(spread(values) ** 2 / len(values) for values in differences)) / sets
    return replace(whole, least_effect=least_effect(error * total**0.5, total, 1 - level))


def _outcome(
    group: Group,
    before: Values,
    after: Values,
    interval: tuple[float, float],
    draws: int,
    level: float,
) -> Outcome:
    differences = after - before
    p = randomization(differences, draws)
    return Outcome(
        *group,
        queries=len(before),
        baseline=float(before.mean()),
        mean=float(after.mean()),
        difference=float(differences.mean()),
        low=interval[0],
        high=interval[1],
        p=p,
        p_holm=p,
        effect_size=effect_size(differences),
        wins=int((differences > _TIE).sum()),
        ties=int((np.abs(differences) <= _TIE).sum()),
        losses=int((differences < -_TIE).sum()),
        least_effect=least_effect(spread(differences), len(before), 1 - level),
    )
