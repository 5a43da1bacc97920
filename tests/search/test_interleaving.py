"""One list that two profiles fill in turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from search.answers import Draft, Fold, SearchRequest, SearchResponse
from search.interleaving import BASE, BOTH, RIVAL, check_rivals, team_draft
from search.kept_candidates import from_bytes, to_bytes
from search.profiles import standard_profiles
from tests.search.room import READER, Room, story

RANKINGS = st.permutations(range(12)).flatmap(
    lambda first: st.tuples(st.just(first), st.permutations(first))
)


@given(RANKINGS, st.integers(0, 2**63 - 1))
def test_a_draft_has_every_story_once_and_turns_are_even(
    rankings: tuple[list[int], list[int]], seed: int
) -> None:
    first, second = rankings
    mixed, teams = team_draft(first, second, np.random.default_rng(seed))
    assert sorted(mixed) == sorted(first)
    for length in range(len(mixed) + 1):
        part = teams[:length]
        assert abs(part.count(BASE) - part.count(RIVAL)) <= 1
    common = teams.count(BOTH)
    assert mixed[:common] == [*first[:common]] == [*second[:common]]
    for place, team in enumerate(teams[common:], start=common):
        ranking = second if team == RIVAL else first
        rest = [one for one in ranking if one not in mixed[:place]]
        assert mixed[place] == rest[0]  # each puts its best


def test_who_begins_is_a_coin() -> None:
    starts = [
        team_draft([0, 1, 2], [2, 1, 0], np.random.default_rng(seed))[1][0] for seed in range(400)
    ]
    assert 160 < starts.count(BASE) < 240


@pytest.fixture
def room(folder: Path) -> Iterator[Room]:
    made = Room(folder)
    words = ("ferry strike", "ferry", "the strike goes on", "harbour ferry strike vote")
    made.put(
        *(
            story(f"urn:{n}", words[n % 4], body=" ".join(["quay"] * n + ["ferry"]), when=n)
            for n in range(24)
        )
    )
    yield made
    made.engine.close()


def ask(room: Room, **more: object) -> SearchResponse:
    return room.pipeline.search(
        SearchRequest(q="ferry strike", facets=("type",), page_size=6, **more),  # type: ignore[arg-type]
        READER,
    )


def uris(answer: SearchResponse) -> list[str]:
    return [hit.item.uri for hit in answer.hits]


@pytest.mark.parametrize("fold", [Fold.NONE, Fold.NEAR_DUPLICATES])
def test_a_mixed_list_has_the_total_and_facets_of_either_and_a_cursor_of_its_own(
    room: Room, fold: Fold
) -> None:
    alone, rival = ask(room, fold=fold), ask(room, profile="hybrid-rrf", fold=fold)
    assert uris(alone) != uris(rival)
    mixed = ask(room, draft=Draft("hybrid-rrf", 5), fold=fold)
    assert mixed.total == alone.total
    assert mixed.facets == alone.facets
    pages, answer = [mixed], mixed
    while answer.cursor:
        answer = ask(room, cursor=answer.cursor)
        pages.append(answer)
    listed = [uri for page in pages for uri in uris(page)]
    assert len(listed) == len(set(listed))
    again, every = ask(room, fold=fold, page=1), []
    every = [*uris(again)]
    while again.cursor:
        again = ask(room, cursor=again.cursor)
        every += uris(again)
    if fold is Fold.NONE:
        assert sorted(listed) == sorted(every)
    teams = {hit.team for page in pages for hit in page.hits}
    assert teams <= {"=", "a", "b"}
    assert {"a", "b"} <= teams
    assert {hit.team for hit in alone.hits} == {""}


def test_the_same_profile_puts_nothing_of_its_own(room: Room) -> None:
    mixed = ask(room, draft=Draft("hybrid", 5))
    assert uris(mixed) == uris(ask(room))
    assert {hit.team for hit in mixed.hits} == {"="}


def test_a_mixed_list_can_be_kept_for_other_processes(room: Room) -> None:
    kept: list[object] = []
    pipeline = room.pipeline
    store = pipeline._parts.candidates
    ask(room, draft=Draft("hybrid-rrf", 5))
    ((_, found),) = store._sets.values()  # type: ignore[attr-defined]
    again = from_bytes(to_bytes(found))
    assert again.teams is not None
    assert again.teams.tolist() == found.teams.tolist()
    assert kept == []


def test_rivals_that_retrieve_otherwise_are_refused() -> None:
    base = standard_profiles(("text",))["hybrid"]
    check_rivals(base, replace(base, lexical_weight=0.7, rerank_depth=20, rerank_weight=0.5))
    for other in (
        replace(base, vector_depth=50),
        replace(base, phrase_boost=0.2),
        replace(base, vector_weights={"text": 0.0}),
    ):
        with pytest.raises(InputError, match="can't be mixed"):
            check_rivals(base, other)
