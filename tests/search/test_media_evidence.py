"""Words that are said, read or seen in an item's media make it strong, beside the floor."""

from __future__ import annotations

from typing import Any

import pytest

from core.items import Concept, Item, ItemType, MediaFile
from core.media_words import Look, SeenText, Utterance
from search.answers import Relevance, SearchResponse
from search.floor import Floor, feature_names
from search.media_evidence import moments
from tests.search.room import READER, Room, story, uris

BOX = (0.0, 0.0, 1.0, 0.1)
SAID = (
    Utterance(0, 2, "Good morning to the volunteers"),
    Utterance(2, 4, "and thank you all"),
    Utterance(4, 6, "We saw a raccoon"),
    Utterance(6, 8, "near the river"),
)


def nothing_is_strong(room: Room) -> Any:
    """A pipeline whose floor alone finds nothing strong."""
    weights = (0.0,) * len(feature_names(1))
    return room.build(floors=[Floor((room.encoder.digest,), weights, -5.0, 0.5)])


def clip(uri: str, **members: Any) -> Item:
    return story(uri, members.pop("headline", ""), type=ItemType.VIDEO, **members)


@pytest.fixture
def strong(room: Room) -> Any:
    pipeline = nothing_is_strong(room)
    found: dict[str, str] = {"speech_by": "ear", "seen_by": "reader", "looks_by": "eye"}
    seen = (SeenText("FERRY", BOX, 3.0), SeenText("EXIT", BOX, 3.0), SeenText("LEFT", BOX, 9.0))
    looks = (Look("elephant", 0.9, 1.0), Look("umbrella", 0.8, 7.0))
    room.put(
        clip("spoken", headline="Reserve", speech=SAID, person=(Concept("Ada Winter"),), **found),
        clip("signs", headline="Harbour", seen=seen, looks=looks, **found),
        clip("named", media=MediaFile("a/lighthouse-storm.mp4", "0", "video/mp4", 1, 1, 1, 0.0)),
        story("told", "Thanks to all volunteers", body="The minister says thank you."),
    )

    def asked(query: str) -> list[str]:
        answer: SearchResponse = room.ask(query, READER, pipeline=pipeline)
        told = [hit.relevance is Relevance.STRONG for hit in answer.hits]
        assert answer.total.value == sum(told) == len([*filter(None, told)])
        return [uri for uri, one in zip(uris(answer), told, strict=True) if one]

    return asked


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("find where she says thank you", "spoken"),
        ("raccoon river", "spoken"),  # said one after the other
        ("find where Ada Winter says thank you", "spoken"),  # the item says who
        ("ferry exit", "signs"),  # in one frame
        ("elephant", "signs"),
        ("lighthouse storm", "named"),
    ],
)
def test_what_a_moment_has_is_strong(strong: Any, query: str, found: str) -> None:
    assert strong(query)[-1:] == [found]


@pytest.mark.parametrize(
    "query",
    [
        "find where she says kombucha",
        "volunteers river",  # said far apart
        "ferry left",  # in two frames
        "elephant umbrella",
        "lighthouse kombucha",
        "reserve",  # only in the headline: a matter of the floor
        "volunteers thank kombucha",
        "minister",  # a text
    ],
)
def test_what_no_moment_has_is_not(strong: Any, query: str) -> None:
    assert strong(query) == []


def test_one_of_four_words_may_be_heard_wrong(strong: Any) -> None:
    assert strong("saw raccoon near bridge")[-1:] == ["spoken"]
    assert strong("saw raccoon near the old bridge") == []


def test_moments_are_pairs_of_utterances_frames_and_names_of_files() -> None:
    seen = (SeenText("FERRY", BOX, 3.0), SeenText("EXIT", BOX, 3.0))
    looks = (Look("cat", 0.9, 0.0), Look("cup", 0.8, 5.0))
    item = clip("v", speech=SAID[:2], seen=seen, looks=looks)
    pair = "Good morning to the volunteers\nand thank you all"
    assert moments(item) == [pair, "FERRY\nEXIT", "cat", "cup"]
    assert moments(clip("v", speech=SAID[:1])) == ["Good morning to the volunteers"]
    assert moments(story("s", "A story", body="Of words.")) == []
