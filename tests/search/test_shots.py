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
from core.items import Item, ItemType, MediaFile, Passage, PassageVectors, Shot
from core.media_words import Look, SeenText, Utterance
from core.writes import PutItem
from search.answers import Hit
from search.highlight import END, START
from search.opening import media_lines, opening_of
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
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
    st.integers(-1, 5),
    st.sampled_from(["shotlist", "speech"]),
    st.booleans(),
)
def test_most_words_then_meaning_then_what_is_asked_for_then_the_first(
    shots: list[int], said: list[int], near: int, field: str, asked: bool
) -> None:
    matches = {"shotlist": shots, "speech": said}
    lines = {name: [f"line {n}" for n in range(len(counts))] for name, counts in matches.items()}
    speech = tuple(Utterance(4 * n, 4 * n + 4, text) for n, text in enumerate(lines["speech"]))
    item = video("v", *lines["shotlist"], speech=speech)
    assert media_lines(item) == lines
    span = None
    if 0 <= near < len(lines[field]):
        start = sum(len(line) + 1 for line in lines[field][:near])
        span = Passage(field, start, start + len(lines[field][near]))
    chosen = opening_of(item, span, matches, ["speech"] if asked else [])
    most = max(*shots, *said)
    if chosen is None:
        assert most == 0
        assert span is None
        return
    assert matches[chosen.field][chosen.line] == most
    assert (chosen.text, chosen.second) == (f"line {chosen.line}", 4 * chosen.line)
    # The end of the last shot belongs to it.
    assert chosen.shot == (min(chosen.line + 1, len(shots)) if chosen.line <= len(shots) else 0)
    if span is not None and matches[field][near] == most:
        assert (chosen.field, chosen.line) == (field, near)
    elif asked and most in said:
        assert (chosen.field, chosen.line) == ("speech", said.index(most))


HEARD = (Utterance(1, 3, "Thank you for the ferry"), Utterance(9, 12, "We leave at night"))
SIGN = SeenText("FERRY EXIT", (0.1, 0.8, 0.5, 0.1), 13.0, 0.9)


@pytest.mark.parametrize(
    ("q", "field", "second", "shot"),
    [
        ("thank", "speech", 1, 1),
        ("leave at night", "speech", 9, 3),
        ("exit", "seen", 13, 4),
        ("seen:ferry", "seen", 13, 4),
        ("looks:balloon", "looks", 6, 2),
        ("gulls", "shotlist", 12, 4),
    ],
)
def test_a_hit_opens_at_the_second_of_what_is_found_in_it(
    room: Room, q: str, field: str, second: float, shot: int
) -> None:
    found = {"speech": HEARD, "speech_by": "ear", "seen": (SIGN,), "seen_by": "reader"}
    looks = {"looks": (Look("balloon", 0.9, 6.0),), "looks_by": "eye"}
    put(room, video("v", *LINES, headline="On the water", **found, **looks))
    hit_ = hit(room, q, profile="lexical")
    assert hit_.opening is not None
    opening = hit_.opening
    assert (opening.field, opening.second, opening.shot) == (field, second, shot)
    assert hit_.passage.replace(START, "").replace(END, "") == opening.text
    if field != "shotlist":
        assert hit_.found_in[field] == opening.made_by != ""
        assert START in hit_.highlights[field]
    assert hit(room, q, profile="lexical", highlight=False).opening == opening


@pytest.mark.parametrize(
    ("q", "second", "shot"),
    [
        ("quay", 5.7, 2),  # a little before the word
        ("bridge crew", 4.0, 2),  # a little before it is the shot before
        ("captain thanks", 3.0, 1),  # the utterance begins with it
        ("thanks quay", 3.5, 1),  # the first of both
    ],
)
def test_speech_opens_at_the_word(room: Room, q: str, second: float, shot: int) -> None:
    times = [(3.0, "The"), (3.2, " captain"), (3.8, " thanks,"), (4.1, " bridge"), (6.0, " quay.")]
    words = tuple((start, start + 0.2, word) for start, word in times)
    said = Utterance(3.0, 7.0, "The captain thanks, bridge quay.", words)
    put(room, video("v", *LINES, headline="On the water", speech=(said,), speech_by="ear"))
    opening = hit(room, q, profile="lexical").opening
    assert opening is not None
    assert (opening.field, opening.shot) == ("speech", shot)
    assert opening.second == pytest.approx(second)
    assert opening.text == said.text


def test_what_is_found_in_media_says_who_found_it(room: Room) -> None:
    media = MediaFile("/in/Zeppelin_2026.jpg", "ab" * 32, "image/jpeg", 9)
    put(
        room,
        story("script", "Film", type=ItemType.VIDEO, speech=HEARD),
        story("machine", "Film", type=ItemType.VIDEO, speech=HEARD, speech_by="ear"),
        story("caption", "", type=ItemType.PICTURE, caption="A zeppelin", caption_by=BY),
        story("text", "Zeppelin"),
    )
    room.engine.put([PutItem(story("file", "", type=ItemType.PICTURE, media=media))])
    room.engine.catch_up()
    told = {
        one.item.uri: one
        for q in ("thank", "zeppelin")
        for one in room.ask(q, profile="lexical").hits
    }
    assert {uri: dict(one.found_in) for uri, one in told.items() if one.highlights} == {
        "script": {"speech": ""},
        "machine": {"speech": "ear"},
        "caption": {"machine": BY},
        "file": {"filename": ""},
        "text": {},
    }
    assert told["file"].highlights == {"filename": f"{START}Zeppelin{END} 2026"}


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
