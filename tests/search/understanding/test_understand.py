from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.entities import Entity, EntityLabel
from core.errors import QueryError
from core.query_tree import EVERYTHING, Keyword, Node, is_fact
from search.answers import DateUse, EntityUse, SearchRequest, Understood
from search.understanding.dates import Calendar, calendar_of
from search.understanding.understand import Understanding, describe
from tests.search.room import Room, story

NOW = datetime(2026, 3, 18, 10, tzinfo=UTC)
WEDNESDAY = calendar_of(NOW)


class CapitalsTagger:
    """Takes every word in capitals for a place."""

    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
        return tuple(
            tuple(
                Entity(found[0], EntityLabel.LOC, found.start(), found.end(), 1.0)
                for found in re.finditer(r"\b[A-Z]{2,}\b", text)
            )
            for text in texts
        )


_PIECES = """
    march may 2024 '24 90s 1990s the in on since until before after between and to from of last
    past next this week month year days 3 days ago yesterday today tomorrow friday tue summer
    winter early mid late q1 half 5 5th 31 29 february 03/04/2024 03.04.2024 2024-03-05 2024-03
    2011-12 9/11 september 11 attacks iPhone 15 märz mars en von bis LONDON Theresa hour 24
    hours weekend ferry AND OR NOT TO ( ) " [ ] { } - + : ~ ^2 * ? / \\ title: date: type:text
    date:2024 foo: 😀 é , .
"""
_WORDS = st.sampled_from(_PIECES.split())
queries = st.one_of(
    st.text(max_size=80),
    st.lists(_WORDS, max_size=14).map(" ".join),
    st.lists(st.one_of(_WORDS, st.text(max_size=3)), max_size=14).map("".join),
)
calendars = st.builds(
    calendar_of,
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
    st.sampled_from(["", "Asia/Tokyo", "America/New_York", "Pacific/Apia", "Europe/Berlin"]),
    st.sampled_from(["", "en-US", "en-AU", "de-DE"]),
)
UNDERSTANDING = Understanding(CapitalsTagger())


def understood(query: str, calendar: Calendar) -> Understood | None:
    refused: QueryError | None = None
    try:
        return UNDERSTANDING.understand(query, calendar=calendar).told()
    except QueryError as error:
        refused = error
    assert refused.mend
    return None


@given(queries, calendars)
@example("9999 years ago", WEDNESDAY)
@example("999 decades ago since 9999 months ago", WEDNESDAY)
@example("ſept 2024 on ſunday", WEDNESDAY)
@example("٣ march 2024", WEDNESDAY)
@example("İn march 2024 LONDON", WEDNESDAY)
@example('"LONDON since tuesday', WEDNESDAY)
@example("today", calendar_of(datetime(1, 1, 1, tzinfo=UTC)))
@example("this decade", calendar_of(datetime(9999, 12, 31, 23, tzinfo=UTC), "Asia/Tokyo"))
@example("LONDON \x00 5 march LONDON", WEDNESDAY)
def test_any_text_is_understood_or_refused(query: str, calendar: Calendar) -> None:
    said = understood(query, calendar)
    if said is None:
        return
    clean = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ue000\ue001]", " ", query)
    for date in said.dates:
        assert clean[date.start : date.end] == date.text
        assert date.since or date.until
        edges = [datetime.fromisoformat(edge) for edge in (date.since, date.until) if edge]
        assert edges == sorted(edges)
        assert all(edge.utcoffset() == timedelta(0) for edge in edges)
    for name in said.entities:
        assert clean[name.start : name.end] == name.text
    assert understood(query, calendar) == said


@given(queries, calendars)
def test_dates_never_overlap_and_filter(query: str, calendar: Calendar) -> None:
    said = understood(query, calendar)
    if said is None:
        return
    ends = [0, *(date.end for date in said.dates)]
    assert all(end <= date.start for end, date in zip(ends, said.dates, strict=False))
    assert not said.dates or "versioncreated" in said.lexical


@given(queries)
def test_what_filters_is_a_fact_and_dates_off_changes_no_word(query: str) -> None:
    try:
        meaning = UNDERSTANDING.understand(query, calendar=WEDNESDAY, dates=DateUse.OFF)
    except QueryError:
        return
    assert is_fact(meaning.filters)
    assert meaning.told().dates == ()


