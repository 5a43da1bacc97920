"""The table of dates in docs/query-language.md means what it says."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from search.understanding.dates import calendar_of
from search.understanding.understand import Understanding
from tests.demo_service import ROOT

PAGE = (ROOT / "docs" / "query-language.md").read_text("utf-8")
CALENDAR = calendar_of(datetime(2026, 3, 18, 10, tzinfo=UTC))
_HEAD = "| you write | from | up to, not with | |"


def documented_dates() -> list[tuple[str, str, str]]:
    """(query, from, to) of each example."""
    _, _, table = PAGE.partition(_HEAD)
    rows = [line.split("|")[1:4] for line in table.split("\n\n")[0].splitlines()[2:]]
    return [
        (query, since.strip(), until.strip())
        for queries, since, until in rows
        for query in re.findall(r"`([^`]+)`", queries)
    ]


def shown(moment: str) -> str:
    return moment[:16].replace("T", " ").removesuffix(" 00:00")


@pytest.mark.parametrize(("query", "since", "until"), documented_dates())
def test_a_documented_date(query: str, since: str, until: str) -> None:
    said = Understanding(None).understand(query, calendar=CALENDAR).said
    assert [(shown(date.since), shown(date.until)) for date in said.dates] == [(since, until)]
    assert said.notes == ()


@pytest.mark.parametrize(
    "query",
    [
        *("ferry 2024", "ferry december", "World Cup 2026", "Agenda 2030", "September 11 attacks"),
        *("January 6 committee", "Black Friday", "Arab Spring", "Theresa May", "Friday night"),
        *("1984 by Orwell", "iPhone 15", "Section 230", "24/7", "september 11", "NOT march"),
        *("ferry tomorrow", "election november 2028", '"march 2024"'),
    ],
)
def test_what_the_page_says_is_no_date(query: str) -> None:
    assert query.casefold() in " ".join(PAGE.casefold().split())
    assert Understanding(None).understand(query, calendar=CALENDAR).said.dates == ()


def test_there_is_something_to_test() -> None:
    assert len(documented_dates()) >= 25
