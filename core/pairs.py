"""What a scorer gives for a query and its passages when time and length are limited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from core.items import FloatMatrix


@dataclass(frozen=True, slots=True)
class PassageScores:
    """`scores` float32 [n, 1] in the order given, NaN where there is none: time did not suffice,
    or the model failed at that passage, and `failure` is then the first error's class.

    `truncated` is how many of the passages lost their end to `tokens`, the limit that held;
    `query_truncated` says whether the query did.
    """

    scores: FloatMatrix
    truncated: int
    tokens: int
    failure: str = ""
    query_truncated: bool = False


@dataclass(frozen=True, slots=True)
class ScoreLimits:
    """How far a scorer goes. At `until`, a reading of `time.perf_counter`, pairs that have no score
    are left out, but for those that entered the model at once; None waits for all. At most `tokens`
    of a pair are read, and never more than the model can.
    """

    until: float | None = None
    tokens: int | None = None


NO_LIMITS = ScoreLimits()

Told = Callable[[PassageScores], None]
"""Hears the scores that there are so far; called from any thread, and must not take long."""


@runtime_checkable
class BoundedScorer(Protocol):
    """A PairScorer that can stop in time and says what it did not read."""

    def score_within(
        self,
        query: str,
        passages: Sequence[str],
        limits: ScoreLimits = NO_LIMITS,
        told: Told | None = None,
    ) -> PassageScores:
        """The scores of `passages` for `query`, within `limits`; higher is more relevant.

        `told` hears of scores as soon as there are more, so that a caller who stops listening at
        `limits.until` has what was done by then. Each time it gets an array of its own.

        Raises BusyError where too much waits for the model already.
        """
        ...
