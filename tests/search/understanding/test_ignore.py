"""One understood date or name taken as words, the others left as they were understood."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.entities import EntityLabel
from core.items import Concept
from search.answers import DateUse, EntityUse, SearchResponse
from search.understanding.dates import calendar_of
from search.understanding.understand import Understanding, describe
from tests.search.room import READER, Room, story, uris
from tests.search.understanding.test_names import ListTagger

NAMES = {"ana reyes": EntityLabel.PER, "porto": EntityLabel.LOC}
CALENDAR = calendar_of(datetime(2026, 3, 18, 10, tzinfo=UTC))
UNDERSTANDING = Understanding(ListTagger(NAMES))
PIECES = ("ferry", "march 2024", "in  May 2025", "ana reyes", "Porto", "since tuesday", "quay")
QUERIES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5, unique=True).map(" ".join)


@pytest.fixture
def wire(room: Room) -> Room:
    room.put(
        story("ana", "Ferry", body="A quay.", person=(Concept("Ana Reyes"),)),
        story("porto", "Ferry", body="A quay.", place=(Concept("Porto"),)),
        story("both", "Ferry", person=(Concept("Ana Reyes"),), place=(Concept("Porto"),)),
        story("old", "Ferry", body="March 2024 timetable.", when=-24 * 365),
    )
    return room


def ask(room: Room, q: str, *ignore: str, **members: Any) -> SearchResponse:
    pipeline = room.build(tagger=ListTagger(NAMES), entity_boost=2.0)
    return room.ask(q, READER, pipeline=pipeline, ignore=ignore, **members)


def test_one_date_is_words_and_the_other_filters() -> None:
    query = "timetable march 2024 since 2020"
    plain = UNDERSTANDING.understand(query, calendar=CALENDAR).told()
    assert [(one.text, one.ignored) for one in plain.dates] == [
        ("march 2024", False),
        ("since 2020", False),
    ]
    meaning = UNDERSTANDING.understand(query, calendar=CALENDAR, ignore=["March  2024"])
    said = meaning.told()
    assert [(one.text, one.ignored) for one in said.dates] == [
        ("march 2024", True),
        ("since 2020", False),
    ]
    assert said.vector_text == "timetable march 2024"
    assert describe(meaning.filters) == "versioncreated in [2020-01-01T00:00:00+00:00, …)"
    assert said.notes == ()


def test_one_name_is_words_and_the_other_filters(wire: Room) -> None:
    query = "ana reyes porto ferry"
    assert set(uris(ask(wire, query, entities=EntityUse.FILTER))) == {"both"}
    answer = ask(wire, query, "Porto", entities=EntityUse.FILTER)
    assert set(uris(answer)) == {"ana", "both"}
    told = {one.text: (one.use, one.ignored) for one in answer.understood.entities}
    assert told == {"ana reyes": ("filter", False), "porto": ("off", True)}
    assert answer.understood.notes == ()


def test_an_ignored_name_boosts_nothing(wire: Room) -> None:
    answer = ask(wire, "porto ferry", "porto", explain=True)
    assert all(hit.explanation and hit.explanation.names == 0 for hit in answer.hits)
    off = ask(wire, "porto ferry", entities=EntityUse.OFF)
    assert [(h.item.uri, h.score) for h in answer.hits] == [(h.item.uri, h.score) for h in off.hits]


def test_it_holds_on_later_pages(wire: Room) -> None:
    pipeline = wire.build(tagger=ListTagger(NAMES), entity_boost=2.0)
    first = wire.ask("porto ferry", pipeline=pipeline, ignore=("porto",), page_size=1)
    later = wire.ask("porto ferry", pipeline=pipeline, page_size=1, cursor=first.cursor)
    assert [one.ignored for one in later.understood.entities] == [True]


@pytest.mark.parametrize("entities", [EntityUse.BOOST, EntityUse.FILTER])
def test_what_is_neither_is_said(wire: Room, entities: EntityUse) -> None:
    answer = ask(wire, "ferry march 2024 porto", "quay", "porto", entities=entities)
    assert answer.understood.notes == ("quay: there is no such date, name or kind to ignore",)
    for members in ({"entities": EntityUse.OFF}, {"dates": DateUse.OFF}):
        assert ask(wire, "ferry", "quay", **members).understood.notes == ()


@given(QUERIES, st.sets(st.sampled_from(PIECES)))
def test_ignoring_is_as_if_it_had_not_been_understood(query: str, ignore: set[str]) -> None:
    """Whatever is ignored neither filters nor leaves the text; nothing else changes."""
    plain = UNDERSTANDING.understand(query, calendar=CALENDAR).told()
    meaning = UNDERSTANDING.understand(query, calendar=CALENDAR, ignore=sorted(ignore))
    said = meaning.told()
    for one in (*said.dates, *said.entities):
        assert one.ignored == any(same(one.text, text) for text in ignore)
    assert [one.text for one in said.dates] == [one.text for one in plain.dates]
    words = said.vector_text.split()
    for span in said.dates:
        assert (span.text.split()[-1] in words) == span.ignored
    if all(span.ignored for span in said.dates):
        off = UNDERSTANDING.understand(query, calendar=CALENDAR, dates=DateUse.OFF)
        assert (meaning.tree, meaning.filters) == (off.tree, off.filters)


def same(text: str, other: str) -> bool:
    return text.casefold().split() == other.casefold().split()
