"""Near-duplicates folded: the rule, then what a search shows of a group as things happen to it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.items import Item, ItemType
from core.query_tree import Keyword
from core.retrieval import TextSignatures, TotalRelation
from search.answers import Fold, MissingStage, SearchResponse
from search.candidates import NEAR, faces_of, groups_of, ranks_of
from search.pipeline import SearchPipeline
from search.understanding.editorial import Editorial
from tests.search.room import BOTH, PHOTOS, Room, story, uris

COLUMNS = 128
FOLDED: dict[str, Any] = {"fold": Fold.NEAR_DUPLICATES}


def signatures(rows: Sequence[Sequence[int]], hidden: Sequence[int] = ()) -> TextSignatures:
    comparable = np.ones(len(rows), np.bool_)
    comparable[list(hidden)] = False
    return TextSignatures(np.array(rows, np.uint16).reshape(-1, COLUMNS), comparable)


def row(base: int, changed: int = 0, since: int = 0) -> list[int]:
    """A signature; `changed` of its columns, from `since` on, are nobody else's."""
    values = [base * 1000 + column for column in range(COLUMNS)]
    for column in range(since, since + changed):
        values[column % COLUMNS] = 60_000 + since + column
    return values


# --- the rule


def test_each_joins_the_best_placed_group_that_it_is_near_to() -> None:
    rows = [row(1), row(2), row(1, 5), row(2, 20, 40), row(3), row(1, 60)]
    assert groups_of(signatures(rows)).tolist() == [0, 1, 0, 1, 4, 5]


@pytest.mark.parametrize(("changed", "near"), [(0, True), (25, True), (26, False), (128, False)])
@pytest.mark.parametrize("step", [1, 3, 5])
def test_the_threshold_is_met_exactly(changed: int, near: bool, step: int) -> None:
    """At .8 of 128 columns 103 must be equal, wherever the others lie."""
    other = row(1)
    for place in range(changed):
        other[place * step % COLUMNS] = 59_000 + place
    equal = sum(a == b for a, b in zip(row(1), other, strict=True))
    assert (groups_of(signatures([row(1), other])).tolist() == [0, 0]) is (equal >= 103)
    assert step == 5 or (equal >= 103) is near


def test_a_group_does_not_drift() -> None:
    """The third is near the second, which is folded; only first members count."""
    rows = [row(1), row(1, 20), row(1, 40)]
    assert groups_of(signatures(rows)).tolist() == [0, 0, 2]
    assert groups_of(signatures(rows[::-1])).tolist() == [0, 0, 2]


def test_what_is_not_told_by_its_text_stands_alone() -> None:
    rows = [row(0), row(0), row(0)]
    assert groups_of(signatures(rows, hidden=[0, 2])).tolist() == [0, 1, 2]
    assert groups_of(signatures([])).tolist() == []


def test_what_editors_pinned_begins_a_group() -> None:
    assert groups_of(signatures([row(1)] * 4), pinned=2).tolist() == [0, 1, 0, 0]


def test_a_threshold_that_could_miss_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="no band"):
        groups_of(signatures([row(1)]), near=0.7)


@given(st.integers(1, 40), st.integers(0, 2**32), st.integers(0, 3))
def test_groups_are_those_of_comparing_all(count: int, seed: int, pinned: int) -> None:
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        values = row(rng.randrange(1, 4))
        for column in rng.sample(range(COLUMNS), rng.randrange(45)):
            values[column] = rng.randrange(2**16)
        rows.append(values)
    hidden = [place for place in range(count) if rng.random() < 0.1]
    groups: list[int] = []
    for place, values in enumerate(rows):
        near = (
            first
            for first in dict.fromkeys(groups)
            if first not in hidden
            and place not in hidden
            and place >= pinned
            and sum(a == b for a, b in zip(values, rows[first], strict=True)) >= NEAR * COLUMNS
        )
        groups.append(next(near, place))
    assert groups_of(signatures(rows, hidden), pinned=pinned).tolist() == groups


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20))
def test_every_visible_candidate_is_a_hit_or_folded_under_one(
    drawn: list[tuple[int, bool]],
) -> None:
    kinds = [kind for kind, _ in drawn]
    groups = np.array([kinds.index(kind) for kind in kinds], np.int64)
    shown = np.array([visible for _, visible in drawn], np.bool_)
    found = faces_of(shown, groups)
    placed = sorted([*found.faces.tolist(), *(p for under in found.folded for p in under.tolist())])
    assert placed == np.flatnonzero(shown).tolist()
    assert found.stands.tolist() == sorted(set(groups[shown].tolist()))
    assert groups[found.faces].tolist() == found.stands.tolist()
    for face, under in zip(found.faces.tolist(), found.folded, strict=True):
        assert all(face < place and groups[place] == groups[face] for place in under.tolist())
    ranks = ranks_of(found.stands, groups).tolist()
    begins = sorted(set(groups.tolist()))
    assert ranks == [begins.index(stand) + 1 for stand in found.stands.tolist()]


