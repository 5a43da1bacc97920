"""Is a difference more than chance? Paired tests over queries.

- `randomization`: under the null hypothesis each query's two values can be exchanged. p is the
  share of exchanges whose mean difference is at least as far from 0 as the observed one (Smucker
  and others 2007), two-sided. Queries without a difference do not matter. With at most EXACT_UP_TO
  others all exchanges are counted; else random ones are drawn, and the observed one is added, so
  that p is never 0.
- `bootstrap_interval`: percentiles of the mean over queries drawn with replacement (Efron 1979).
- `ratio_interval`: the same for the difference of two ratios of sums, such as F1.
- `holm`: p values adjusted for several questions at once (Holm 1979).
- `effect_size`: the mean of paired differences in their own standard deviations (Cohen's d).

Every draw comes from a fixed seed: the same numbers give the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
DRAWS = 20_000
EXACT_UP_TO = 16  # queries with a difference; 65,536 exchanges
_SEED = 20_261_125
_AT_ONCE = 1000  # draws in memory at a time
_PICKS_AT_ONCE = 2_000_000  # so that many queries don't fill the memory
_SAME = 1e-12


def randomization(differences: Values, draws: int = DRAWS) -> float:
    """Return the two-sided p of paired `differences` [n] having mean 0; 1 for no differences."""
    moved = differences[differences != 0]
    if not len(moved):
        return 1.0
    seen = abs(float(moved.sum())) - _SAME * len(differences)
    if len(moved) <= EXACT_UP_TO:
        return float((np.abs(_all_sums(moved)) >= seen).mean())
    chance = np.random.default_rng(_SEED)
    as_far = 0
    for size in _blocks(draws, len(moved)):
        signs = chance.integers(0, 2, (size, len(moved)), np.int8) * 2 - 1
        as_far += int((np.abs(signs @ moved) >= seen).sum())
    return (as_far + 1) / (draws + 1)


def bootstrap_interval(
    groups: Sequence[Values], level: float = 0.95, draws: int = DRAWS
) -> tuple[float, float]:
    """Return the interval of the mean of the groups' means; each group [n] is resampled by itself.

    With one group it is that group's interval. For a group of one query both ends are that query's
    value, which means nothing.
    """
    chance = np.random.default_rng(_SEED)
    total = np.zeros(draws)
    for values in groups:
        start = 0
        for size in _blocks(draws, len(values)):
            picked = chance.integers(0, len(values), (size, len(values)))
            total[start : start + size] += values[picked].mean(axis=1)
            start += size
    low, high = np.quantile(total / len(groups), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def ratio_interval(
    before: Matrix, after: Matrix, level: float = 0.95, draws: int = DRAWS
) -> tuple[float, float]:
    """Return the interval of how much a ratio of sums changes: numerators and denominators [n, 2]
    of the same rows before and after, drawn together; no number is below 0. F1 is twice what is
    right over what is found and what is there; a mean has ones below.
    """
    chance = np.random.default_rng(_SEED)
    sides = np.hstack((before, after))
    found = np.zeros(draws)
    start = 0
    for size in _blocks(draws, len(sides)):
        times = chance.multinomial(len(sides), np.full(len(sides), 1 / len(sides)), size)
        sums = times @ sides
        first, second = (sums[:, n] / np.maximum(sums[:, n + 1], _SAME) for n in (0, 2))
        found[start : start + size] = second - first
        start += size
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values adjusted step by step, in the given order; none is above 1."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def spread(differences: Values) -> float:
    """Return the sample standard deviation of `differences` [n]; NaN for fewer than two."""
    return float(differences.std(ddof=1)) if len(differences) > 1 else float("nan")


def effect_size(differences: Values) -> float:
    """Return cohen's d of paired `differences` [n]: 0 if all are 0; NaN for fewer than two, or if
    all are equal and so have no spread.
    """
    if not differences.any():
        return 0.0
    deviation = spread(differences)
    return float(differences.mean()) / deviation if deviation > _SAME else float("nan")


def _all_sums(values: Values) -> Values:
    """Return float64 [2 ** n]: the sum of `values` [n] under each choice of signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def _blocks(draws: int, width: int) -> list[int]:
    """Return block sizes that add up to `draws`, none with more than _PICKS_AT_ONCE picks of
    `width`.
    """
    size = max(1, min(_AT_ONCE, _PICKS_AT_ONCE // max(1, width)))
    whole, rest = divmod(draws, size)
    return [size] * whole + [rest] * bool(rest)
