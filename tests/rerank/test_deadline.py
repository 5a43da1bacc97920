from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import replace
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.items import FloatMatrix
from core.ports.models import NO_LIMITS, PassageScores, ScoreLimits, Told
from core.retrieval import Floats
from rerank import deadline
from rerank.deadline import DeadlineReranker, mix

NAN = float("nan")


class Watch:
    """A clock that only scoring moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class LengthScorer:
    """Scores a passage by its length; each batch costs `costs[i]` milliseconds on the watch."""

    def __init__(self, watch: Watch, *costs: float) -> None:
        self.watch = watch
        self.costs = list(costs)
        self.read: list[tuple[str, str]] = []

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        self.watch.seconds += (self.costs.pop(0) if self.costs else 0.0) / 1000
        self.read.extend(zip(queries, passages, strict=True))
        return np.array([[len(passage)] for passage in passages], np.float32)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    monkeypatch.setattr(deadline, "perf_counter", made)
    return made


def passages(count: int) -> list[str]:
    return ["x" * (n + 1) for n in range(count)]


def scored(scores: Floats) -> int:
    return int(np.isfinite(scores).sum())


def test_everything_is_scored_in_order_while_there_is_time(watch: Watch) -> None:
    scorer = LengthScorer(watch, 10, 10, 10)
    found = DeadlineReranker(scorer).rerank("q", passages(25), 100)
    assert found.scores.tolist() == [float(n + 1) for n in range(25)]
    assert found.scores.dtype == np.float32
    assert found.flag == ""
    assert scorer.read == [("q", passage) for passage in passages(25)]


def test_nothing_to_score_is_no_failure(watch: Watch) -> None:
    found = DeadlineReranker(LengthScorer(watch)).rerank("q", [], 100)
    assert (len(found.scores), found.flag) == (0, "")


@pytest.mark.parametrize("budget", [0, -5, -1e9])
def test_without_time_nothing_is_begun(watch: Watch, budget: float) -> None:
    scorer = LengthScorer(watch)
    found = DeadlineReranker(scorer).rerank("q", passages(5), budget)
    assert (scored(found.scores), found.flag) == (0, "rerank: skipped, 0 of 5 in time")
    assert scorer.read == []


def test_a_batch_that_would_not_fit_is_not_begun(watch: Watch) -> None:
    """Two batches took 40 ms each; a third would end at 120."""
    scorer = LengthScorer(watch, 40, 40, 40)
    found = DeadlineReranker(scorer).rerank("q", passages(30), 115)
    assert (scored(found.scores), found.flag) == (20, "rerank: partial, 20 of 30 in time")
    assert len(scorer.read) == 20


def test_the_longest_batch_predicts_the_next(watch: Watch) -> None:
    scorer = LengthScorer(watch, 60, 5, 5)
    found = DeadlineReranker(scorer).rerank("q", passages(30), 100)
    assert (scored(found.scores), found.flag) == (10, "rerank: partial, 10 of 30 in time")


def test_a_batch_that_ended_counts_though_time_is_up(watch: Watch) -> None:
    scorer = LengthScorer(watch, 500)
    found = DeadlineReranker(scorer).rerank("q", passages(30), 50)
    assert (scored(found.scores), found.flag) == (10, "rerank: partial, 10 of 30 in time")


class Hanging:
    """Answers `healthy` batches; the next ones end when `freed` is set."""

    def __init__(self, healthy: int) -> None:
        self.healthy = healthy
        self.freed = Event()
        self.sizes: list[int] = []

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        self.sizes.append(len(passages))
        self.healthy -= 1
        if self.healthy < 0:
            assert self.freed.wait(240)
        return np.ones((len(passages), 1), np.float32)


@pytest.mark.parametrize(
    ("healthy", "kept", "done", "budget"), [(0, 0, "skipped", 50), (1, 10, "partial", 1000)]
)
def test_an_answer_does_not_wait_for_a_scorer_that_hangs(
    healthy: int, kept: int, done: str, budget: float
) -> None:
    scorer = Hanging(healthy)
    try:
        found = DeadlineReranker(scorer).rerank("q", passages(30), budget)
        assert not scorer.freed.is_set()  # it hangs still
        assert scored(found.scores) == kept
        assert found.flag == f"rerank: {done}, {kept} of 30 in time"
    finally:
        scorer.freed.set()


def test_where_every_worker_hangs_the_next_is_skipped_and_not_begun() -> None:
    scorer = Hanging(0)
    reranker = DeadlineReranker(scorer, workers=1)
    try:
        reranker.rerank("q", passages(5), 20)
        found = reranker.rerank("q", passages(5), 20)
        assert (found.flag, len(scorer.sizes)) == ("rerank: skipped, 0 of 5 in time", 1)
        assert reranker._pool._work_queue.empty()
    finally:
        scorer.freed.set()


def test_the_last_query_s_pace_says_how_many_to_begin_with(watch: Watch) -> None:
    scorer = LengthScorer(watch, 200, 30, 0)
    reranker = DeadlineReranker(scorer)
    reranker.rerank("q", passages(30), 100)  # 10 of them, 20 ms each
    reranker.rerank("q", passages(1), 100)  # the one takes 30
    assert len(scorer.read) == 11
    reranker.rerank("q", passages(2), 100)  # half of the time is for one
    assert len(scorer.read) == 12 + 1


def test_after_the_first_few_a_batch_takes_half_of_the_time_left(watch: Watch) -> None:
    """10 in 10 ms, then 44 as 89 ms are left, 22 as 45 are left, and so on, but never under 10."""
    calls: list[int] = []

    class Steady:
        """Takes a millisecond for each passage."""

        def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
            calls.append(len(passages))
            watch.seconds += len(passages) / 1000
            return np.ones((len(passages), 1), np.float32)

    found = DeadlineReranker(Steady()).rerank("q", passages(100), 99.5)
    assert calls == [10, 44, 22, 11, 10]
    assert (scored(found.scores), found.flag) == (97, "rerank: partial, 97 of 100 in time")
    assert not np.isnan(found.scores[:97]).any()  # the best are scored first
    assert watch.seconds <= 100.0995


class Bounded:
    """A scorer that knows limits: gives a passage its length, but none to those in `late`."""

    def __init__(self, late: str = "", failure: str = "") -> None:
        self.late = late
        self.failure = failure
        self.asked: list[tuple[float | None, int | None]] = []
        self.sizes: list[int] = []

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        raise AssertionError("it can do better")

    def score_within(
        self,
        query: str,
        passages: Sequence[str],
        limits: ScoreLimits = NO_LIMITS,
        told: Told | None = None,
    ) -> PassageScores:
        self.asked.append((limits.until, limits.tokens))
        self.sizes.append(len(passages))
        scores = [NAN if passage == self.late else len(passage) for passage in passages]
        truncated = sum(len(passage) > 15 for passage in passages)
        failure = self.failure if self.late in passages else ""
        return PassageScores(
            np.array([scores], np.float32).T, truncated, limits.tokens or 256, failure
        )


def test_what_was_cut_is_noted(watch: Watch) -> None:
    scorer = Bounded()
    found = DeadlineReranker(scorer).rerank("q", passages(20), 100, tokens=48)
    assert (found.flag, found.note) == ("", "rerank: 5 of 20 passages truncated to 48 tokens")
    assert {(until and round(until, 6), tokens) for until, tokens in scorer.asked} == {(100.1, 48)}
    assert DeadlineReranker(scorer).rerank("q", passages(10), 100).note == ""


def test_a_query_that_was_cut_is_noted(watch: Watch) -> None:
    class ShortQueries(Bounded):
        """Reads three characters of a query."""

        def score_within(self, query: str, *told: Any, **limits: Any) -> PassageScores:
            found = super().score_within(query, *told, **limits)
            return replace(found, query_truncated=len(query) > 3)

    reranker = DeadlineReranker(ShortQueries())
    cut = "rerank: not all of the query was read"
    assert reranker.rerank("four", passages(10), 100).note == cut
    both = f"{cut}; 5 of 20 passages truncated to 48 tokens"
    assert reranker.rerank("four", passages(20), 100, tokens=48).note == both
    assert reranker.rerank("q", passages(10), 100).note == ""


def test_a_passage_that_was_late_is_flagged(watch: Watch) -> None:
    found = DeadlineReranker(Bounded(late="xxx")).rerank("q", passages(20), 100)
    assert np.isnan(found.scores).tolist() == [n == 2 for n in range(20)]
    assert found.flag == "rerank: partial, 19 of 20 in time"


def test_a_passage_that_failed_fails_alone(watch: Watch) -> None:
    scorer = Bounded(late="xxx", failure="ModelError")
    found = DeadlineReranker(scorer).rerank("q", passages(20), 100)
    assert scored(found.scores) == 19
    assert found.flag == "rerank: partial, ModelError"


class Telling:
    """Tells of the first `scored` passages of a batch, and then hangs or fails."""

    def __init__(self, scored: int, fails: bool = False) -> None:
        self.scored = scored
        self.fails = fails
        self.told = Event()
        self.freed = Event()
        self.left = Event()

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        raise AssertionError("it can do better")

    def score_within(
        self,
        query: str,
        passages: Sequence[str],
        limits: ScoreLimits = NO_LIMITS,
        told: Told | None = None,
    ) -> PassageScores:
        assert told is not None
        scores = np.full((len(passages), 1), NAN, np.float32)
        for place in range(self.scored):
            scores[place] = len(passages[place])
            told(PassageScores(scores.copy(), 4, 48))
        self.told.set()
        if self.fails:
            raise MemoryError("no room")
        assert self.freed.wait(240)
        scores[:] = 99.0
        told(PassageScores(scores, 4, 48))
        self.left.set()
        return PassageScores(scores, 4, 48)


@pytest.mark.parametrize(
    ("count", "flag", "note"),
    [
        (
            3,
            "rerank: partial, 3 of 30 in time",
            "rerank: 4 of 10 passages truncated to 48 tokens",
        ),
        (0, "rerank: skipped, 0 of 30 in time", ""),
    ],
)
def test_what_was_told_by_the_deadline_counts(
    monkeypatch: pytest.MonkeyPatch, count: int, flag: str, note: str
) -> None:
    scorer = Telling(count)

    def until_told(futures: tuple[Future[PassageScores]], timeout: float) -> object:
        assert scorer.told.wait(240)
        return wait_for(futures, 0)

    monkeypatch.setattr(deadline, "wait", until_told)  # time is up once it has told
    try:
        found = DeadlineReranker(scorer).rerank("q", passages(30), 60_000)
        kept = found.scores.copy()
        assert kept[:count].tolist() == [n + 1 for n in range(count)]
        assert (scored(kept), found.flag, found.note) == (count, flag, note)
    finally:
        scorer.freed.set()
    assert scorer.left.wait(240)
    assert np.array_equal(found.scores, kept, equal_nan=True)  # what comes later is not heard


def test_what_was_told_before_a_failure_counts() -> None:
    found = DeadlineReranker(Telling(3, fails=True)).rerank("q", passages(30), 60_000)
    assert (scored(found.scores), found.flag) == (3, "rerank: partial, MemoryError")


def test_where_no_thread_can_be_started_it_is_reported_and_nothing_stays_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reranker = DeadlineReranker(BrokenScorer(100), workers=2)

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(ThreadPoolExecutor, "submit", refuse)
        for _ in range(5):
            assert reranker.rerank("q", ["a"], 60_000).flag == "rerank: skipped, RuntimeError"
    assert reranker.rerank("q", ["a"], 60_000).flag == ""


def test_passages_that_fail_do_not_make_the_scorer_look_slow() -> None:
    scorer = Bounded(late="bad", failure="ModelError")
    found = DeadlineReranker(scorer).rerank("q", ["good", *["bad"] * 59], 60_000)
    assert scorer.sizes == [10, 50]
    assert found.flag == "rerank: partial, ModelError"


class BrokenScorer:
    """Fails from batch `healthy` on, in one of several ways."""

    def __init__(self, healthy: int, answer: FloatMatrix | None = None) -> None:
        self.healthy = healthy
        self.answer = answer

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        self.healthy -= 1
        if self.healthy >= 0:
            return np.ones((len(passages), 1), np.float32)
        if self.answer is None:
            raise MemoryError("no room")
        return self.answer


@pytest.mark.parametrize(
    ("healthy", "answer", "flag", "kept"),
    [
        (0, None, "rerank: skipped, MemoryError", 0),
        (1, None, "rerank: partial, MemoryError", 10),
        (0, np.zeros((3, 1), np.float32), "rerank: skipped, ValueError", 0),
        (1, np.zeros(10, np.float32), "rerank: partial, IndexError", 10),
    ],
)
def test_a_scorer_that_fails_is_reported(
    healthy: int, answer: FloatMatrix | None, flag: str, kept: int
) -> None:
    found = DeadlineReranker(BrokenScorer(healthy, answer)).rerank("q", passages(30), 10_000)
    assert (found.flag, scored(found.scores)) == (flag, kept)


def floats(values: Sequence[float]) -> Floats:
    return np.array(values, np.float32)


def test_mixing_moves_by_weight() -> None:
    fused, reranked = floats([0.9, 0.5, 0.1]), floats([0, 5, 10])
    assert mix(fused, reranked, 0.0).tolist() == fused.tolist()
    light, heavy = mix(fused, reranked, 0.2), mix(fused, reranked, 0.8)
    assert np.argsort(-light).tolist() == [0, 1, 2]
    assert np.argsort(-heavy).tolist() == [2, 1, 0]
    assert mix(fused, reranked, 1.0).tolist() == pytest.approx([0, 0.5, 1], abs=1e-5)


def test_mixing_nothing_changes_nothing() -> None:
    fused = floats([0.9, 0.5])
    assert mix(fused, floats([NAN, NAN]), 0.5).tolist() == fused.tolist()
    assert mix(floats([]), floats([]), 0.5).tolist() == []


def test_equal_scores_stay_equal() -> None:
    mixed = mix(floats([0.5, 0.5]), floats([3, 3]), 0.5)
    assert mixed[0] == mixed[1]


def test_a_score_that_is_no_number_counts_as_none() -> None:
    mixed = mix(floats([0.9, 0.8, 0.7, 0.6]), floats([float("inf"), 1, 2, NAN]), 0.9)
    assert np.argsort(-mixed).tolist() == [0, 2, 1, 3]  # the first by its fused score
    assert mixed[3] == np.float32(0.6)


def test_one_score_alone_moves_nothing() -> None:
    fused = floats([0.9, 0.8, 0.7, 0.6])
    assert mix(fused, floats([NAN, NAN, NAN, -5]), 0.7).tolist() == fused.tolist()
    assert mix(fused, floats([NAN, 3, 3, NAN]), 0.7).tolist() == fused.tolist()


def test_equal_fused_scores_are_on_one_side_of_the_floor() -> None:
    mixed = mix(floats([0.9, 0.9, 0.9, 0.9]), floats([NAN, 1, 2, NAN]), 0.7)
    assert mixed[0] == mixed[3] == mixed[2] > mixed[1]


def test_a_hit_that_was_not_scored_in_time_does_not_fall_behind_worse_ones_that_were() -> None:
    """The longest passages go first: the best hit was short, and the deadline cut its batch."""
    fused = floats([0.9, 0.5, 0.4, 0.3, 0.2])
    mixed = mix(fused, floats([NAN, 2, 9, NAN, NAN]), 0.3)
    assert np.argsort(-mixed).tolist() == [0, 2, 1, 3, 4]
    assert np.argsort(-mix(fused, floats([NAN, 2, 9, NAN, NAN]), 1.0))[:3].tolist() == [0, 2, 1]


units = st.floats(0, 1, width=32)
pairs = st.lists(
    st.tuples(units, st.one_of(st.floats(-1e6, 1e6, width=32), st.just(NAN))), max_size=30
)
weights = st.floats(0.01, 1)


@given(pairs, weights)
def test_what_stands_below_all_that_was_reranked_stays_there_and_keeps_its_score(
    values: list[tuple[float, float]], weight: float
) -> None:
    fused, reranked = floats([f for f, _ in values]), floats([r for _, r in values])
    mixed = mix(fused, reranked, weight)
    known = np.isfinite(reranked)
    assert np.isfinite(mixed).all()
    if len(set(reranked[known].tolist())) < 2:
        assert mixed.tolist() == fused.tolist()
        return
    below = ~known & (fused < fused[known].min())
    assert mixed[below].tolist() == fused[below].tolist()
    if below.any():
        assert mixed[~below].min() > mixed[below].max()


@given(pairs, weights)
def test_what_has_no_score_keeps_its_order(
    values: list[tuple[float, float]], weight: float
) -> None:
    fused, reranked = floats([f for f, _ in values]), floats([r for _, r in values])
    mixed = mix(fused, reranked, weight)
    without = np.flatnonzero(~np.isfinite(reranked))
    for a in without:
        for b in without:
            assert fused[a] < fused[b] or mixed[a] >= mixed[b]


@given(pairs, weights)
def test_better_on_both_sides_is_never_worse(
    values: list[tuple[float, float]], weight: float
) -> None:
    fused, reranked = floats([f for f, _ in values]), floats([r for _, r in values])
    mixed = mix(fused, reranked, weight)
    known = np.flatnonzero(np.isfinite(reranked))
    for a in known:
        for b in known:
            if fused[a] >= fused[b] and reranked[a] >= reranked[b]:
                assert mixed[a] >= mixed[b]


@given(pairs, weights, st.floats(0.5, 100), st.floats(-10, 10))
def test_the_scorer_s_scale_plays_no_part(
    values: list[tuple[float, float]], weight: float, factor: float, shift: float
) -> None:
    coarse = [(f, r if np.isnan(r) else float(round(r) % 50)) for f, r in values]
    fused, reranked = floats([f for f, _ in coarse]), floats([r for _, r in coarse])
    moved = reranked * np.float32(factor) + np.float32(shift)
    assert mix(fused, moved, weight).tolist() == pytest.approx(
        mix(fused, reranked, weight).tolist(), abs=1e-3
    )
