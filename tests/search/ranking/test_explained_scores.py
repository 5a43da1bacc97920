"""What `explain` says of a hit adds up to its score, in every profile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.callers import Caller
from core.items import Concept, FloatMatrix
from core.ports.models import PairScorer
from rerank.deadline import DeadlineReranker
from search.answers import Explanation, Hit
from search.pipeline import SearchPipeline
from tests.search.room import READER, Room, story


class LengthScorer:
    """A reranker that likes long passages."""

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        return np.array([[float(len(text))] for text in passages], np.float32)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    room.put(
        *(
            story(
                f"urn:{number}",
                f"Ferry number {number}" if number % 3 else "Harbour closes",
                body="The ferry is late. " * (1 + number % 5),
                place=(Concept("Kalymira"),) if number % 4 == 0 else (),
                when=-30 * number,
            )
            for number in range(12)
        )
    )
    yield room
    room.engine.close()


class HalfScorer:
    """A reranker that came to every second passage."""

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        scores = LengthScorer().score(queries, passages)
        scores[::2] = np.nan
        return scores


def pipeline_of(room: Room, scorer: PairScorer | None = None) -> SearchPipeline:
    built = room.build(reranker=DeadlineReranker(scorer or LengthScorer()))
    return SearchPipeline(replace(built._parts, clock=lambda: room.now))


def fused_of(told: Explanation) -> float:
    parts = [told.lexical_weight * told.bm25_normalized, told.names_weight * told.names]
    return sum(parts) + sum(share.weight * share.normalized for share in told.vectors)


def score_of(told: Explanation) -> float:
    if told.mix is None:
        return told.fused * told.recency
    mix = told.mix
    return mix.floor + (1 - mix.weight) * mix.fused + mix.weight * mix.reranked


def hits(room: Room, profile: str, caller: Caller = READER) -> tuple[Hit, ...]:
    return room.ask(
        "ferry late kalymira",
        caller,
        pipeline=pipeline_of(room),
        profile=profile,
        explain=True,
        deadline_ms=1e6,  # a busy machine reranks all, too
    ).hits


@pytest.mark.parametrize(
    "profile", ["hybrid", "lexical", "vector", "hybrid-rrf", "breaking", "hybrid-rerank"]
)
def test_the_parts_add_up(room: Room, profile: str) -> None:
    found = hits(room, profile)
    assert len(found) > 5
    for hit in found:
        told = hit.explanation
        assert told is not None
        assert fused_of(told) == pytest.approx(told.fused, abs=1e-5)
        assert score_of(told) == pytest.approx(hit.score, abs=1e-5)
        assert (told.mix is not None) == (profile == "hybrid-rerank")
        assert (told.recency < 1) == (profile == "breaking" and hit.item.uri != "urn:0")


def test_the_mix_tells_the_longest_as_the_rerankers_best(room: Room) -> None:
    found = hits(room, "hybrid-rerank")
    mixes = [hit.explanation.mix for hit in found if hit.explanation and hit.explanation.mix]
    assert {mix.weight for mix in mixes} == {0.5}
    assert max(mix.reranked for mix in mixes) == max(mix.fused for mix in mixes) == 1.0
    assert min(mix.reranked for mix in mixes) == min(mix.fused for mix in mixes) == 0.0


def test_the_parts_add_up_where_the_reranker_left_gaps(room: Room) -> None:
    pipeline = pipeline_of(room, HalfScorer())
    found = room.ask(
        "ferry late kalymira", pipeline=pipeline, profile="hybrid-rerank", explain=True
    ).hits
    told = [hit.explanation for hit in found if hit.explanation]
    without = [each for each in told if each.rerank_score is None and each.mix]
    assert 0 < len(without) < len(told)
    assert {each.mix.weight for each in without if each.mix} == {0.0}
    assert without[0].fused_rank == 1  # it stood first, and no long passage took its place unread
    for hit, each in zip(found, told, strict=True):
        assert score_of(each) == pytest.approx(hit.score, abs=1e-5)
    ranks = [each.fused_rank for each in without]
    assert ranks == sorted(ranks)
