"""Dates in queries: the written forms of one moment or span.

2024, 2024-03, 2024-03-05 and RFC 3339 times are spans [since, until) in UTC: a year, a month, a
day, a moment to its microsecond. In plain words "march 2024" is read the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta

from core.errors import QueryError

_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}.*")
_WRITE = "write 2024, 2024-03, 2024-03-05 or RFC 3339"
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
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
_MONTH = "|".join(("sept", *(f"{name}|{name[:3]}" for name in _MONTHS)))
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
            year, month, day = (int(part) if part else None for part in match.groups())
            return _calendar_span(year or 0, month, day)
        if not _TIME.fullmatch(value):
            raise QueryError(f"{text!r} is not a date", mend=_WRITE)
        moment = datetime.fromisoformat(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        since = aware.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise QueryError(f"{text!r} is not a date: {error}", mend=_WRITE) from error
    return since, _later(since, timedelta(microseconds=1))


def find_month(text: str) -> FoundDate | None:
    """The first "month year" in plain words, with its place."""
    match = _MONTH_YEAR.search(text)
    if match is None or int(match[2]) < 1:
        return None
    month = next(n for n, name in enumerate(_MONTHS, 1) if name[:3] == match[1][:3].casefold())
    since, until = _calendar_span(int(match[2]), month, None)
    return FoundDate(match[0], match.start(), match.end(), since, until)


def _calendar_span(year: int, month: int | None, day: int | None) -> tuple[datetime, datetime]:
    since = datetime(year, 1 if month is None else month, 1 if day is None else day, tzinfo=UTC)
    if day:
        return since, _later(since, timedelta(days=1))
    following = (year + 1, 1) if month is None or month == 12 else (year, month + 1)
    if following[0] > MAXYEAR:
        return since, _END_OF_TIME
    return since, datetime(*following, 1, tzinfo=UTC)


def _later(moment: datetime, step: timedelta) -> datetime:
    return moment + step if moment < _END_OF_TIME - step else _END_OF_TIME
