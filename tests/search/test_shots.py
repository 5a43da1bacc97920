"""Which shot a hit opens at, what stands for a shot in a search by likeness, and what is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotFoundError, QueryError
from core.items import Item, ItemType, Passage, PassageVectors, Shot
from core.writes import PutItem
from search.answers import Hit
from search.highlight import END, START
from search.page import best_shot
from tests.search.room import PHOTOS, Room, story, uris

BY = "model 1, prompt 4f"
LINES = ("A harbour at dawn", "The ferry leaves", "", "Gulls follow the ferry", "Night")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    opened = Room(tmp_path)
    yield opened
    opened.engine.close()


def video(uri: str, *lines: str, by: str = "", **members: Any) -> Item:
    shots = tuple(
        Shot(4.0 * n, 4.0 * n + 4, 100 * n, 100 * n + 99, "cut", line, by if line else "")
        for n, line in enumerate(lines)
    )
    return story(uri, **{"type": ItemType.VIDEO, "shots": shots, **members})


def put(room: Room, *items: Item) -> None:
    """Each described shot is a passage, as is the caption or the headline of what has none."""
    for item in items:
        passages, texts, start = [], [], 0
        for line in item.shotlist.split("\n") if item.shotlist else []:
            if line:
                passages.append(Passage("shotlist", start, start + len(line)))
                texts.append(line)
            start += len(line) + 1
        if not passages:
            name = next(
                n for n in ("body", "description", "caption", "headline") if getattr(item, n)
            )
            passages, texts = [Passage(name, 0, len(getattr(item, name)))], [getattr(item, name)]
        matrix = room.encoder.encode_passages(texts)
        vectors = PassageVectors("text", room.encoder.digest, tuple(passages), matrix)
        room.engine.put([PutItem(item, (vectors,))])
    room.engine.catch_up()


def hit(room: Room, q: str, **members: Any) -> Hit:
    (found,) = room.ask(q, **members).hits
    return found


@pytest.mark.parametrize("profile", ["hybrid", "lexical", "vector"])
@pytest.mark.parametrize(
    ("q", "number"),
    [("harbour", 1), ("leaves", 2), ("gulls", 4), ("ferry leaves", 2), ("night", 5)],
)
def test_a_hit_opens_at_the_shot_with_the_words(
    room: Room, profile: str, q: str, number: int
) -> None:
    put(room, video("v", *LINES, headline="On the water"))
    found = hit(room, q, profile=profile)
    assert found.shot == number
    assert found.passage.replace(START, "").replace(END, "") == LINES[number - 1]
    assert START in found.passage


def test_meaning_alone_leads_to_a_shot(room: Room) -> None:
    """The encoder of these tests knows words only; no word of the query is one that BM25 marks."""
    put(room, video("v", *LINES, headline="On the water"))
    found = hit(room, "the", profile="vector")
    assert found.shot in (2, 4)


def test_without_words_or_meaning_there_is_no_shot(room: Room) -> None:
    put(room, video("v", *LINES, headline="On the water"))
    assert hit(room, "water", profile="lexical").shot == 0
    assert hit(room, "").shot == 0


def test_a_shot_is_told_where_no_marks_are_wanted(room: Room) -> None:
    put(room, video("v", *LINES))
    found = hit(room, "gulls", highlight=False)
    assert (found.shot, found.passage, found.highlights) == (4, "", {})


def test_other_items_have_no_shot(room: Room) -> None:
    put(
        room,
        story("s", "Ferry", body="The ferry leaves."),
        story("p", "", type=ItemType.PICTURE, caption="A ferry leaves", caption_by=BY),
    )
    answer = room.ask("ferry leaves")
    assert {one.item.uri: one.shot for one in answer.hits} == {"s": 0, "p": 0}
    (seen,) = [one for one in answer.hits if one.item.uri == "p"]
    assert seen.highlights["caption"] == f"A {START}ferry{END} {START}leaves{END}"


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
    st.integers(-1, 5),
)
def test_most_words_then_meaning_then_the_first(matches: list[int], near: int) -> None:
    lines = [f"line {n}" for n in range(len(matches))]
    item = video("v", *lines)
    span = None
    if 0 <= near < len(lines):
        start = sum(len(line) + 1 for line in lines[:near])
        span = Passage("shotlist", start, start + len(lines[near]))
    chosen = best_shot(item, span, matches)
    if chosen == 0:
        assert span is None
        assert max(matches) == 0
        return
    assert matches[chosen - 1] == max(matches)
    if span is not None and matches[near] == max(matches):
        assert chosen == near + 1


# More like this


def test_what_is_like_a_shot_is_not_what_is_like_the_whole(room: Room) -> None:
    put(
        room,
        video("v", "Zebra grazes", "Violin on stage", headline="Two things"),
        story("zebra", "Zebra", body="A zebra grazes."),
        story("violin", "Violin", body="A violin on a stage."),
        video("other", "Zebra grazes alone", headline="Safari"),
    )
    first = uris(room.ask("", similar_to="v#t=1.5", profile="hybrid"))
    second = uris(room.ask("", similar_to="v#t=4", profile="hybrid"))
    assert set(first[:2]) == {"zebra", "other"}
    assert second[0] == "violin"
    assert "v" not in (*first, *second)
    whole = room.ask("", similar_to="v", profile="lexical")
    assert set(uris(whole)) == {"zebra", "violin", "other"}
    assert set(uris(room.ask("", similar_to="v#t=0,4", profile="lexical"))) == {"zebra", "other"}


def test_what_is_like_a_picture_goes_by_what_is_said_of_it(room: Room) -> None:
    told = {"type": ItemType.PICTURE, "caption_by": BY}
    put(
        room,
        story("a", "", caption="Two dogs on a beach", **told),
        story("b", "", caption="Dogs swim off a beach", **told),
        story("c", "Budget", body="The budget passed."),
    )
    assert uris(room.ask("", similar_to="a", profile="lexical")) == ["b"]


@pytest.mark.parametrize("moment", ["9.5", "100"])
def test_a_shot_that_nobody_describes_is_told(room: Room, moment: str) -> None:
    put(room, video("v", *LINES))
    with pytest.raises(QueryError, match="no described shot"):
        room.ask("", similar_to=f"v#t={moment}")


def test_a_hidden_video_has_no_shots_to_be_like(room: Room) -> None:
    put(room, video("v", *LINES))
    told = []
    for uri, caller in (("v", PHOTOS), ("none", PHOTOS)):
        with pytest.raises(NotFoundError) as error:
            room.ask("", caller, similar_to=f"{uri}#t=1")
        told.append(str(error.value).replace(f"{uri}#", "#"))
    assert told[0] == told[1]
    room.kill("v")
    with pytest.raises(NotFoundError):
        room.ask("", similar_to="v#t=1")


def test_a_uri_that_ends_so_is_an_item_of_its_own(room: Room) -> None:
    put(room, story("urn:a#t=1", "Ferry"), story("b", "Ferry"), story("c", "Ferry strike"))
    assert set(uris(room.ask("", similar_to="urn:a#t=1"))) == {"b", "c"}


def test_pages_of_what_is_like_a_shot_go_on_until_it_is_hidden(room: Room) -> None:
    put(room, video("v", *LINES), *(story(f"s{n}", f"Ferry {n}", body="Gulls.") for n in range(5)))
    first = room.ask("", similar_to="v#t=13", page_size=2)
    second = room.ask("", similar_to="v#t=13", page_size=2, cursor=first.cursor)
    assert len({*uris(first), *uris(second)}) == 4
    room.kill("v")
    with pytest.raises(NotFoundError):
        room.ask("", similar_to="v#t=13", page_size=2, cursor=second.cursor)


def test_a_moment_as_an_answer_gives_it_is_of_its_own_shot(room: Room) -> None:
    """Answers round to microseconds, which may be a little before the shot begins."""
    third = 10 / 3
    shots = (Shot(0.0, third, 0, 99, "start", "Zebra"), Shot(third, 9.0, 100, 269, "cut", "Violin"))
    put(
        room,
        replace(video("v", "Zebra", "Violin", headline="Two"), shots=shots),
        story("violin", "Violin", body="A violin."),
        story("zebra", "Zebra", body="A zebra."),
    )
    assert uris(room.ask("", similar_to="v#t=3.333333", profile="lexical")) == ["violin"]