@given(st.lists(_WORDS, min_size=1, max_size=8).map(" ".join))
def test_an_hour_later_the_calendars_own_dates_are_the_same(query: str) -> None:
    """What a date says of the calendar, and not of now, does not move within a day."""
    later = replace(WEDNESDAY, now=NOW + timedelta(hours=1))
    first, second = understood(query, WEDNESDAY), understood(query, later)
    if first is None or second is None or re.search("hour|minute", query):
        return
    assert first.dates == second.dates


ENGLISH = ("en",)


@pytest.mark.parametrize(
    ("query", "filters", "languages", "note"),
    [
        ("ferry", EVERYTHING, ENGLISH, ""),
        ("ferry", Keyword("language", ("en",)), ENGLISH, ""),
        ("ferry", Keyword("language", ("en-GB", "en_US")), ENGLISH, ""),
        ("fähre", Keyword("language", ("de",)), ENGLISH, "for language de"),
        ("fähre", Keyword("language", ("de",)), ("de", "en"), ""),
        ("fähre", Keyword("language", ("de",)), ("mul",), ""),
        ("fähre", Keyword("language", ("de",)), (), ""),
        ("fähre language:de", EVERYTHING, ENGLISH, "for language de"),
        ("ferry -language:de", EVERYTHING, ENGLISH, ""),
        ("fähre", EVERYTHING, ENGLISH, ""),
        ("паром авария", EVERYTHING, ENGLISH, "Cyrillic letters"),
        ("паром авария", EVERYTHING, ("en", "ru"), ""),
        ("паром ferry accident", EVERYTHING, ENGLISH, ""),
        ("渡船", EVERYTHING, ENGLISH, "Cjk letters"),
        ("フェリー", EVERYTHING, ("ja",), ""),
        ("πλοίο", EVERYTHING, ENGLISH, "Greek letters"),
        ("עבורת", EVERYTHING, ENGLISH, "Hebrew letters"),
        ("😀 123", EVERYTHING, ENGLISH, ""),
    ],
)
def test_a_language_that_the_encoder_lacks_is_said(
    query: str, filters: Node, languages: tuple[str, ...], note: str
) -> None:
    understanding = Understanding(None, languages=languages)
    notes = understanding.understand(query, calendar=WEDNESDAY, filters=filters).said.notes
    assert bool(notes) == bool(note)
    assert note in " ".join(notes)


def test_a_query_in_another_language_is_answered_by_its_words(room: Room) -> None:
    room.put(story("паром", headline="Паром сел на мель"), story("ferry", headline="Ferry aground"))
    answer = room.ask("паром")
    assert answer.hits[0].item.uri == "паром"


def test_the_callers_zone_decides_what_a_day_is(room: Room) -> None:
    late = datetime(2024, 3, 5, 23, 30, tzinfo=UTC)
    room.put(story("late", headline="Ferry aground", versioncreated=late))
    assert room.ask("ferry 5 march 2024").hits
    assert not room.ask("ferry 5 march 2024", tz="Europe/Berlin").hits
    assert room.ask("ferry 6 march 2024", tz="Europe/Berlin").hits
    assert room.ask("ferry 06/03/2024", tz="Europe/Berlin").hits
    assert room.ask("ferry 03/06/2024", tz="Europe/Berlin", locale="en-US").hits
    assert room.ask("ferry date:2024-03-06", tz="Europe/Berlin").hits


def test_a_request_without_dates_is_as_before() -> None:
    request = SearchRequest()
    assert (request.dates, request.tz, request.locale) == (DateUse.FILTER, "", "")
    assert request.entities is EntityUse.BOOST


def test_the_clock_says_what_yesterday_is() -> None:
    understanding = Understanding(None, clock=lambda: NOW)
    said = understanding.understand("ferry yesterday").said
    assert said.dates[0].since == "2026-03-17T00:00:00+00:00"
    tokyo = understanding.calendar("Asia/Tokyo")
    late = replace(tokyo, now=NOW + timedelta(hours=6))
    said = understanding.understand("ferry yesterday", calendar=late).said
    assert said.dates[0].since == "2026-03-17T15:00:00+00:00"
    assert "versioncreated" in describe(understanding.understand("today").filters)
