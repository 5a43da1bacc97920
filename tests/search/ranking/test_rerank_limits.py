"""What a bounded reranker could not read or finish is part of the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from core.errors import ModelError
from core.items import FloatMatrix
from core.ports.models import NO_LIMITS, PassageScores, ScoreLimits, Told
from rerank.deadline import DeadlineReranker, Reranked
from search.ranking import Afterwards
from tests.search.room import HashingEncoder, Room, story


class Bounded:
    """Scores by how often a word is read; `tokens` are characters here."""

    def __init__(self) -> None:
        self.limits: list[int | None] = []

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        raise NotImplementedError

    def score_within(
        self,
        query: str,
        passages: Sequence[str],
        limits: ScoreLimits = NO_LIMITS,
        told: Told | None = None,
    ) -> PassageScores:
        self.limits.append(limits.tokens)
        limit = limits.tokens or 10_000
        scores = [passage[:limit].count("quay") for passage in passages]
        truncated = sum(len(passage) > limit for passage in passages)
        return PassageScores(np.array([scores], np.float32).T, truncated, limit)


def test_passages_that_were_cut_are_told_in_a_note(room: Room) -> None:
    room.put(*(story(f"s-{n}", "ferry " + "quay " * 40 * (n % 2)) for n in range(4)))
    scorer = Bounded()
    pipeline = room.build(reranker=DeadlineReranker(scorer), rerank_weight=0.5, rerank_tokens=100)
    answer = room.ask("ferry", profile="hybrid-rerank", pipeline=pipeline)
    assert scorer.limits == [100]
    assert answer.understood.notes[-1:] == ("rerank: 2 of 4 passages truncated to 100 tokens",)
    assert answer.degraded == ()


class ShortEncoder(HashingEncoder):
    """Reads 20 characters of a query."""

    def truncated(self, texts: Sequence[str]) -> tuple[bool, ...]:
        return tuple(len(text) > 20 for text in texts)


@pytest.mark.parametrize(
    ("query", "profile", "noted"),
    [
        ("ferry quay", "hybrid", False),
        ("ferry quay harbour storm", "hybrid", True),
        ("ferry quay harbour storm", "hybrid-rerank", True),
        ("ferry quay harbour storm", "lexical", False),
    ],
)
def test_a_query_that_the_encoder_cuts_is_told_in_a_note(
    room: Room, query: str, profile: str, noted: bool
) -> None:
    room.put(*(story(f"s-{n}", "ferry quay") for n in range(3)))
    pipeline = room.build(encoders={"text": ShortEncoder()})
    answer = room.ask(query, profile=profile, pipeline=pipeline, page_size=1)
    note = "vectors: not all of the query was read for field text"
    assert (note in answer.understood.notes) is noted
    assert answer.cursor
    following = room.ask(query, profile=profile, pipeline=pipeline, cursor=answer.cursor)
    assert following.understood.notes == answer.understood.notes


def test_an_encoder_that_can_t_tell_what_it_cuts_breaks_no_answer(room: Room) -> None:
    class Unable(HashingEncoder):
        def truncated(self, texts: Sequence[str]) -> tuple[bool, ...]:
            raise ModelError("the tokenizer is gone", mend="make the model again")

    room.put(story("s", "ferry quay"))
    answer = room.ask("ferry quay", pipeline=room.build(encoders={"text": Unable()}))
    assert (len(answer.hits), answer.understood.notes) == (1, ())


def test_a_query_that_failed_to_be_embedded_is_not_said_to_be_cut(room: Room) -> None:
    class Broken(ShortEncoder):
        def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
            raise RuntimeError("the graph is broken")

    room.put(story("s", "ferry quay"))
    answer = room.ask("ferry quay harbour storm", pipeline=room.build(encoders={"text": Broken()}))
    assert answer.degraded
    assert not any("not all of the query" in note for note in answer.understood.notes)


def test_without_a_limit_the_model_s_own_holds_and_nothing_is_noted(room: Room) -> None:
    room.put(story("s", "ferry quay"))
    scorer = Bounded()
    pipeline = room.build(reranker=DeadlineReranker(scorer), rerank_weight=0.5, rerank_tokens=0)
    answer = room.ask("ferry", profile="hybrid-rerank", pipeline=pipeline)
    assert scorer.limits == [None]
    assert not any("rerank" in note for note in answer.understood.notes)


def test_what_follows_reranking_is_kept_of_the_deadline() -> None:
    afterwards = Afterwards()
    assert afterwards.milliseconds == 5
    afterwards.took(40)
    assert afterwards.milliseconds == 40
    afterwards.took(8)
    assert 39 < afterwards.milliseconds < 40  # a slow one is remembered for a while
    for _ in range(200):
        afterwards.took(8)
    assert afterwards.milliseconds == 8
    afterwards.took(60_000)
    assert afterwards.milliseconds == 100  # a stall of the machine leaves time to rerank


def test_a_slow_page_leaves_the_next_query_s_reranker_less_time(room: Room) -> None:
    room.put(story("s", "ferry quay"))
    budgets: list[float] = []

    class Timed(DeadlineReranker):
        def rerank(
            self,
            query: str,
            passages: Sequence[str],
            budget_ms: float,
            *,
            tokens: int | None = None,
        ) -> Reranked:
            budgets.append(budget_ms)
            return super().rerank(query, passages, budget_ms, tokens=tokens)

    pipeline = room.build(reranker=Timed(Bounded()), rerank_weight=0.5)
    room.ask("ferry", profile="hybrid-rerank", pipeline=pipeline, deadline_ms=1e6)
    pipeline._reranking.afterwards.took(90)
    room.ask("ferry", profile="hybrid-rerank", pipeline=pipeline, deadline_ms=1e6)
    assert budgets[1] <= 1e6 - 80
