"""Reranking that stops in time. Scores that are there by the deadline count, and a flag says how
many.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from threading import BoundedSemaphore
from time import perf_counter

import numpy as np
import numpy.typing as npt

from core.ports.models import BoundedScorer, PairScorer, PassageScores, ScoreLimits, Told
from core.retrieval import Floats
from core.threads import Threads

Bools = npt.NDArray[np.bool_]

_FIRST = 10  # passages at most; their time decides the size of the next batch
_WORKERS = 8  # threads; if all hang, later batches are skipped at their deadlines
_TOLD_APART = 2  # different scores; a single score says nothing
_IN_TIME = "in time"


@dataclass(frozen=True, slots=True)
class Mixing:
    """How `mix` makes two scores one. `weight` is the reranker's. `floor` is the best fused score
    among the candidates below all reranked ones; the ends (low, high) are the lowest and highest
    scores of all other candidates.
    """

    weight: float
    floor: float
    fused_ends: tuple[float, float]
    rerank_ends: tuple[float, float]

    def shares(self, fused: float, reranked: float) -> tuple[float, float]:
        """Return one candidate's fused and rerank score, each on 0 to 1."""
        return _place(fused, self.fused_ends), _place(reranked, self.rerank_ends)


@dataclass(frozen=True, slots=True)
class Reranked:
    """Scores float32 [n] in the given order, NaN for passages without one.

    `flag` is "" when all were scored, else "partial" or "skipped" with the reason. `note` says
    whether the scorer left the end of the query unread, and the ends of how many passages; "" if it
    read all. `mixing` says how the scores were mixed with the fused ones, None if they were not.
    """

    scores: Floats
    flag: str = ""
    note: str = ""
    mixing: Mixing | None = None


class DeadlineReranker:
    """Scores passages in batches, best first, while time is left. Safe to use from several threads.

    The first batch shows the pace; its size follows from the last query's pace. Each later batch
    takes half of the time left, so that a scorer can sort many passages by length and the best are
    still scored first.

    A batch runs in a thread of the reranker's own, of which there are at most `workers`. When time
    is up it is left behind: the answer does not wait for a scorer that hangs. The scores that the
    scorer has reported by then count.
    """

    def __init__(self, scorer: PairScorer, workers: int = _WORKERS) -> None:
        self._scorer = scorer
        self._pool = Threads(workers, thread_name_prefix="rerank")
        self._free = BoundedSemaphore(workers)  # nothing queues behind workers that hang
        self._pace = 0.0  # seconds a passage at the last query

    def rerank(
        self, query: str, passages: Sequence[str], budget_ms: float, *, tokens: int | None = None
    ) -> Reranked:
        """Score `passages` for `query` within `budget_ms` milliseconds.

        A scorer that takes limits reads at most `tokens` of a pair. A batch that is predicted not
        to fit is not begun. A failing scorer is reported, never raised.
        """
        end = perf_counter() + budget_ms / 1000
        scores = np.full(len(passages), np.nan, np.float32)
        done, pace, why, unread = 0, 0.0, "", _Unread()
        first = self._first_size(end - perf_counter())
        while done < len(passages):
            begun = perf_counter()
            size = _next_size(len(passages) - done, end - begun, pace, first)
            if not size:
                why = why or _IN_TIME
                break
            found, stopped = self._scored(query, passages[done : done + size], end, tokens)
            scores[done : done + size] = found.scores[:, 0]
            done += size
            unread.add(found, done)
            why = why or found.failure or stopped
            if stopped in ("", _IN_TIME):
                known = size if found.failure else int(np.isfinite(found.scores).sum()) or size
                self._pace = pace = max(pace, (perf_counter() - begun) / known)
            if stopped:
                break
        return Reranked(scores, _flag(scores, why), unread.note())

    def _first_size(self, seconds: float) -> int:
        """Return how many passages the first batch has, before this query's pace is known."""
        if self._pace <= 0:
            return _FIRST
        return max(1, min(_FIRST, int(seconds / 2 / self._pace)))

    def _scored(
        self, query: str, batch: Sequence[str], end: float, tokens: int | None
    ) -> tuple[PassageScores, str]:
        """Return the scores of one batch by `end`, and what stopped the rest: _IN_TIME, an error's
        class, or "" if the scorer finished.
        """
        heard = _Heard(len(batch))
        if not self._free.acquire(timeout=max(0.0, end - perf_counter())):
            return heard.latest, _IN_TIME
        try:
            future = self._pool.submit(self._score, query, batch, end, tokens, heard)
        except RuntimeError as error:  # no thread can be started
            self._free.release()
            return heard.latest, type(error).__name__
        future.add_done_callback(lambda _: self._free.release())
        if not wait((future,), max(0.0, end - perf_counter())).done:
            future.cancel()  # a scorer that has begun runs on, and nobody listens
            return heard.latest, _IN_TIME
        try:
            return _sound(future.result(), len(batch)), ""
        except Exception as error:  # noqa: BLE001 - a broken model must not break the answer
            return heard.latest, type(error).__name__

    def _score(
        self, query: str, batch: Sequence[str], end: float, tokens: int | None, told: Told
    ) -> PassageScores:
        scorer = self._scorer
        if isinstance(scorer, BoundedScorer):
            return scorer.score_within(query, batch, ScoreLimits(end, tokens), told)
        return PassageScores(scorer.score([query] * len(batch), batch), 0, 0)


