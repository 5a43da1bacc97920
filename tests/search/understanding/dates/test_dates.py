from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import QueryError
from search.understanding.dates import calendar_of, find_dates, parse_span
from search.understanding.dates.calendar import zone_of
from search.understanding.understand import Understanding, describe

TICK = timedelta(microseconds=1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2024", utc(2024, 1, 1), utc(2025, 1, 1)),
        ("2024-03", utc(2024, 3, 1), utc(2024, 4, 1)),
        ("2024-12", utc(2024, 12, 1), utc(2025, 1, 1)),
        ("2024-3-5", utc(2024, 3, 5), utc(2024, 3, 6)),
        ("2024-02", utc(2024, 2, 1), utc(2024, 3, 1)),
        ("2024-02-29", utc(2024, 2, 29), utc(2024, 3, 1)),
        ("2000-02-29", utc(2000, 2, 29), utc(2000, 3, 1)),
        ("2024-12-31", utc(2024, 12, 31), utc(2025, 1, 1)),
        (' "2024" ', utc(2024, 1, 1), utc(2025, 1, 1)),
        ("0001", utc(1, 1, 1), utc(2, 1, 1)),
        ("9998-12", utc(9998, 12, 1), utc(9999, 1, 1)),
        ("9999-11", utc(9999, 11, 1), utc(9999, 12, 1)),
        ("9999-12-30", utc(9999, 12, 30), utc(9999, 12, 31)),
    ],
)
def test_spans(text: str, since: datetime, until: datetime) -> None:
    assert parse_span(text) == (since, until)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-03-05T10:20", utc(2024, 3, 5, 10, 20)),
        ("2024-03-05T10:20:30Z", utc(2024, 3, 5, 10, 20, 30)),
        ("2024-03-05 10:20:30+00:00", utc(2024, 3, 5, 10, 20, 30)),
        ("2024-03-05T01:00:00+02:00", utc(2024, 3, 4, 23)),
        ("2024-03-05T10:20:30.000007Z", utc(2024, 3, 5, 10, 20, 30, 7)),
    ],
)
def test_times_are_moments_in_utc(text: str, moment: datetime) -> None:
    assert parse_span(text) == (moment, moment + TICK)


@pytest.mark.parametrize("text", ["9999", "9999-12", "9999-12-31", "9999-12-31T23:59:59.999999Z"])
def test_the_last_year_ends_with_time(text: str) -> None:
    since, until = parse_span(text)
    assert since <= until == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "0",
        "0000",
        "24-03-05",
        "2024-00",
        "2024-13",
        "2024-03-00",
        "2024-02-30",
        "2023-02-29",
        "1900-02-29",
        "2024-04-31",
        "2024-03-05-01",
        "20240305",
        "2024-W10",
        "2024-W10-1",
        "12024",
        "2024-03-05T25:00",
        "2024-03-05T10:20:30+99:00",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:00:00-05:00",
        "yesterday",
        "²⁰²⁴",
        "2024-03\n2025",
        "\ud800",
    ],
)
def test_what_is_no_date_is_refused_with_a_way_to_write_it(text: str) -> None:
    with pytest.raises(QueryError, match="not a date") as caught:
        parse_span(text)
    assert "2024-03-05" in caught.value.mend


@given(st.text(alphabet="0123456789-:TZ+. W", max_size=34))
@example("9999-12-31T23:59:59.999999")
def test_any_text_is_a_span_that_goes_forward_or_refused(text: str) -> None:
    try:
        since, until = parse_span(text)
    except QueryError:
        return
    assert since <= until
    assert since.utcoffset() == until.utcoffset() == timedelta(0)


@given(st.dates())
def test_a_day_lies_in_its_month_and_the_month_in_its_year(day: object) -> None:
    text = str(day)
    year, month, exact = (parse_span(text[:size]) for size in (4, 7, 10))
    assert year[0] <= month[0] <= exact[0] <= exact[1] <= month[1] <= year[1]


def test_a_span_is_of_the_zone_that_is_given() -> None:
    berlin = zone_of("Europe/Berlin")
    assert parse_span("2024-03", berlin) == (utc(2024, 2, 29, 23), utc(2024, 3, 31, 22))
    assert parse_span("2024-03-31", berlin) == (utc(2024, 3, 30, 23), utc(2024, 3, 31, 22))
    assert parse_span("2024-03-05T10:20", berlin)[0] == utc(2024, 3, 5, 9, 20)
    assert parse_span("2024-03-05T10:20Z", berlin)[0] == utc(2024, 3, 5, 10, 20)


