"""What scorers of pairs have in common: texts go through the model part by part, and where time is
limited each passage gets a score or none.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import ClassVar

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from core.ports.models import NO_LIMITS, PassageScores, ScoreLimits, Told
from inference.loaded import LoadedModel
from inference.serving.batches import cut_texts

Scored = Mapping[int, float | Exception]
"""The score of each of some passages, or its error, by its place."""


@dataclass(slots=True, eq=False)
class ScoreSheet:
    """The scores of one query's passages as they come, from several threads at once, under a
    `limit` in tokens. `told` gets them in order; what it has got is never taken back.
    """

    count: int
    limit: int
    told: Told | None = None
    truncated: int = 0
    failure: str = ""
    query_truncated: bool = False
    _scores: FloatMatrix = field(init=False)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._scores = np.full((self.count, 1), np.nan, np.float32)

    def cut(self, passages: int, *, query: bool) -> None:
        """Count passages that lost their end, and say whether the `query` did."""
        with self._lock:
            self.truncated += passages
            self.query_truncated |= query

    def put(self, start: int, found: Scored) -> None:
        """Put the scores of passages, counted from `start`. An error takes only its own passage's
        score away; one that is not the model's (it was too late, say) is not a failure.
        """
        with self._lock:
            for place, answer in found.items():
                if not isinstance(answer, Exception):
                    self._scores[start + place, 0] = answer
                elif isinstance(answer, ModelError) and not self.failure:
                    self.failure = type(answer).__name__
            if self.told is not None:
                self.told(self._so_far())

    def so_far(self) -> PassageScores:
        """Return a copy of the present state."""
        with self._lock:
            return self._so_far()

    def _so_far(self) -> PassageScores:
        return PassageScores(
            self._scores.copy(), self.truncated, self.limit, self.failure, self.query_truncated
        )


@dataclass(frozen=True, slots=True)
class PassagesPart:
    """Some of one query's passages, the first of which is passage `start` of the `sheet`."""

    texts: Sequence[str]
    start: int
    sheet: ScoreSheet

    def cut(self, passages: int, *, query: bool) -> None:
        """Count passages that lost their end, and say whether the `query` did."""
        self.sheet.cut(passages, query=query)

    def put(self, found: Scored) -> None:
        """Put the scores of passages, counted from the first of this part."""
        self.sheet.put(self.start, found)


@dataclass(frozen=True, slots=True)
class PairModel(LoadedModel):
    """The PairScorer and BoundedScorer ports over a loaded model. Thread-safe.

    `at_once` is how many pairs are read together: the rest wait as text.
    """

    at_once: ClassVar[int]

    @abstractmethod
    def limit(self, tokens: int | None) -> int:
        """Return the tokens that are read of a pair where `tokens` are asked for."""

    @abstractmethod
    def score_pairs(self, queries: Sequence[str], passages: Sequence[str]) -> Sequence[float]:
        """Return the scores of at most `at_once` pairs, read to the model's own limit."""

    @abstractmethod
    def score_part(self, query: str, part: PassagesPart, limits: ScoreLimits) -> None:
        """Put the scores of at most `at_once` passages on their sheet as they come."""

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, 1] for the n pairs (queries[i], passages[i]).

        Raises ValueError if there are not as many queries as passages, BusyError if too much waits
        already, ModelError if the model fails.
        """
        if len(queries) != len(passages):
            raise ValueError(f"{len(queries)} queries for {len(passages)} passages")
        scores = np.zeros((len(passages), 1), np.float32)
        for group in cut_texts(passages, most=self.at_once):
            scores[group, 0] = self.score_pairs(queries[group], passages[group])
        return scores

    def score_within(
        self,
        query: str,
        passages: Sequence[str],
        limits: ScoreLimits = NO_LIMITS,
        told: Told | None = None,
    ) -> PassageScores:
        """Return the scores of `passages` within `limits`, as `core.ports.models.BoundedScorer`
        says.
        """
        sheet = ScoreSheet(len(passages), self.limit(limits.tokens), told)
        for group in cut_texts(passages, most=self.at_once):
            self.score_part(query, PassagesPart(passages[group], group.start, sheet), limits)
        return sheet.so_far()
