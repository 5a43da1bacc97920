"""The limits of a scorer in time and length, and the scores that it gives within them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from core.items import FloatMatrix


@dataclass(frozen=True, slots=True)
class PassageScores:
    """`scores` are float32 [n, 1] in the given order. A passage has NaN where time did not suffice
    or the model failed at it; `failure` is then the class of the first error.

    `truncated` counts the passages that lost their end to `tokens`, the limit in force;
    `query_truncated` says whether the query did.
    """

    scores: FloatMatrix
    truncated: int
    tokens: int
    failure: str = ""
    query_truncated: bool = False


@dataclass(frozen=True, slots=True)
class ScoreLimits:
    """The limits of a scorer. `until` is a reading of `time.perf_counter`: pairs without a score by
    then are left out, but those that entered the model at once get one. None waits for all. At most
    `tokens` of a pair are read, and never more than the model can read.
    """

    until: float | None = None
    tokens: int | None = None


NO_LIMITS = ScoreLimits()

Told = Callable[[PassageScores], None]
"""Hears the scores that there are so far; called from any thread, and must not take long."""


@runtime_checkable
class BoundedScorer(Protocol):
    """A PairScorer that can stop in time and reports what it did not read."""

    def score_within(
        self,
        query: str,
        passages: Sequence[str],
        limits: ScoreLimits = NO_LIMITS,
        told: Told | None = None,
    ) -> PassageScores:
        """The scores of `passages` for `query`, within `limits`; higher is more relevant.

        `told` gets the scores as soon as there are more of them, so that a caller who stops at
        `limits.until` has what was done by then. Each call gets a new array. Raises BusyError where
        too much waits for the model already.
        """
        ...
