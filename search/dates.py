"""Dates in queries: the written forms of one moment or span.

2024, 2024-03, 2024-03-05 and RFC 3339 times are spans [since, until) in UTC: a year, a month, a
day, a moment to its microsecond. In plain words "march 2024" is read the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.errors import QueryError

_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS)
_MONTH_YEAR = re.compile(
    rf"(?<![\w-])(?:in\s+)?({_MONTH})\.?,?\s+(\d{{4}})(?![\w-])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A date in plain words: `text` is characters start to end, and means [since, until)."""

    text: str
    start: int
    end: int
    since: datetime
    until: datetime


def parse_span(text: str) -> tuple[datetime, datetime]:
    """The span [since, until) that a date stands for. Raises QueryError where it is no date."""
    value = text.strip().strip('"')
    try:
        if match := _DATE.fullmatch(value):
            year, month, day = (int(part) if part else 0 for part in match.groups())
            return _calendar_span(year, month, day)
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise QueryError(
            f"{text!r} is not a date: {error}", mend="write 2024, 2024-03, 2024-03-05 or RFC 3339"
        ) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware.astimezone(UTC)
    return since, since + timedelta(microseconds=1)


def find_month(text: str) -> FoundDate | None:
    """The first "month year" in plain words, with its place."""
    match = _MONTH_YEAR.search(text)
    if match is None or not 1 <= int(match[2]) <= 9998:
        return None
    month = next(n for n, name in enumerate(_MONTHS, 1) if name[:3] == match[1][:3].casefold())
    since, until = _calendar_span(int(match[2]), month, 0)
    return FoundDate(match[0], match.start(), match.end(), since, until)


def _calendar_span(year: int, month: int, day: int) -> tuple[datetime, datetime]:
    since = datetime(year, month or 1, day or 1, tzinfo=UTC)
    if day:
        return since, since + timedelta(days=1)
    if month:
        following = (year + 1, 1) if month == 12 else (year, month + 1)
        return since, datetime(*following, 1, tzinfo=UTC)
    return since, datetime(year + 1, 1, 1, tzinfo=UTC)