MARCH = "versioncreated in [2024-03-01T00:00:00+00:00, 2024-04-01T00:00:00+00:00)"


@pytest.mark.parametrize(
    ("query", "line", "text"),
    [
        ("ferry march 2024", f"(+ferry +{MARCH})", "ferry"),
        ("march 2024 ferry", f"(+ferry +{MARCH})", "ferry"),
        ("march 2024", MARCH, ""),
        ("type:picture ferry in march 2024", f"(+ferry +(+type is picture +{MARCH}))", "ferry"),
        ("-greece ferry march 2024", f"(+(ferry -greece) +{MARCH})", "ferry"),
        ("ferry (rescue) march 2024", f"(+(ferry rescue) +{MARCH})", "ferry rescue"),
    ],
)
def test_a_month_in_words_filters_and_leaves_the_text(query: str, line: str, text: str) -> None:
    found = Understanding(None).understand(query)
    assert found.said.vector_text == text
    assert len(found.said.dates) == 1
    assert found.said.lexical == line
    assert found.said.notes == ()


@pytest.mark.parametrize(
    "query",
    [
        '"march 2024" ferry',
        "ferry AND march 2024",
        "NOT march 2024",
        "-march 2024",
        "ferry -(storm march 2024 x)",
        "march 2024 OR april 2024",
        "title:march 2024",
        "(march 2024)",
        "ferry march 2024^2",
        "ferry march 2024)",
    ],
)
def test_a_month_that_an_operator_has_stays_words(query: str) -> None:
    found = Understanding(None).understand(query)
    assert found.said.dates == ()
    assert "versioncreated" not in describe(found.filters)


def test_dates_are_said_with_their_place() -> None:
    said = Understanding(None).understand("ferry march 2024").said.dates[0]
    assert (said.text, said.start, said.end) == ("march 2024", 6, 16)
    assert (said.since, said.until) == ("2024-03-01T00:00:00+00:00", "2024-04-01T00:00:00+00:00")


NOW = utc(2026, 3, 18, 10)


def test_a_field_and_plain_words_mean_the_same_month() -> None:
    calendar = calendar_of(NOW, "Asia/Tokyo")
    understanding = Understanding(None)
    by_field = understanding.understand("date:2024-03", calendar=calendar)
    in_words = understanding.understand("march 2024", calendar=calendar)
    assert by_field.filters == in_words.filters
    assert in_words.said.dates[0].since == "2024-02-29T15:00:00+00:00"


def test_an_open_end_is_told_as_nothing() -> None:
    said = Understanding(None).understand("ferry since 2020", calendar=calendar_of(NOW)).said
    assert [(date.since, date.until) for date in said.dates] == [("2020-01-01T00:00:00+00:00", "")]
    assert said.lexical == "(+ferry +versioncreated in [2020-01-01T00:00:00+00:00, …))"


def test_dates_that_share_time_narrow_each_other_and_others_add_up() -> None:
    understanding, calendar = Understanding(None), calendar_of(NOW)
    both = understanding.understand("yesterday in march 2026", calendar=calendar)
    assert describe(both.filters).count("versioncreated") == 1
    either = understanding.understand("may 2023 june 2024", calendar=calendar)
    assert describe(either.filters).count("versioncreated") == 2
    assert not describe(either.filters).startswith("(+")


@pytest.mark.parametrize(
    ("tz", "locale", "says"),
    [
        ("Mars/Olympus", "", "time zone"),
        ("../etc/passwd", "", "time zone"),
        ("America", "", "time zone"),
        ("\0", "", "time zone"),
        ("é" * 500, "", "time zone"),
        ("", "english", "locale"),
        ("", "en-USA", "locale"),
        ("", "*", "locale"),
    ],
)
def test_an_unknown_zone_or_locale_is_refused(tz: str, locale: str, says: str) -> None:
    with pytest.raises(QueryError, match=says) as caught:
        calendar_of(NOW, tz, locale)
    assert caught.value.mend
    assert caught.value.where in ("tz", "locale")


@pytest.mark.parametrize("locale", ["en_US.UTF-8", "EN-us", "en-Latn-US", "es-PR"])
def test_a_locale_may_be_written_in_several_ways(locale: str) -> None:
    dates, _ = find_dates("03/04/2024", calendar_of(NOW, "", locale))
    assert dates[0].since == utc(2024, 3, 4)
