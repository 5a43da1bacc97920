from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from search.answers import DateUse
from search.understanding.dates import Calendar, calendar_of
from search.understanding.understand import Understanding
from storage.words.told_languages import language_of_query
from tests.search.case_table import Row, read_cases

NOW = "2026-03-18 10:00"
ROWS = read_cases(Path(__file__).with_name("date_cases.md"))
UNDERSTANDING = Understanding(None, told_by=language_of_query)


def calendar_at(row: Row) -> Calendar:
    now = datetime.fromisoformat(row.cells["now"] or NOW).replace(tzinfo=UTC)
    return calendar_of(now, row.cells["tz"], row.cells["locale"])


def shown(moment: str, calendar: Calendar) -> str:
    """A time as the table writes it."""
    if not moment:
        return "…"
    local = datetime.fromisoformat(moment).astimezone(calendar.zone)
    return f"{local:%Y-%m-%d}" if f"{local:%H:%M}" == "00:00" else f"{local:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_date_in_plain_words(row: Row) -> None:
    calendar = calendar_at(row)
    query = row.cells["query"]
    said = UNDERSTANDING.understand(query, calendar=calendar).said
    assert " ; ".join(shown(date.since, calendar) for date in said.dates) == row.cells["from"]
    assert " ; ".join(shown(date.until, calendar) for date in said.dates) == row.cells["to"]
    assert " ".join(said.vector_text.split()) == row.cells["text left"]
    assert [query[date.start : date.end] for date in said.dates] == [d.text for d in said.dates]
    if row.cells["note"]:
        assert row.cells["note"] in "; ".join(said.notes)
    else:
        assert said.notes == ()


def test_there_are_cases_enough() -> None:
    assert len(ROWS) >= 300
    assert len({row.group for row in ROWS}) >= 20
    assert len({tuple(row.cells.values()) for row in ROWS}) == len(ROWS)


def test_dates_can_be_turned_off() -> None:
    for row in ROWS:
        calendar, query = calendar_at(row), row.cells["query"]
        said = UNDERSTANDING.understand(query, calendar=calendar, dates=DateUse.OFF).said
        assert said.dates == (), row
        assert "versioncreated" not in said.lexical, row
