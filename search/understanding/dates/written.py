"""Dates as a field takes them: 2024, 2024-03, 2024-03-05 and RFC 3339 times."""

from __future__ import annotations

import re
from datetime import MAXYEAR, UTC, datetime, timedelta, tzinfo

from core.errors import QueryError

_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}.*")
_WRITE = "write 2024, 2024-03, 2024-03-05 or RFC 3339"
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


def parse_span(text: str, zone: tzinfo = UTC) -> tuple[datetime, datetime]:
    """Return the span [since, until) in UTC of a date in `zone`: a year, a month, a day, or a
    moment to its microsecond. Raises QueryError for text that is not a date.
    """
    value = text.strip().strip('"')
    try:
        if match := _DATE.fullmatch(value):
            year, month, day = (int(part) if part else None for part in match.groups())
            return _calendar_span(zone, year or 0, month, day)
        if not _TIME.fullmatch(value):
            raise QueryError(f"{text!r} is not a date", mend=_WRITE)
        moment = datetime.fromisoformat(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        since = aware.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise QueryError(f"{text!r} is not a date: {error}", mend=_WRITE) from error
    return since, _later(since, timedelta(microseconds=1))


def _calendar_span(
    zone: tzinfo, year: int, month: int | None, day: int | None
) -> tuple[datetime, datetime]:
    first = datetime(year, 1 if month is None else month, 1 if day is None else day)
    since = _in_utc(first, zone)
    if day:
        return since, _in_utc(_later(first, timedelta(days=1)), zone)
    following = (year + 1, 1) if month is None or month == 12 else (year, month + 1)
    if following[0] > MAXYEAR:
        return since, _END_OF_TIME
    return since, _in_utc(datetime(*following, 1), zone)


def _in_utc(local: datetime, zone: tzinfo) -> datetime:
    """Return a local time of `zone` in UTC; the last moment of the calendar stays as it is."""
    if local == datetime.max:
        return _END_OF_TIME
    return local.replace(tzinfo=zone).astimezone(UTC)


def _later(moment: datetime, step: timedelta) -> datetime:
    last = datetime.max.replace(tzinfo=moment.tzinfo)
    return moment + step if moment < last - step else last
