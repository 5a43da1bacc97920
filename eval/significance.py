"""Is a difference more than chance? Paired tests over queries.

- `randomization`: under the null hypothesis each query's two values could be exchanged; p is the
  share of random exchanges whose mean difference is at least as far from 0 as the one seen (Smucker
  and others 2007), two-sided, the seen one counted in, so that p is never 0.
- `bootstrap_interval`: percentiles of the mean over queries drawn with replacement (Efron 1979).
- `holm`: p values adjusted for several questions at once (Holm 1979).

Every draw comes from a fixed seed: the same numbers give the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
DRAWS = 20_000
_SEED = 20_261_125
_AT_ONCE = 1000  # draws held at a time


def randomization(differences: Values, draws: int = DRAWS) -> float:
    """Two-sided p of paired `differences` [n] having mean 0; 1 where there are none."""
    if not len(differences) or not differences.any():
        return 1.0
    chance = np.random.default_rng(_SEED)
    seen = abs(float(differences.mean())) - 1e-12
    as_far = 0
    for start in range(0, draws, _AT_ONCE):
        size = min(_AT_ONCE, draws - start)
        signs = chance.integers(0, 2, (size, len(differences)), np.int8) * 2 - 1
        as_far += int((np.abs(signs @ differences) / len(differences) >= seen).sum())
    return (as_far + 1) / (draws + 1)


def bootstrap_interval(
    groups: Sequence[Values], level: float = 0.95, draws: int = DRAWS
) -> tuple[float, float]:
    """The interval of the mean of the groups' means, each group [n] resampled by itself. With one
    group it is that group's interval.
    """
    chance = np.random.default_rng(_SEED)
    total = np.zeros(draws)
    for values in groups:
        for start in range(0, draws, _AT_ONCE):
            size = min(_AT_ONCE, draws - start)
            picked = chance.integers(0, len(values), (size, len(values)))
            total[start : start + size] += values[picked].mean(axis=1)
    low, high = np.quantile(total / len(groups), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted step by step, in their order; none above 1."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
