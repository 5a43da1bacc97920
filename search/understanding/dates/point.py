"""A point in time that words name: its span, and where it may be read as a date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum

from search.understanding.dates.calendar import Calendar, Span, month_start


class Standing(Enum):
    """What a point needs to be read as a date: nothing; a place at the query's beginning or end; or
    a word such as "in" or "since" before it.
    """

    ALONE = 1
    AT_AN_END = 2
    AFTER_A_WORD = 3


@dataclass(frozen=True, slots=True)
class Recurring:
    """A time that recurs: a month, a day of a month (both without a year), or a day of the week."""

    month: int = 0
    day: int = 0
    weekday: int = -1

    def latest(self, calendar: Calendar, limit: date) -> Span | None:
        """Return its last occurrence that begins at `limit` or before; None for a day that no month
        has.
        """
        if self.weekday >= 0:
            back = (limit.weekday() - self.weekday) % 7
            return calendar.days(limit - timedelta(days=back))
        for year in range(limit.year, limit.year - 9, -1):  # February 29: eight years at most
            span = self.in_year(calendar, year)
            if span and span[0] <= calendar.moment(limit):
                return span
        return None

    def in_year(self, calendar: Calendar, year: int) -> Span | None:
        """Return its occurrence in a year."""
        if not self.day:
            return calendar.months(year, self.month)
        if self.day > (month_start(year, self.month + 1) - timedelta(days=1)).day:
            return None
        return calendar.days(date(year, self.month, self.day))


@dataclass(frozen=True, slots=True)
class Point:
    """[since, until), None for an open end; its words end before character `end` of the text.

    `again` is set where no year was written; `is_year` where only a year was. A point that is open
    at both ends does not filter, and `note` says why.
    """

    since: datetime | None
    until: datetime | None
    end: int
    standing: Standing = Standing.ALONE
    again: Recurring | None = None
    is_year: bool = False
    note: str = ""