# --- the search

WORDS = [f"word{number}" for number in range(60)]


def text(name: str, changed: int = 0) -> str:
    """Sixty words of this name's own and "ferry"; `changed` at the end are another wire's."""
    kept = [f"{name}{word}" for word in WORDS[: len(WORDS) - changed]]
    return " ".join(["ferry", *kept, *(f"{name}edited{n}" for n in range(changed))])


def report(uri: str, name: str, quays: int, changed: int = 0, **members: Any) -> Item:
    """A story that ranks by its number of quays; near those of its `name`."""
    return story(uri, "quay " * quays, body=text(name, changed), **members)


@pytest.fixture
def wires(room: Room) -> Room:
    """Three texts on two or three wires, and one alone. By rank: a1 b1 a2 c b2 a3."""
    room.put(
        report("a1", "a", 9),
        report("b1", "b", 8),
        report("a2", "a", 7, 1),
        report("c", "c", 6),
        report("b2", "b", 5, 1),
        report("a3", "a", 4, 2),
    )
    return room


def groups(answer: SearchResponse) -> dict[str, list[str]]:
    return {hit.item.uri: list(hit.near_duplicates) for hit in answer.hits}


def ask(room: Room, **members: Any) -> SearchResponse:
    return room.ask("ferry quay", **{"profile": "lexical", **FOLDED, **members})


def test_folded_stories_are_one_hit_and_can_be_opened(wires: Room) -> None:
    plain = wires.ask("ferry quay", profile="lexical", facets=("type",))
    assert uris(plain) == ["a1", "b1", "a2", "c", "b2", "a3"]
    assert (plain.fold, groups(plain)["a1"]) == (Fold.NONE, [])
    answer = ask(wires, facets=("type",))
    assert answer.fold is Fold.NEAR_DUPLICATES
    assert groups(answer) == {"a1": ["a2", "a3"], "b1": ["b2"], "c": []}
    assert [hit.rank for hit in answer.hits] == [1, 2, 3]
    assert (answer.total.value, answer.total.relation) == (3, TotalRelation.EXACT)
    assert [(one.value, one.count) for one in answer.facets["type"]] == [("text", 3)]


@pytest.mark.parametrize("profile", ["lexical", "vector", "hybrid", "hybrid-rrf"])
def test_every_profile_folds(wires: Room, profile: str) -> None:
    answer = ask(wires, profile=profile)
    found = sorted(sorted([uri, *under]) for uri, under in groups(answer).items())
    assert found == [["a1", "a2", "a3"], ["b1", "b2"], ["c"]]
    assert answer.total.value == 3


def test_of_a_list_the_newest_stands_for_its_group(room: Room) -> None:
    room.put(*(report(f"r{n}", "a", 1, n, when=n) for n in range(3)))
    assert groups(room.ask("", **FOLDED)) == {"r2": ["r1", "r0"]}


def test_more_like_this_folds_too(wires: Room) -> None:
    answer = wires.ask("", similar_to="c", profile="vector", **FOLDED)
    assert len(answer.hits) == 2
    assert answer.total.relation is TotalRelation.WINDOW


def test_versions_and_near_duplicates_are_apart(wires: Room) -> None:
    wires.put(report("a2", "a", 7, 2, version=2, when=1))
    answer = ask(wires)
    assert groups(answer)["a1"] == ["a2", "a3"]
    assert answer.hits[0].versions == 1


def test_a_new_text_leaves_the_group(wires: Room) -> None:
    wires.put(report("a2", "other", 7, version=2, when=1))
    assert groups(ask(wires)) == {"a1": ["a3"], "b1": ["b2"], "a2": [], "c": []}


def test_pictures_of_one_caption_stay_apart(room: Room) -> None:
    caption = text("a")
    room.put(*(story(f"p{n}", caption, type=ItemType.PICTURE) for n in range(3)))
    assert len(ask(room).hits) == 3


