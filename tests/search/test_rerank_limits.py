"""What a bounded reranker could not read or finish is part of the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.items import FloatMatrix
from core.pairs import PassageScores
from rerank.deadline import DeadlineReranker
from tests.search.room import Room, story


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
        *,
        until: float | None = None,
        tokens: int | None = None,
    ) -> PassageScores:
        self.limits.append(tokens)
        limit = tokens or 10_000
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


def test_without_a_limit_the_model_s_own_holds_and_nothing_is_noted(room: Room) -> None:
    room.put(story("s", "ferry quay"))
    scorer = Bounded()
    pipeline = room.build(reranker=DeadlineReranker(scorer), rerank_weight=0.5, rerank_tokens=0)
    answer = room.ask("ferry", profile="hybrid-rerank", pipeline=pipeline)
    assert scorer.limits == [None]
    assert not any("rerank" in note for note in answer.understood.notes)
