"""What can so many queries show? Power of paired comparisons, by formula and by resampling.

- `least_effect`: the smallest true mean difference that a two-sided paired test finds with that
  power, (z(1 - alpha / 2) + z(power)) sd / sqrt(n), where sd is that of the paired differences
  (Cohen 1988; Sakai 2016 for retrieval). This is the normal approximation: a little too small below
  about 30 queries.
- `queries_needed`: the same formula, solved for n.
- `share_caught`: how often a rule says "worse" over bootstrap resamples of the queries (Efron
  1979). For `recentred` differences the truth is known: the mean that they were moved to.
- `exchanged`: each resample swaps the two values of a random half of the queries. The result has
  no true difference, but the spread of the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, isfinite, sqrt
from statistics import NormalDist

import numpy as np

from eval.compare.significance import Values

ALPHA = 0.05
POWER = 0.8
RESAMPLES = 300
_SEED = 20_261_125

Decide = Callable[[Values], bool]


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `total`, with its 95 % interval (Wilson 1927)."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share, 0 to 1."""
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """The lower and upper end, 0 to 1."""
        z = NormalDist().inv_cdf(0.975)
        middle = (self.value + z**2 / (2 * self.total)) / (1 + z**2 / self.total)
        inner = self.value * (1 - self.value) / self.total + z**2 / (4 * self.total**2)
        half = z * sqrt(inner) / (1 + z**2 / self.total)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} ({self.count} of {self.total}; {low:.1%} to {high:.1%})"


def least_effect(deviation: float, count: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return the smallest true difference that `count` queries show, given the standard deviation
    of paired differences. NaN if it is unknown: under two queries, or without any spread.
    """
    if count < 2 or not isfinite(deviation) or deviation <= 0:
        return float("nan")
    return _factor(alpha, power) * deviation / sqrt(count)


def queries_needed(
    effect: float, deviation: float, alpha: float = ALPHA, power: float = POWER
) -> int:
    """Return how many queries show a true difference of `effect` (above 0) with that power."""
    return max(2, ceil((_factor(alpha, power) * deviation / effect) ** 2))


def recentred(differences: Values, mean: float) -> Values:
    """Return the differences [n], moved so that their mean is `mean`."""
    moved: Values = differences - differences.mean() + mean
    return moved


def resampled(
    differences: Values, resamples: int, *, count: int = 0, seed: int = _SEED
) -> Iterator[Values]:
    """Yield `resamples` samples of `count` (default n) from `differences` [n], with replacement."""
    chance = np.random.default_rng(seed)
    for _ in range(resamples):
        yield differences[chance.integers(0, len(differences), count or len(differences))]


def exchanged(
    differences: Values, resamples: int, *, count: int = 0, seed: int = _SEED
) -> Iterator[Values]:
    """Yield the same samples, each difference with a random sign."""
    chance = np.random.default_rng(seed + 1)
    for drawn in resampled(differences, resamples, count=count, seed=seed):
        yield drawn * (chance.integers(0, 2, len(drawn)) * 2 - 1)


def share_caught(draws: Iterator[Values], decide: Decide) -> Share:
    """Return the share of `draws` for which `decide` says "worse"."""
    said = [decide(drawn) for drawn in draws]
    return Share(sum(said), len(said))


def _factor(alpha: float, power: float) -> float:
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
