"""Words for kinds of item that nothing of these kinds answers: other kinds are shown instead."""

from __future__ import annotations

import pytest

from core.items import Item, ItemType
from core.media_words import SeenText, Utterance
from core.retrieval import SortOrder
from search.answers import Facts, Relevance, SearchRequest, SearchResponse
from search.floor import Floor, feature_names
from tests.search.room import BOTH, READER, Room, story, uris

ASKED = "find where he says we never retreat"
SAID = "We never retreat from the harbour"
SPOKEN = Utterance(4, 6, SAID)


def clip(uri: str, said: Utterance, **members: object) -> Item:
    spoken = {"speech": (said,), "speech_by": "ear", "type": ItemType.VIDEO}
    return story(uri, "The minister speaks", **{**spoken, **members})


@pytest.fixture
def quoted(room: Room) -> Room:
    room.put(*(story(f"quote-{n}", f"{SAID}, he says", when=n) for n in range(3)))
    return room


def kinds(answer: SearchResponse) -> list[tuple[tuple[str, ...], bool]]:
    return [(one.types, one.widened) for one in answer.understood.kinds]


RECORDED = (ItemType.VIDEO, ItemType.AUDIO)


@pytest.mark.parametrize("order", [SortOrder.SCORE, SortOrder.NEWEST])
def test_texts_answer_where_nothing_recorded_does(quoted: Room, order: SortOrder) -> None:
    answer = quoted.ask(ASKED, order=order, facets=("type",))
    assert {*uris(answer)} == {"quote-0", "quote-1", "quote-2"}
    assert answer.total.value == 3
    assert kinds(answer) == [(RECORDED, True)]
    assert [(one.value, one.count) for one in answer.facets["type"]] == [("text", 3)]
    assert answer.understood.vector_text == "we never retreat"  # the words for the kind are gone
    assert {*quoted.walk(ASKED, 1, order=order)} == {*uris(answer)}


def test_one_recording_keeps_the_texts_away(quoted: Room) -> None:
    quoted.put(clip("clip", SPOKEN))
    answer = quoted.ask(ASKED)
    assert uris(answer) == ["clip"]
    assert kinds(answer) == [(RECORDED, False)]


def test_a_recording_that_a_caller_may_not_see_is_no_answer(quoted: Room) -> None:
    quoted.put(clip("clip", SPOKEN, products=("photos",)))
    assert kinds(quoted.ask(ASKED, READER)) == [(RECORDED, True)]
    assert uris(quoted.ask(ASKED, BOTH)) == ["clip"]
    quoted.kill("clip")
    assert kinds(quoted.ask(ASKED, BOTH)) == [(RECORDED, True)]


def test_a_filter_by_type_is_never_widened(quoted: Room) -> None:
    recorded = Facts(type=("video", "audio")).filters()
    for asked in (SearchRequest(ASKED, filters=recorded), SearchRequest("type:video retreat")):
        answer = quoted.pipeline.search(asked, READER)
        assert (uris(answer), kinds(answer)) == ([], [])


def test_kinds_that_are_words_are_not_widened(quoted: Room) -> None:
    answer = quoted.ask(ASKED, ignore=("find where he says",))
    assert kinds(answer) == [(RECORDED, False)]
    assert len(answer.hits) == 3


def test_what_nothing_answers_stays_narrow(room: Room) -> None:
    room.put(story("other", "Storm over the coast"))
    answer = room.ask("photos of the ferry", profile="lexical")
    assert (uris(answer), kinds(answer)) == ([], [((ItemType.PICTURE,), False)])


def test_a_recording_that_is_only_near_gives_way_to_a_strong_picture(room: Room) -> None:
    weights = (0.0,) * len(feature_names(1))
    nothing_is_strong = room.build(floors=[Floor((room.encoder.digest,), weights, -5.0, 0.5)])
    room.put(clip("clip", Utterance(0, 2, "Good morning")))
    assert kinds(room.ask(ASKED, pipeline=nothing_is_strong)) == [(RECORDED, False)]
    read = {"seen": (SeenText("WE NEVER RETREAT", (0, 0, 1, 0.1), 0.0),), "seen_by": "reader"}
    room.put(story("banner", "A march", type=ItemType.PICTURE, **read))
    answer = room.ask(ASKED, pipeline=nothing_is_strong)
    strong = {hit.item.uri for hit in answer.hits if hit.relevance is Relevance.STRONG}
    assert ("banner" in strong, kinds(answer)) == (True, [(RECORDED, True)])


def test_a_kept_list_stays_what_it_was(quoted: Room) -> None:
    quoted.put(clip("one", SPOKEN), clip("two", SPOKEN))
    first = quoted.ask(ASKED, page_size=1)
    quoted.kill("one")
    quoted.kill("two")
    later = quoted.ask(ASKED, page_size=1, cursor=first.cursor)
    assert (uris(later), kinds(later)) == ([], [(RECORDED, False)])