@dataclass(slots=True)
class _Unread:
    """What the scorer did not read of the query and of the first `read` passages, at `limit`
    tokens.
    """

    read: int = 0
    truncated: int = 0
    limit: int = 0
    query: bool = False

    def add(self, found: PassageScores, read: int) -> None:
        """Add a batch's report, after which `read` passages are read."""
        self.query = self.query or found.query_truncated
        if found.tokens:
            self.read, self.limit = read, found.tokens
            self.truncated += found.truncated

    def note(self) -> str:
        """Return the note in words; "" if all was read."""
        parts = ["not all of the query was read"] if self.query else []
        if self.truncated:
            of = f"{self.truncated} of {self.read} passages"
            parts.append(f"{of} truncated to {self.limit} tokens")
        return f"rerank: {'; '.join(parts)}" if parts else ""


class _Heard:
    """The scores that a scorer reported last, for `count` passages. They are replaced as one value,
    so a reader needs no lock and waits for nobody.
    """

    def __init__(self, count: int) -> None:
        self.latest = PassageScores(np.full((count, 1), np.nan, np.float32), 0, 0)

    def __call__(self, found: PassageScores) -> None:
        self.latest = _sound(found, len(self.latest.scores))


def _sound(found: PassageScores, count: int) -> PassageScores:
    """Return `found`, checked. Raises IndexError or ValueError unless it has one score for each of
    `count`.
    """
    if found.scores.shape[1:] != (1,):
        raise IndexError(f"scores have shape {found.scores.shape}, not ({count}, 1)")
    if len(found.scores) != count:
        raise ValueError(f"{len(found.scores)} scores for {count} passages")
    return found


def _next_size(left: int, seconds: float, pace: float, first: int) -> int:
    """Return how many of the `left` passages the next batch scores at `pace` seconds each: `first`
    where the pace is unknown, 0 if time is up.
    """
    least = min(left, first)
    if seconds <= 0 or least * pace > seconds:
        return 0
    return min(left, max(least, int(seconds / 2 / pace))) if pace > 0 else least


def _flag(scores: Floats, why: str) -> str:
    """Return the flag about passages without a score. `why` is an error's class, _IN_TIME or ""."""
    scored = int(np.isfinite(scores).sum())
    if scored == len(scores):
        return ""
    done = "partial" if scored else "skipped"
    if why in ("", _IN_TIME):
        return f"rerank: {done}, {scored} of {len(scores)} in time"
    return f"rerank: {done}, {why}"


def mix(fused: Floats, reranked: Floats, weight: float) -> Floats:
    """Return `weight` of the rerank score plus the rest of the fused score, both min-max over the
    candidates that were reranked.

    Candidates without a rerank score keep their place below these. But a candidate above some
    reranked ones (a batch was cut, or its passage failed) is placed among them by its fused score
    alone: it must not fall behind them because it has no score yet. If the reranker gives all the
    same score, nothing changes.
    """
    mixing = mixing_of(fused, reranked, weight)
    if mixing is None:
        return fused
    mixed, known = fused.copy(), np.isfinite(reranked)
    among = _among(fused, known)
    share = _unit(fused, mixing.fused_ends)
    share[known] *= 1 - weight
    share[known] += weight * _unit(reranked[known], mixing.rerank_ends)
    mixed[among] = mixing.floor + share[among] + np.float32(1e-6)
    return mixed


def mixing_of(fused: Floats, reranked: Floats, weight: float) -> Mixing | None:
    """Return how `mix` mixes these scores; None if it leaves them alone."""
    known = np.isfinite(reranked)
    if weight <= 0 or len(np.unique(reranked[known])) < _TOLD_APART:
        return None
    among = _among(fused, known)
    return Mixing(
        weight,
        float(fused[~among].max(initial=0.0)),
        (float(fused[among].min()), float(fused[among].max())),
        (float(reranked[known].min()), float(reranked[known].max())),
    )


def _among(fused: Floats, known: Bools) -> Bools:
    """Return which candidates were reranked (`known`), or stand no lower than a reranked one."""
    among: Bools = known | (fused >= fused[known].min())
    return among


def _place(score: float, ends: tuple[float, float]) -> float:
    low, high = ends
    return 1.0 if high <= low else (score - low) / (high - low)


def _unit(scores: Floats, ends: tuple[float, float]) -> Floats:
    """Return min-max to 0..1 between the scores' `ends`; all 1 if the ends are equal."""
    low, high = ends
    if high <= low:
        return np.ones_like(scores)
    return ((scores - low) / (high - low)).astype(np.float32)
