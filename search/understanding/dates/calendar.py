"""The caller's calendar: the local time, and how dates are written there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from core.errors import QueryError

_LOCALE = re.compile(r"([a-z]{2,3})(?:[-_][a-z]{4})?(?:[-_]([a-z]{2}|\d{3}))?", re.IGNORECASE)
# Regions by the Unicode locale data: those that write the month first, and those whose week begins
# on Sunday.
_MONTH_FIRST = frozenset(("US", "AS", "GU", "MH", "MP", "PR", "UM", "VI", "FM", "PW", "PH"))
_SUNDAY_FIRST = _MONTH_FIRST | {"CA", "MX", "BR", "JP", "KR", "IN", "IL", "ZA", "HK", "TW", "TH"}
_SOUTHERN = frozenset(
    ("AU", "NZ", "ZA", "AR", "CL", "UY", "PY", "BO", "PE", "BR", "NA", "BW", "FJ")
)

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Calendar:
    """When and where a query is asked. `now` is aware; `zone` gives the day. The rest follows from
    the locale: 03/04 is March 4 where the month comes first, weeks begin on Sunday or Monday, and
    winter is in December or June. `language` (ISO 639-1) is that of the query, "" if not known.
    """

    now: datetime
    zone: tzinfo = UTC
    locale: str = ""
    month_first: bool = False
    sunday_first: bool = False
    southern: bool = False
    language: str = ""

    @property
    def today(self) -> date:
        """The current day in the zone."""
        return self.now.astimezone(self.zone).date()

    def moment(self, day: date, hours: int = 0) -> datetime:
        """Return `hours` o'clock of `day` in the zone, in UTC."""
        local = datetime(day.year, day.month, day.day) + timedelta(hours=hours)
        return local.replace(tzinfo=self.zone).astimezone(UTC)

    def days(self, first: date, count: int = 1) -> Span:
        """Return the span of `count` days from `first` on."""
        return self.moment(first), self.moment(first + timedelta(days=count))

    def months(self, year: int, month: int, count: int = 1) -> Span:
        """Return the span of `count` months; a `month` outside 1 to 12 counts on into other
        years.
        """
        return self.moment(month_start(year, month)), self.moment(month_start(year, month + count))

    def years(self, first: int, count: int = 1) -> Span:
        """Return the span of `count` years."""
        return self.months(first, 1, 12 * count)

    def week_start(self, weeks_back: int = 0) -> date:
        """Return the first day of this week, or of an earlier one."""
        since = (self.today.weekday() + (1 if self.sunday_first else 0)) % 7
        return self.today - timedelta(days=since + 7 * weeks_back)


def month_start(year: int, month: int) -> date:
    """Return the first day of a month; a month outside 1 to 12 counts on into other years."""
    years, index = divmod(month - 1, 12)
    return date(year + years, index + 1, 1)


def months_before(day: date, count: int) -> date:
    """Return the same day `count` months earlier, or the last day of that month."""
    first = month_start(day.year, day.month - count)
    last = (month_start(first.year, first.month + 1) - timedelta(days=1)).day
    return first.replace(day=min(day.day, last))


def calendar_of(now: datetime, tz: str = "", locale: str = "") -> Calendar:
    """Return the calendar of a caller in time zone `tz` (an IANA name, "" for UTC) with `locale` (a
    BCP 47 tag such as en-US; "" writes the day before the month). Raises QueryError for unknown
    ones.
    """
    zone = zone_of(tz)
    if not locale:
        return Calendar(now, zone)
    match = _LOCALE.fullmatch(locale.split(".")[0])
    if match is None:
        raise QueryError(
            f"{locale[:40]!r} is not a locale", where="locale", mend="write en-US, en-GB or de-DE"
        )
    region = (match[2] or "").upper()
    return Calendar(
        now,
        zone,
        locale,
        month_first=region in _MONTH_FIRST,
        sunday_first=region in _SUNDAY_FIRST,
        southern=region in _SOUTHERN,
    )


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """Return the time zone of an IANA name, UTC for "". Raises QueryError for an unknown name."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # KeyError: ZoneInfoNotFoundError
        raise QueryError(
            f"there is no time zone {name[:40]!r}",
            where="tz",
            mend="write an IANA name such as Europe/Berlin, America/New_York or UTC",
        ) from error
