"""How far judges agree: with each other, and a language model with people.

Weighted kappa compares two judges (J. Cohen, Weighted kappa, 1968, https://doi.org/10.1037/h0026256),
here with squared distances between grades: 1 is full agreement, 0 is what chance gives. For any
number of judges there is Krippendorff's alpha (`eval.sets.news_queries.ordinal_alpha`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eval.judging.pool import Pooled
from eval.sets.news_queries import ordinal_alpha

Floats64 = npt.NDArray[np.float64]
_DRAWS, _SEED = 2000, 7


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of pairs that several judges graded: how many, the ordinal alpha (None if it is not
    defined), and the share (0 to 1) of these pairs on which all judges said the same.
    """

    pairs: int
    alpha: float | None
    same: float


def agreement(units: Iterable[Sequence[int]]) -> Agreement:
    """Return how far judges agree; each unit has the grades that one pair got."""
    several = [unit for unit in units if len(unit) > 1]
    same = sum(len(set(unit)) == 1 for unit in several)
    return Agreement(len(several), ordinal_alpha(several), same / len(several) if several else 0.0)


def weighted_kappa(first: Sequence[int], second: Sequence[int]) -> float | None:
    """Return kappa with squared weights of two judges' grades of the same pairs, in order. None if
    it is not defined, because both gave one and the same grade to everything.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    found = np.square(one - other).mean()
    by_chance = np.square(one).mean() + np.square(other).mean() - 2 * one.mean() * other.mean()
    return float(1 - found / by_chance) if by_chance else None


@dataclass(frozen=True, slots=True)
class Bias:
    """How much more one judge gives to what `system` found than another one, in grades, beyond what
    this judge gives more to all pairs; with the 95 % interval of a bootstrap over queries, and the
    number of pairs.
    """

    system: str
    pairs: int
    difference: float
    low: float
    high: float


def biases(
    pool: Sequence[Pooled],
    graded: Mapping[tuple[str, str], int],
    against: Mapping[tuple[str, str], int],
    depth: int,
) -> tuple[Bias, ...]:
    """Return the bias of the judge of `graded` to each system, over the first `depth` documents
    that it found and that both judges graded; sorted by the system's name.
    """
    both = [p for p in pool if p.pair in graded and p.pair in against]
    queries = sorted({p.query_id for p in both})
    place = {query: index for index, query in enumerate(queries)}
    systems = sorted({system for p in both for system in p.ranks})
    excess = np.array([graded[p.pair] - against[p.pair] for p in both], np.float64)
    rows = np.array([place[p.query_id] for p in both], np.intp)
    whole = _sums(rows, excess, len(queries))
    draws = np.random.default_rng(_SEED).multinomial(
        len(queries), np.full(len(queries), 1 / max(1, len(queries))), size=_DRAWS
    )
    found = []
    for system in systems:
        held = np.array([p.ranks.get(system, depth + 1) <= depth for p in both])
        if held.any():
            part = _sums(rows[held], excess[held], len(queries))
            found.append(_bias(system, part, whole, draws))
    return tuple(found)


def _sums(rows: npt.NDArray[np.intp], excess: Floats64, queries: int) -> Floats64:
    """Return float64 [queries, 2]: the sum of the differences and their number."""
    sums = np.bincount(rows, excess, queries)
    return np.stack([sums, np.bincount(rows, minlength=queries)], axis=1)


def _bias(system: str, part: Floats64, whole: Floats64, draws: npt.NDArray[np.int64]) -> Bias:
    drawn = np.array([_gap(times @ part, times @ whole) for times in draws])
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    exact = _gap(part.sum(axis=0), whole.sum(axis=0))
    return Bias(system, int(part[:, 1].sum()), exact, float(low), float(high))


def _gap(part: Floats64, whole: Floats64) -> float:
    """Return the mean of a part less the mean of the whole; NaN for a draw without any."""
    return float(part[0] / part[1] - whole[0] / whole[1]) if part[1] else float("nan")
