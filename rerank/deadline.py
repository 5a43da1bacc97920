"""Reranking that stops in time: what is scored by then counts, and a flag says how far it got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from core.pairs import BoundedScorer, PassageScores
from core.ports import PairScorer
from core.retrieval import Floats

_FIRST = 10  # passages; how long they take decides how many are scored next


@dataclass(frozen=True, slots=True)
class Reranked:
    """Scores float32 [n] in the order given, NaN for passages that have none.

    `flag` is "" when all were scored, else "partial" or "skipped" with the reason. `note` says
    how many passages were longer than the scorer reads, "" if none was.
    """

    scores: Floats
    flag: str = ""
    note: str = ""


class DeadlineReranker:
    """Scores passages best first, some at a time, while time is left.

    The first few show the pace; after them a batch is as many as would take half of what time is
    left, so that a scorer may sort many by length, and the best are still scored first.
    """

    def __init__(self, scorer: PairScorer) -> None:
        self._scorer = scorer

    def rerank(
        self, query: str, passages: Sequence[str], budget_ms: float, *, tokens: int | None = None
    ) -> Reranked:
        """Scores `passages` for `query` within about `budget_ms` milliseconds, reading at most
        `tokens` of a pair where the scorer can be told so. A batch that is predicted not to fit
        is not begun; a scorer that fails is reported, never raised.
        """
        end = perf_counter() + budget_ms / 1000
        scores = np.full(len(passages), np.nan, np.float32)
        done, pace, truncated, limit, why = 0, 0.0, 0, 0, ""
        while done < len(passages):
            begun = perf_counter()
            size = _next_size(len(passages) - done, end - begun, pace)
            if not size:
                why = why or "in time"
                break
            batch = passages[done : done + size]
            try:
                found = self._scored(query, batch, end, tokens)
                scores[done : done + size] = found.scores[:, 0]
            except Exception as error:  # noqa: BLE001 - a broken model must not break the answer
                why = type(error).__name__
                break
            done += size
            truncated, limit = truncated + found.truncated, found.tokens
            why = why or found.failure
            pace = max(pace, (perf_counter() - begun) / size)
        note = f"rerank: {truncated} of {done} passages truncated to {limit} tokens"
        return Reranked(scores, _flag(scores, why), note if truncated else "")

    def _scored(
        self, query: str, batch: Sequence[str], end: float, tokens: int | None
    ) -> PassageScores:
        """One batch, by whatever the scorer can do."""
        if isinstance(self._scorer, BoundedScorer):
            return self._scorer.score_within(query, batch, until=end, tokens=tokens)
        return PassageScores(self._scorer.score([query] * len(batch), batch), 0, 0)


def _next_size(left: int, seconds: float, pace: float) -> int:
    """How many of the `left` passages are scored next at `pace` seconds each; 0 if time is up."""
    least = min(left, _FIRST)
    if seconds <= 0 or least * pace > seconds:
        return 0
    return min(left, max(least, int(seconds / 2 / pace))) if pace > 0 else least


def _flag(scores: Floats, why: str) -> str:
    """What to say of passages without a score; `why` is an error's class, "in time" or ""."""
    scored = int(np.isfinite(scores).sum())
    if scored == len(scores):
        return ""
    done = "partial" if scored else "skipped"
    if why in ("", "in time"):
        return f"rerank: {done}, {scored} of {len(scores)} in time"
    return f"rerank: {done}, {why}"


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
