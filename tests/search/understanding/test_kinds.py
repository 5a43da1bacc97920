"""Words for kinds of item set the type where people put them, and can be taken as words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.items import ItemType
from core.query_tree import EVERYTHING, Keyword
from search.answers import types_of
from search.understanding.dates import calendar_of
from search.understanding.understand import Meaning, Understanding
from storage.words.told_languages import language_of_query
from tests.search.case_table import Row, read_cases
from tests.search.room import Room, story, uris

CASES = read_cases(Path(__file__).with_name("kind_cases.md"))
CALENDAR = calendar_of(datetime(2026, 3, 18, 10, tzinfo=UTC), "")


def meant(query: str, **members: object) -> Meaning:
    return Understanding(None).understand(query, calendar=CALENDAR, **members)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "words", "types"),
    [
        ("photos of the ferry", "the ferry", "picture"),
        ("Photo of ferry", "ferry", "picture"),
        ("pictures showing ferry damage", "ferry damage", "picture"),
        ("show me photos of ferry", "ferry", "picture"),
        ("latest video of ferry", "ferry", "video"),
        ("footage of ferry", "ferry", "video"),
        ("photos and videos of ferry", "ferry", "picture video"),
        ("ferry accident photos", "ferry accident", "picture"),
        ("ferry accident video", "ferry accident", "video"),
        ("ferry photos, video", "ferry", "picture video"),
        ("ferry audio", "ferry", "audio"),
        ("audio", "", "audio"),
        ("photos", "", "picture"),
        ("infographics about the ferry", "the ferry", "graphic"),
        ("ferry photos march 2026", "ferry", "picture"),
        ("photos of ferry march 2026", "ferry", "picture"),
        ("photos of ferry AND rescue", "ferry rescue", "picture"),
        ("pix of ferry", "ferry", "picture"),
        ("b-roll of the ferry", "the ferry", "video"),
        ("PHOTOS OF THE FERRY", "THE FERRY", "picture"),
        ("VIDEO OF THE FERRY RESCUE", "THE FERRY RESCUE", "video"),
        ("are there any photos of the ferry?", "the ferry", "picture"),
        ("do you have video of the ferry rescue", "the ferry rescue", "video"),
        ("I'm looking for a photo of ferry", "ferry", "picture"),
        ("file photo of ferry", "ferry", "picture"),
        ("video that shows the ferry", "the ferry", "video"),
        ("video footage of ferry", "ferry", "video"),
        ("podcast about ferries", "ferries", "audio"),
        ("graphic of ferry routes", "ferry routes", "graphic"),
        ("find where she says thank you", "thank you", "video audio"),
        ("Find where he said: sorry", "sorry", "video audio"),
        ("show me the moment when he says sorry", "sorry", "video audio"),
        ("the bit where they talk about the strike", "the strike", "video audio"),
        ("find the part that mentions the strike last week", "the strike", "video audio"),
    ],
)
def test_a_kind_is_read(query: str, words: str, types: str) -> None:
    meaning = meant(query)
    (span,) = meaning.said.kinds
    assert " ".join(meaning.said.vector_text.split()) == words
    assert [*span.types] == types.split()
    assert query[span.start : span.end] == span.text
    assert f"type is {' or '.join(types.split())}" in meaning.said.lexical


@pytest.mark.parametrize("row", CASES, ids=str)
def test_a_kind_in_another_language(row: Row) -> None:
    told = Understanding(None, told_by=language_of_query)
    said = told.understand(row.cells["query"], calendar=CALENDAR).said
    assert " ".join(said.vector_text.split()) == row.cells["text left"]
    assert [*types_of(said.kinds)] == row.cells["types"].split()


@pytest.mark.parametrize(
    "query",
    [
        "find where the ferry sank",
        "find where she says",
        "find where it says exit",
        "show me where the sign says exit",
        "where she says she will go",
        "The moment that says everything about the team",
        "find where the man who stood on the quay for hours says sorry",
        '"find where she says thank you"',
        "video games banned",
        "photos show ferry damage",
        "music video",
        '"photos of ferry"',
        "(ferry photos)",
        "ferry NOT photos",
        "ferry -photos",
        "headline:photos",
        "ferry OR video",
        "type:video photos of ferry",
        "The minister, who was shown photos of the ferry, said that it was a clip of another ship.",
        "photosynthesis of ferns",
        "A family picture",
        "label withdraws her video",
        "police in three towns release images",
        "Video Of Ferry Captain Is Authentic, Port Confirms",
        "FERRY SINKS OFF GREECE, VIDEO",
        "PHOTOS OF THE FERRY THAT SANK YESTERDAY OFF GREECE",
        "no photos",
        "no photos of the ferry",
        "ferry no photos",
        "ferry without photos",
        "inundaciones sin fotos",
        "incendie sans photos",
        "Hochwasser ohne Bilder",
        "photo finish",
        "photo finish derby",
        "derby photo finish",
        "video game",
        "video game maker sues",
        "joe rogan podcast",
        "photo of the year",
        "picture of health",
        "",
    ],
)
def test_other_places_are_words(query: str) -> None:
    assert meant(query).said.kinds == ()


@pytest.mark.parametrize("ignore", ["", "find where", "says"])
def test_the_name_of_who_speaks_stays(ignore: str) -> None:
    query = "find where Ingrid Solvane says thank you"
    meaning = meant(query, ignore=[ignore] if ignore else [])
    assert [span.text for span in meaning.said.kinds] == ["find where", "says"]
    left = query if ignore else "Ingrid Solvane thank you"
    assert " ".join(meaning.said.vector_text.split()) == left
    assert meaning.filters == (EVERYTHING if ignore else Keyword("type", ("video", "audio")))
    assert not any("to ignore" in note for note in meaning.told().notes)


@pytest.mark.parametrize("ignore", ["photos of", "Photos", "PHOTOS  of"])
def test_a_reading_can_be_removed(ignore: str) -> None:
    meaning = meant("photos of ferry", ignore=[ignore])
    (span,) = meaning.said.kinds
    assert span.ignored
    assert (meaning.filters, meaning.said.vector_text) == (EVERYTHING, "photos of ferry")
    assert meaning.told().notes == ()


def test_a_filter_by_type_goes_before(room: Room) -> None:
    room.put(
        story("text", "Ferry photos"),
        story("photo", "Ferry aground", type=ItemType.PICTURE),
        story("video", "Ferry aground", type=ItemType.VIDEO),
    )
    assert uris(room.ask("ferry photos")) == ["photo"]
    assert sorted(uris(room.ask("photos and videos of ferry"))) == ["photo", "video"]
    assert uris(room.ask("videos")) == ["video"]
    assert uris(room.ask("ferry photos", filters=Keyword("type", ("video",)))) == ["video"]
    assert uris(room.ask("ferry photos", ignore=("photos",)))[0] == "text"