# --- who may see what


def test_a_story_of_another_product_never_counts_or_shows(room: Room) -> None:
    room.put(
        report("a1", "a", 3, products=("photos",)),
        report("a2", "a", 2, 1),
        report("a3", "a", 1, 2, products=("photos",)),
    )
    assert groups(ask(room)) == {"a2": []}
    assert groups(ask(room, caller=PHOTOS)) == {"a1": ["a3"]}
    assert groups(ask(room, caller=BOTH)) == {"a1": ["a2", "a3"]}


def test_a_filter_folds_only_what_it_lets_through(room: Room) -> None:
    room.put(report("a1", "a", 2, language="de"), report("a2", "a", 1, 1))
    assert groups(ask(room, filters=Keyword("language", ("en",)))) == {"a2": []}


def test_the_next_visible_one_takes_a_killed_one_s_place(wires: Room) -> None:
    first = ask(wires, page_size=1)
    wires.kill("b1")
    second = ask(wires, page_size=1, cursor=first.cursor)
    assert groups(second) == {"b2": []}
    assert [hit.rank for hit in second.hits] == [2]
    assert second.total.value == 3
    wires.kill("b2")
    assert ask(wires, page_size=1, cursor=first.cursor).total.value == 2
    assert groups(ask(wires, page_size=1, cursor=first.cursor)) == {"c": []}


def test_a_killed_near_duplicate_is_not_counted_or_opened(wires: Room) -> None:
    wires.kill("a2")
    assert groups(ask(wires))["a1"] == ["a3"]
    first = ask(wires, page_size=1)
    wires.kill("b2")
    assert groups(ask(wires, page_size=1, cursor=first.cursor)) == {"b1": []}


# --- pages


@pytest.mark.parametrize("page_size", [1, 2, 3, 4])
def test_pages_are_one_large_page(wires: Room, page_size: int) -> None:
    whole = uris(ask(wires))
    walked = wires.walk("ferry quay", page_size, profile="lexical", **FOLDED)
    numbered: list[str] = []
    for page in range(1, 5):
        numbered += uris(ask(wires, page=page, page_size=page_size))
    assert walked == numbered == whole == ["a1", "b1", "c"]


def test_a_cursor_keeps_to_what_its_first_page_asked_for(wires: Room) -> None:
    first = ask(wires, page_size=1)
    rest = wires.ask("ferry quay", profile="lexical", cursor=first.cursor)
    assert (groups(rest), rest.fold) == ({"b1": ["b2"], "c": []}, Fold.NEAR_DUPLICATES)
    plain = wires.ask("ferry quay", profile="lexical", page_size=1)
    assert ask(wires, cursor=plain.cursor).fold is Fold.NONE


def test_a_window_of_a_longer_list_says_at_least(room: Room) -> None:
    pipeline = room.build(lexical_depth=4)
    room.put(*(report(f"r{n}", "ab"[n % 2], 1, when=n) for n in range(6)))
    answer = room.ask("", pipeline=pipeline, **FOLDED)
    assert groups(answer) == {"r5": ["r3"], "r4": ["r2"]}
    assert (answer.total.value, answer.total.relation) == (2, TotalRelation.LOWER_BOUND)
    plain = room.ask("", pipeline=pipeline)
    assert (plain.total.value, plain.total.relation) == (6, TotalRelation.EXACT)


# --- told and pinned


def test_why_a_folded_story_is_not_among_the_hits(wires: Room) -> None:
    told = ask(wires, why_missing="a3").missing
    assert told is not None
    assert (told.stage, "near-duplicates" in told.mend) == (MissingStage.FOLDED, True)
    listed = ask(wires, why_missing="c").missing
    assert listed is not None
    assert (listed.stage, listed.rank, listed.page) == (MissingStage.NONE, 3, 1)
    wires.kill("a3")
    hidden = ask(wires, why_missing="a3").missing
    assert hidden is not None
    assert hidden.stage is MissingStage.ARCHIVE


def test_pinned_stories_stand_where_editors_put_them(wires: Room) -> None:
    rules = Editorial(pins={"ferry quay": ("a3", "a2")})
    parts = wires.build()._parts
    pipeline = SearchPipeline(replace(parts, editorial=lambda: rules))
    answer = ask(wires, pipeline=pipeline)
    assert groups(answer) == {"a3": ["a1"], "a2": [], "b1": ["b2"], "c": []}
    assert [hit.pinned for hit in answer.hits] == [True, True, False, False]
