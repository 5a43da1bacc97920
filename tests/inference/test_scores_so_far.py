"""What a scorer has scored is told batch by batch: a deadline loses the rest and no more."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from core.errors import ModelError
from core.ports.models import PassageScores, ScoreLimits
from inference.cross_encoder import CrossEncoder
from inference.late_interaction import MaxSimScorer
from inference.models.store import ModelStore
from inference.pair_scoring import ScoreSheet
from inference.runtime import Array
from inference.serving.batches import BatchLimits
from inference.texts.pooling import HIDDEN
from rerank import deadline
from rerank.deadline import DeadlineReranker
from tests.inference.computed_models import (
    THREE,
    Compute,
    ComputedRuntime,
    folder_like,
    hidden_states,
    overlap,
)

WAIT = 240.0  # seconds; nothing here takes a second unless it hangs
QUERY = "oil"
LONG, SHORT = "snow snow snow oil oil oil oil", "oil oil oil"  # the long one is scored first


@dataclass
class Gated:
    """A computed model that answers `healthy` batches; the next ones wait for `gate`."""

    compute: Compute
    healthy: int
    gate: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)  # a batch is under way

    def __call__(self, arrays: Mapping[str, Array]) -> Array:
        self.healthy -= 1
        if self.healthy < 0:
            self.held.set()
            assert self.gate.wait(WAIT)
        return self.compute(arrays)


def cross_encoder(models: ModelStore, compute: Compute, lanes: int = 1) -> CrossEncoder:
    folder = folder_like(models, "all-MiniLM-L6-v2", task="score", max_tokens=32)
    runtime = ComputedRuntime(compute, "logits", THREE)
    return CrossEncoder.over(folder, runtime, limits=BatchLimits(tokens=12, lanes=lanes))


def late_interaction(models: ModelStore, compute: Compute, lanes: int = 1) -> MaxSimScorer:
    folder = folder_like(models, "all-MiniLM-L6-v2", max_tokens=32)
    runtime = ComputedRuntime(compute, HIDDEN)
    return MaxSimScorer.over(folder, runtime, limits=BatchLimits(tokens=9, lanes=lanes))


def known(found: PassageScores) -> list[bool]:
    return [bool(one) for one in np.isfinite(found.scores[:, 0])]


def test_a_cross_encoder_tells_of_each_batch(models: ModelStore) -> None:
    model = Gated(overlap, healthy=1)
    scorer = cross_encoder(models, model)
    told: list[PassageScores] = []
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            scorer.score_within, QUERY, [SHORT, LONG], ScoreLimits(tokens=10), told=told.append
        )
        assert model.held.wait(WAIT)  # the second batch
        assert [known(found) for found in told] == [[False, True]]
        assert (told[0].truncated, told[0].tokens) == (1, 10)
        first = told[0].scores.copy()
        model.gate.set()
        found = asked.result(WAIT)
    assert known(found) == [True, True]
    np.testing.assert_array_equal(told[-1].scores, found.scores)
    np.testing.assert_array_equal(told[0].scores, first)  # its own array: nothing is added to it
    np.testing.assert_array_equal(found.scores[1], first[1])


def test_late_interaction_reads_the_query_before_all_passages(models: ModelStore) -> None:
    model = Gated(hidden_states, healthy=2)
    scorer = late_interaction(models, model)
    told: list[PassageScores] = []
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(scorer.score_within, QUERY, [SHORT, LONG], told=told.append)
        assert model.held.wait(WAIT)
        assert [known(found) for found in told] == [[False, True]]
        model.gate.set()
        found = asked.result(WAIT)
    lengths = [arrays["input_ids"].shape for arrays in scorer.runtime.seen]  # type: ignore[attr-defined]
    assert lengths == [(1, 3), (1, 9), (1, 5)]
    np.testing.assert_array_equal(found.scores, scorer.score([QUERY] * 2, [SHORT, LONG]))


def test_a_query_that_fails_leaves_no_passage_a_score(models: ModelStore) -> None:
    def compute(arrays: Mapping[str, Array]) -> Array:
        vectors = hidden_states(arrays)
        if arrays["input_ids"].shape[1] == 3:
            vectors[:] = np.nan
        return vectors

    found = late_interaction(models, compute).score_within(QUERY, [SHORT, LONG])
    assert known(found) == [False, False]
    assert found.failure == "ModelError"


@pytest.mark.parametrize("make", [cross_encoder, late_interaction])
@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_what_is_told_ends_as_what_is_returned(
    models: ModelStore, make: type[CrossEncoder | MaxSimScorer], lanes: int
) -> None:
    compute = overlap if make is cross_encoder else hidden_states
    scorer = make(models, compute, lanes)  # type: ignore[call-arg,arg-type]
    passages = ["snow " * (n % 6) + "oil" for n in range(100)]  # two groups of late interaction
    told: list[PassageScores] = []
    found = scorer.score_within(QUERY, passages, told=told.append)
    assert all(known(found))
    np.testing.assert_array_equal(told[-1].scores, found.scores)
    np.testing.assert_allclose(found.scores, scorer.score([QUERY] * 100, passages), atol=1e-6)
    for before, after in pairwise(told):  # nothing is taken back
        seen = np.isfinite(before.scores)
        np.testing.assert_array_equal(before.scores[seen], after.scores[seen])
    scorer.close()


def test_a_deadline_amid_a_request_keeps_the_batches_that_ended(
    models: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Gated(hidden_states, healthy=3)  # the query, and two of the passages' batches

    def until_held(futures: tuple[Future[PassageScores]], timeout: float) -> object:
        assert model.held.wait(WAIT)
        return wait_for(futures, 0)

    monkeypatch.setattr(deadline, "wait", until_held)  # time is up as the fourth batch is begun
    scorer = late_interaction(models, model)
    passages = [SHORT, LONG, SHORT, LONG]
    try:
        found = DeadlineReranker(scorer).rerank(QUERY, passages, WAIT * 1000)
        assert np.isfinite(found.scores).tolist() == [False, True, False, True]
        assert found.flag == "rerank: partial, 2 of 4 in time"
    finally:
        model.gate.set()


def test_an_error_takes_only_its_passage_s_score_away() -> None:
    told: list[PassageScores] = []
    sheet = ScoreSheet(4, 16, told.append)
    sheet.cut(2, query=False)
    sheet.put(1, {0: 0.5, 2: ModelError("no")})
    assert known(told[0]) == [False, True, False, False]
    sheet.put(0, {0: 0.25, 1: 0.5})
    found = sheet.so_far()
    assert found.scores[:2, 0].tolist() == [0.25, 0.5]
    assert (found.truncated, found.tokens, found.failure) == (2, 16, "ModelError")
    assert known(told[0]) == [False, True, False, False]
