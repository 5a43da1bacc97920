"""Tests that may be looked at on any day, as often as one likes.

An e-process is a bet against "there is no difference" that nobody can expect to win: it begins at
1, and under that hypothesis it ever reaches 1/alpha with a chance of at most alpha (Ville's
inequality; A. Ramdas, P. Gruenwald, V. Vovk, G. Shafer, Game-theoretic statistics and safe
anytime-valid inference, 2023). So who stops as soon as it does has false alarms in at most alpha of
experiments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, inf, lgamma, log, pi

import numpy as np
import numpy.typing as npt

Floats64 = npt.NDArray[np.float64]
ALPHA = 0.05
_STAKES = np.array([-0.8, -0.4, -0.2, -0.1, 0.1, 0.2, 0.4, 0.8])
_MOST = 10_000_000  # votes


@dataclass(frozen=True, slots=True)
class Evidence:
    """The value of an e-process now, and the largest so far."""

    now: float
    most: float

    def reaches(self, alpha: float = ALPHA) -> bool:
        """Return whether "no difference" is rejected at this level."""
        return self.most >= 1 / alpha


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def sign_log_e(wins: int, losses: int) -> float:
    """Return the logarithm of the e-value of votes that are tosses of a fair coin if there is no
    preference: the bets on every chance of a win, mixed evenly.
    """
    return _log_beta(wins + 1, losses + 1) + (wins + losses) * log(2)


def sign_evidence(votes: Iterable[bool]) -> Evidence:
    """Return the evidence of votes in their order, True for the candidate."""
    for_it = np.fromiter(votes, np.float64)
    before = np.arange(len(for_it))
    wins: Floats64 = np.cumsum(for_it) - for_it
    same = np.where(for_it > 0, wins, before - wins)  # earlier votes like this one
    logs: Floats64 = np.cumsum(np.log(2 * (same + 1) / (before + 2)))
    return _evidence(logs)


def preference_interval(wins: int, losses: int, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the shares of wins that the votes do not reject, also valid on any day."""
    shares = np.linspace(0.0005, 0.9995, 1000)
    against = _log_beta(wins + 1, losses + 1) - wins * np.log(shares) - losses * np.log1p(-shares)
    kept = shares[against < log(1 / alpha)]
    return (float(kept[0]), float(kept[-1])) if len(kept) else (0.0, 1.0)


def mean_evidence(observed: Iterable[tuple[bool, float]]) -> Evidence:
    """Return the evidence that two groups differ in a mean. `observed` has for each caller, in the
    order in which they became final, whether it is in the candidate's group, and a value in 0 to 1.

    Each caller is a coin's toss: under "no difference" the group says nothing of the value. The
    stakes are on the value's distance from the mean of the callers before, so no later caller
    changes an earlier bet.
    """
    rows = np.array([*observed], np.float64).reshape(-1, 2)
    sides, values = 2 * rows[:, 0] - 1, rows[:, 1]
    means = (0.5 + np.cumsum(values) - values) / (1 + np.arange(len(values)))
    growth = np.log1p(_STAKES[:, None] * (sides * (values - means)))
    logs: Floats64 = np.logaddexp.reduce(np.cumsum(growth, axis=1), axis=0)
    return _evidence(logs - log(len(_STAKES)))


def _evidence(logs: Floats64) -> Evidence:
    """Return the evidence of the logarithms of e-values, in order."""
    now = float(logs[-1]) if len(logs) else 0.0
    return Evidence(_exp(now), _exp(float(logs.max(initial=0.0))))


def votes_needed(share: float, alpha: float = ALPHA) -> int:
    """Return how many votes the test needs if the candidate truly wins this share of them: the
    first number at which the expected logarithm of the e-value is enough. Raises ValueError for
    1/2.
    """
    if not 0 < share < 1 or share == 0.5:
        raise ValueError("a share of one half is never found")
    gain = log(2) + share * log(share) + (1 - share) * log(1 - share)
    needed = log(1 / alpha) / gain
    for _ in range(50):  # what the mixture costs grows with the logarithm of the votes
        spread = 2 * pi * share * (1 - share)
        needed = (log(1 / alpha) + 0.5 * log(max(needed, 1) / spread)) / gain
        if needed > _MOST:
            return _MOST
    return int(needed) + 1


def _exp(value: float) -> float:
    return exp(value) if value < 700 else inf
