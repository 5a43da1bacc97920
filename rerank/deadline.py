"""Reranking that stops in time: what is scored by then counts, and a flag says how far it got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from core.ports import PairScorer
from core.retrieval import Floats

_BATCH = 10


@dataclass(frozen=True, slots=True)
class Reranked:
    """Scores float32 [n] in the order given, NaN for passages that time did not suffice for.

    `flag` is "" when all were scored, else "partial" or "skipped" with the reason.
    """

    scores: Floats
    flag: str = ""


class DeadlineReranker:
    """Scores passages best first, a few at a time, while time is left."""

    def __init__(self, scorer: PairScorer) -> None:
        self._scorer = scorer

    def rerank(self, query: str, passages: Sequence[str], budget_ms: float) -> Reranked:
        """Scores `passages` for `query` within about `budget_ms` milliseconds. A batch that is
        predicted not to fit is not begun; a scorer that fails is reported, never raised.
        """
        started = perf_counter()
        scores = np.full(len(passages), np.nan, np.float32)
        longest = 0.0
        for start in range(0, len(passages), _BATCH):
            begun = perf_counter()
            if (begun - started + longest) * 1000 >= budget_ms:
                done = "partial" if start else "skipped"
                return Reranked(scores, f"rerank: {done}, {start} of {len(passages)} in time")
            batch = passages[start : start + _BATCH]
            try:
                found = self._scorer.score([query] * len(batch), batch)
                scores[start : start + len(batch)] = found[:, 0]
            except Exception as error:  # noqa: BLE001 - a broken model must not break the answer
                done = "partial" if start else "skipped"
                return Reranked(scores, f"rerank: {done}, {type(error).__name__}")
            longest = max(longest, perf_counter() - begun)
        return Reranked(scores)


def mix(fused: Floats, reranked: Floats, weight: float) -> Floats:
    """`weight` of the rerank score and the rest of the fused one, both min-max over the candidates
    that were reranked; those that were not keep their place below them.
    """
    known = np.isfinite(reranked)
    if not known.any() or weight <= 0:
        return fused
    mixed = fused.copy()
    share = (1 - weight) * _unit(fused[known]) + weight * _unit(reranked[known])
    floor = float(fused[~known].max(initial=0.0))
    mixed[known] = floor + share + np.float32(1e-6)
    return mixed


def _unit(scores: Floats) -> Floats:
    """Min-max to 0..1; all 1 where they are equal."""
    low, high = float(scores.min()), float(scores.max())
    if high <= low:
        return np.ones_like(scores)
    return ((scores - low) / (high - low)).astype(np.float32)
