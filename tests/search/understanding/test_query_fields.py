"""AP's fields in a query, date maths, ranges, and what is a field and what is prose."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.errors import QueryError
from core.query_fields import NAMED, QUERY_FIELDS
from core.query_tree import EVERYTHING, NOTHING, Bool, DateRange, Keyword, Node
from search.understanding.field_values import EVERY
from search.understanding.language import parse

NOW = datetime(2026, 3, 18, 10, 30, 15, 7, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
DOCS = Path(__file__).parents[3] / "docs" / "query-language.md"


def filters(query: str) -> Node:
    """The filter that a query of facts alone becomes."""
    parsed = parse(query, UTC, NOW)
    assert (parsed.tree, parsed.text) == (EVERYTHING, ""), query
    return parsed.filters


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def since(moment: datetime) -> DateRange:
    return DateRange("versioncreated", moment, None)


def test_no_name_stands_for_two_fields() -> None:
    assert sum(1 + len(field.also) for field in QUERY_FIELDS) == len(NAMED)
    assert all(name == name.casefold() for name in NAMED)


def test_the_page_lists_every_field() -> None:
    row = re.compile(r"^\| `([\w.]+)` \| ([^|]*) \| (\w+) \| (.+) \|$", re.MULTILINE)
    rows = row.findall(DOCS.read_text("utf-8"))
    told = {name: (re.findall(r"`([^`]+)`", also), kind, about) for name, also, kind, about in rows}
    assert told == {
        field.name: ([*field.also], str(field.kind), field.about) for field in QUERY_FIELDS
    }


@pytest.mark.parametrize(
    ("query", "node"),
    [
        ("productid:31991", Keyword("product", ("31991",))),
        ("subject.name:Sport", Keyword("subject", ("Sport",))),
        ('subject.code:"medtop:15000000"', Keyword("subject", ("medtop:15000000",))),
        ("organization.name:UN", Keyword("organisation", ("UN",))),
        ("person.code:wd:Q5", Keyword("fact", ("person.code:wd:Q5",))),
        ("source:AP", Keyword("source", ("AP",))),
        ("categories:f", Keyword("fact", ("category:f",))),
        ("signals:Breaking", Keyword("fact", ("signals:Breaking",))),
        ("slugline:Ferry", Keyword("fact", ("slugline:ferry",))),
        ("itemid:a1b2", Keyword("id", ("itemid:a1b2",))),
        ("uri:urn:newsml:ap.example:1/2+3", Keyword("id", ("uri:urn:newsml:ap.example:1/2+3",))),
        (r"uri:http\://ap.example/1", Keyword("id", ("uri:http://ap.example/1",))),
        ("pubstatus:usable", EVERY),
        ("pubstatus:canceled", NOTHING),
        ("urgency:[1 TO 3]", Keyword("urgency", ("1", "2", "3"))),
        ("urgency:{1 TO 4}", Keyword("urgency", ("2", "3"))),
        ("urgency:[* TO 2]", Keyword("urgency", ("1", "2"))),
        ("urgency:>7", Keyword("urgency", ("8", "9"))),
        ("urgency:<=2", Keyword("urgency", ("1", "2"))),
        ("urgency:>9", NOTHING),
        ("versioncreated:>now-2d", since(NOW - 2 * DAY + TICK)),
        ("versioncreated:>=now-3h", since(NOW - timedelta(hours=3))),
        ("mindate:now-2d", since(NOW - 2 * DAY)),
        ("mindate:>2026-01-01T00:00:00Z", since(utc(2026, 1, 1) + TICK)),
        ("mindate:>=2026-01-01T02:00:00+02:00", since(utc(2026, 1, 1))),
        ("maxdate:2026-01", DateRange("versioncreated", None, utc(2026, 2, 1))),
        ("arrived:>=now-3h", DateRange("arrived", NOW - timedelta(hours=3), None)),
        ("date:now/d", DateRange("versioncreated", utc(2026, 3, 18), utc(2026, 3, 19))),
        ("date:>=now/d", since(utc(2026, 3, 18))),
        ("date:>now/d", since(utc(2026, 3, 19))),
        ("date:now-1M/M", DateRange("versioncreated", utc(2026, 2, 1), utc(2026, 3, 1))),
        ("date:now/w", DateRange("versioncreated", utc(2026, 3, 16), utc(2026, 3, 23))),
        ("date:now-1y/y", DateRange("versioncreated", utc(2025, 1, 1), utc(2026, 1, 1))),
        ("date:[now-1d/d TO now/d}", DateRange("versioncreated", utc(2026, 3, 17), utc(2026, 3, 18))),  # noqa: E501
        (
            "firstcreated:[2026-01-01T10:00:00+01:00 TO *]",
            DateRange("firstcreated", utc(2026, 1, 1, 9), None),
        ),
        (
            "arrivaldate:(>=2026-01-01T00:00:00Z AND <2026-02-01)",
            Bool(must=(since(utc(2026, 1, 1)), DateRange("versioncreated", None, utc(2026, 2, 1)))),
        ),
        (
            "productid:(1 OR 2) AND mindate:>2026-01-01T00:00:00Z",
            Bool(
                must=(
                    Bool(should=(Keyword("product", ("1",)), Keyword("product", ("2",)))),
                    since(utc(2026, 1, 1) + TICK),
                )
            ),
        ),
        (
            "slugline:Ferry-Rescue",
            Bool(
                must=(Keyword("fact", ("slugline:ferry",)), Keyword("fact", ("slugline:rescue",)))
            ),
        ),
    ],
)  # fmt: skip
def test_a_field_of_facts_becomes_a_filter(query: str, node: Node) -> None:
    assert filters(query) == node


def test_days_of_date_maths_are_those_of_the_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    day = parse("date:now/d", berlin, NOW).filters
    assert day == DateRange("versioncreated", utc(2026, 3, 17, 23), utc(2026, 3, 18, 23))
    # Clocks went forward on 29 March: a day before noon is 23 hours before it.
    noon = datetime(2026, 3, 29, 12, tzinfo=timezone(timedelta(hours=2)))
    assert parse("mindate:now-1d", berlin, noon).filters == since(utc(2026, 3, 28, 11))
    assert parse("mindate:now-24h", berlin, noon).filters == since(utc(2026, 3, 28, 10))


def test_a_months_last_day_is_kept_within_the_month() -> None:
    last = datetime(2026, 3, 31, tzinfo=UTC)
    assert parse("mindate:now-1M", UTC, last).filters == since(utc(2026, 2, 28))


@pytest.mark.parametrize("text", ["now-", "now-2", "now-2q", "now/x", "nowhere", "now-9999y"])
def test_what_is_no_date_maths_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        parse(f"versioncreated:>{text}", UTC, NOW)


@pytest.mark.parametrize("text", ["signals:>a", "uri:[a TO b]", "headline:>a", "urgency:>high"])
def test_a_range_needs_an_order(text: str) -> None:
    with pytest.raises(QueryError):
        parse(text)


@pytest.mark.parametrize(
    ("query", "near"),
    [
        ("foo:bar", ""),
        ("headlin:ferry", "headline"),
        ("Headlin:ferry storm", "headline"),
        ("prodctid:31991", "productid"),
        ("slug_line:x", "slugline"),
        ("subject.nam:Sport ferry", "subject.name"),
        ("photo.size:large ferry", ""),
        ("weather:storm AND type:text", ""),
        ("type:text weather:storm", ""),
        ("weather:storm OR rain", ""),
        ("weather:(storm OR rain)", ""),
        ('weather:"storm" rain', ""),
        ("weather:>now-2d", ""),
        ("ferry -weather:storm type:text", ""),
    ],
)
def test_a_name_that_looks_like_a_field_and_is_none_is_refused(query: str, near: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert "query-language.md#fields" in caught.value.mend
    assert (f"perhaps {near} is meant" in caught.value.mend) is bool(near)


@pytest.mark.parametrize(
    "query",
    [
        "Update: Oslo wins",
        "Update:Oslo wins",
        "UPDATE:Oslo wins AND loses",
        "AP: ferry sinks off Oslo",
        "AP:ferry",
        "by Ann Lee, Reuters: ferry sinks",
        "10:30",
        "ferry at 10:30 in Oslo",
        "Oslo 3:2 Bergen",
        "https://example.com/a?b=c",
        "see https://example.com/story:2",
        "urn:newsml:dateline.example:20260315:ferry-accident-3",
        "mailto:desk@example.com",
        "re:publica",
        "vs:Bergen",
        "a:b:c",
        "rain and storm:what now",
        'a film called "weather:storm" AND a book',
        r"weather\:storm",
        "Ferry sinks off Oslo, crew said:no one was hurt in the storm. More to follow.",
        "std::vector",
        "smile :)",
        "note to self:",
    ],
)
def test_pasted_prose_stays_words(query: str) -> None:
    parsed = parse(query)
    assert parsed.filters == EVERYTHING
    assert parsed.text
