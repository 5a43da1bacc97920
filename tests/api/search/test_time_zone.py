"""Bare days in `since` and `until` are days of the caller's zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.query_tree import DateRange
from tests.api.conftest import Served


def asked(served: Served, **params: str) -> DateRange:
    served.get("/content/search", q="ferry", **params)
    found = served.room.asked[-1][0].filters
    assert isinstance(found, DateRange)
    return found


@pytest.mark.parametrize(
    ("tz", "day", "since", "until"),
    [
        ("", "2024-03-05", "2024-03-05T00:00", "2024-03-06T00:00"),
        ("UTC", "2024-03-05", "2024-03-05T00:00", "2024-03-06T00:00"),
        ("Europe/Berlin", "2024-03-05", "2024-03-04T23:00", "2024-03-05T23:00"),
        ("America/New_York", "2024-03-05", "2024-03-05T05:00", "2024-03-06T05:00"),
        ("Asia/Kathmandu", "2024-03-05", "2024-03-04T18:15", "2024-03-05T18:15"),
        ("Europe/Berlin", "2024-03-31", "2024-03-30T23:00", "2024-03-31T22:00"),  # 23 hours
        ("Europe/Berlin", "2024-10-27", "2024-10-26T22:00", "2024-10-27T23:00"),  # 25 hours
    ],
)
def test_a_day_is_one_of_the_zone(
    served: Served, tz: str, day: str, since: str, until: str
) -> None:
    found = asked(served, since=day, until=day, **({"tz": tz} if tz else {}))
    assert found.since == datetime.fromisoformat(since).replace(tzinfo=UTC)
    assert found.until == datetime.fromisoformat(until).replace(tzinfo=UTC)


def test_a_time_says_its_own_zone(served: Served) -> None:
    found = asked(served, since="2024-03-05T07:30:00Z", tz="Asia/Tokyo")
    assert (found.since, found.until) == (datetime(2024, 3, 5, 7, 30, tzinfo=UTC), None)


def test_an_unknown_zone_is_the_only_thing_said(served: Served) -> None:
    answer = served.get("/content/search", since="2024-03-05", tz="Mars/Olympus")
    assert answer.json()["error"]["field"] == "tz"
    far = served.get("/content/search", since="0001-01-01", tz="Asia/Tokyo")
    assert "calendar" in far.json()["error"]["message"]
