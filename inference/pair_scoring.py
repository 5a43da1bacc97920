"""What scorers of pairs have in common: groups that are read at once, and a score or none for each
passage where time is limited.
"""

from collections.abc import Callable, Sequence

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from core.pairs import PassageScores
from inference.batches import cut_texts

ScorePairs = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
"""Equally many queries and passages to a score each; raises what the model raises."""
ScorePassages = Callable[[Sequence[str]], tuple[Sequence[float | Exception], int]]
"""Passages to a score or the error of each, and how many were cut."""


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
    passages: Sequence[str], score: ScorePassages, *, most: int, limit: int
) -> PassageScores:
    """The passages of one query, at most `most` of them at once, under a `limit` in tokens. An
    error takes only its passage's score away; those that are not the model's (it was too late,
    say) are no failure.
    """
    scores = np.full((len(passages), 1), np.nan, np.float32)
    truncated, failure = 0, ""
    for group in cut_texts(passages, most=most):
        answers, cut = score(passages[group])
        truncated += cut
        for place, found in enumerate(answers, group.start):
            if not isinstance(found, Exception):
                scores[place, 0] = found
            elif isinstance(found, ModelError) and not failure:
                failure = type(found).__name__
    return PassageScores(scores, truncated, limit, failure)
