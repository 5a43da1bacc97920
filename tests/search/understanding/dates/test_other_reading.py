"""A date whose numbers can be read in two orders tells the other one, in words that are certain."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from search.understanding.dates import calendar_of, find_dates

NOW = datetime(2026, 3, 18, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "locale", "other"),
    [
        ("ferry 03/04/2024", "en-GB", "2024-03-04"),
        ("ferry 03/04/2024", "", "2024-03-04"),
        ("ferry 03/04/2024", "en-US", "2024-04-03"),
        ("ferry since 3-4-24", "en-GB", "since 2024-03-04"),
        ("between 03/04/2024 and 20/05/2024", "en-GB", "between 2024-03-04 and 20/05/2024"),
        ("ferry 13/04/2024", "en-GB", ""),
        ("ferry 04/04/2024", "en-GB", ""),
        ("ferry 03.04.2024", "en-US", ""),
        ("ferry 2024-03-04", "en-GB", ""),
        ("ferry march 2024", "en-US", ""),
    ],
)
def test_the_other_reading(query: str, locale: str, other: str) -> None:
    (found,), _ = find_dates(query, calendar_of(NOW, "", locale))
    assert found.other == other


@pytest.mark.parametrize("locale", ["en-GB", "en-US"])
def test_it_is_the_other_reading(locale: str) -> None:
    calendar = calendar_of(NOW, "Europe/Berlin", locale)
    (found,), notes = find_dates("03/04/2024", calendar)
    (other,), none = find_dates(found.other, calendar)
    assert notes
    assert not none
    swapped = calendar_of(NOW, "Europe/Berlin", "en-US" if locale == "en-GB" else "en-GB")
    (expected,), _ = find_dates("03/04/2024", swapped)
    assert (other.since, other.until) == (expected.since, expected.until)
