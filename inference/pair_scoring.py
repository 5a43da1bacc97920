"""What scorers of pairs have in common: groups that are read at once, and a score or none for each
passage where time is limited.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from core.pairs import PassageScores, Told
from inference.serving.batches import cut_texts

ScorePairs = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
"""Equally many queries and passages to a score each; raises what the model raises."""
ScorePassages = Callable[[slice, "ScoreSheet"], None]
"""Scores a slice of the passages and puts what it finds on the sheet."""
Scored = Mapping[int, float | Exception]
"""The score of each of some passages, or its error, by its place."""


@dataclass(slots=True, eq=False)
class ScoreSheet:
    """The scores of one query's passages as they come, from several threads at once, under a
    `limit` in tokens. `told` hears of them in order: what it has heard is never taken back.
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
        """So many more passages lost their end, and perhaps the `query` did."""
        with self._lock:
            self.truncated += passages
            self.query_truncated |= query

    def put(self, start: int, found: Scored) -> None:
        """Scores of passages, counted from `start`. An error takes only its passage's score away;
        those that are not the model's (it was too late, say) are no failure.
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
        """What there is at this moment, apart from the sheet."""
        with self._lock:
            return self._so_far()

    def _so_far(self) -> PassageScores:
        return PassageScores(
            self._scores.copy(), self.truncated, self.limit, self.failure, self.query_truncated
        )


def score_pairs(
    queries: Sequence[str], passages: Sequence[str], score: ScorePairs, *, most: int
) -> FloatMatrix:
    """float32 [n, 1] for the n pairs (queries[i], passages[i]), at most `most` of them at once.

    Raises ValueError if there are not as many queries as passages, and what `score` raises.
    """
    if len(queries) != len(passages):
        raise ValueError(f"{len(queries)} queries for {len(passages)} passages")
    scores = np.zeros((len(passages), 1), np.float32)
    for group in cut_texts(passages, most=most):
        scores[group, 0] = score(queries[group], passages[group])
    return scores


def score_passages(
    passages: Sequence[str], score: ScorePassages, sheet: ScoreSheet, *, most: int
) -> PassageScores:
    """The passages of one query on its `sheet`, at most `most` of them at once."""
    for group in cut_texts(passages, most=most):
        score(group, sheet)
    return sheet.so_far()
