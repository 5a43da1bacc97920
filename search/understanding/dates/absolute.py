"""Dates of the calendar: 5 march 2024, 05.03.2024, march 2024, spring 2024, Q1 2024, the 1990s."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

from search.understanding.dates.calendar import Calendar, Span, month_start
from search.understanding.dates.point import Point, Recurring, Standing
from search.understanding.dates.words import (
    DAY_MONTHS,
    DECADES,
    MONTHS,
    ORDINALS,
    SEASONS,
    SHORT_WEEKDAYS,
    WEEKDAYS,
    any_of,
)

Reader = Callable[[re.Match[str], Calendar], Point | None]

MONTH = rf"(?P<month>{any_of(MONTHS)})(?!\w)\.?"
DAY_MONTH = rf"(?P<month>{any_of(DAY_MONTHS)})(?!\w)\.?"
YEAR = r"(?P<year>(?:1[89]|20)[0-9]{2})(?![\w%]|[.,:/][0-9])"
DAY = r"(?P<day>[0-9]{1,2})(?![0-9])"
SEASON = rf"(?P<season>{any_of(SEASONS)})(?!\w)"
PART = r"(?P<part>early|mid|late|(?:the\s+)?(?:beginning|start|middle|end)\s+of)[\s-]+(?:the\s+)?"
_NAMED_DAY = rf"(?:(?:{any_of(WEEKDAYS)}|{any_of(SHORT_WEEKDAYS)})(?!\w)\.?,?\s+(?:the\s+)?)?"
_WITH_YEAR = rf"(?:,?\s+(?:(?:of|del?)\s+)?{YEAR}|\s+['’](?P<short>[0-9]{{2}})(?!\w))?"
_TO = r"\s*(?:-|–|—|to|until|till|through|and|bis|au|al?|y)\s*"
# A number before one of these words is a count, not a date.
COUNTED = (
    r"(?!\s+(?:people|persons?|dead|deaths?|killed|injured|wounded|men|women|children|troops|homes|"
    r"houses|jobs|workers|soldiers|cases|victims|students|players|million|billion|thousand|hundred|"
    r"per\s?cent|percent|dollars?|euros?|pounds?|yen|km|kilomet\w+|met(?:er|re)s?|miles?|feet|tons?|"
    r"tonnes?|points?|degrees|votes|seats|pages|times|items|units|words|minutes|hours|days|weeks|"
    r"months|years|am|pm|a\.m|p\.m|kg|litres?|barrels|flights|schools|companies|stores)(?!\w)"
    r"|\s*[%°$€£])"
)
_FRENCH = re.compile(r"\b(?:en|de|entre|depuis|avant|après)\s+$", re.IGNORECASE)


def _year(match: re.Match[str]) -> int | None:
    """The year that was written; a short '24 is of this century up to '68."""
    groups = match.groupdict()
    if groups.get("year"):
        return int(groups["year"])
    if groups.get("short"):
        return full_year(int(groups["short"]))
    return None


def full_year(short: int) -> int:
    """The year of two digits, as POSIX reads them: 69 to 99 are of the last century."""
    return short + (1900 if short >= 69 else 2000)


def _a_day(match: re.Match[str], calendar: Calendar) -> Point | None:
    month, day = DAY_MONTHS.get(match["month"].casefold(), 0), int(match["day"])
    again = Recurring(month, day)
    year = _year(match)
    if not month or not day:
        return None
    if year is None:
        span = again.latest(calendar, calendar.today)
        return Point(*span, match.end(), again=again) if span else _no_such_day(match)
    span = again.in_year(calendar, year)
    return Point(*span, match.end()) if span else _no_such_day(match)


def _no_such_day(match: re.Match[str]) -> Point | None:
    """A point that is no date: 29 february 2023 must not be read as the month with a number before
    it.
    """
    day = int(match["day"])
    return Point(None, None, match.end()) if 28 < day < 32 else None


def _some_days(match: re.Match[str], calendar: Calendar) -> Point | None:
    """March 5-7, 5 to 7 march 2024."""
    first, last = int(match["day"]), int(match["last"])
    month, year = DAY_MONTHS.get(match["month"].casefold(), 0), _year(match)
    if not month or not 0 < first < last:
        return None
    end = Recurring(month, last)
    span = end.in_year(calendar, year) if year else end.latest(calendar, calendar.today)
    if span is None:
        return None
    since = span[0].astimezone(calendar.zone).date() - timedelta(days=last - first)
    return Point(calendar.moment(since), span[1], match.end())


def _a_month(match: re.Match[str], calendar: Calendar) -> Point | None:
    word, year = match["month"].casefold(), _year(match)
    month = DAY_MONTHS.get(word, 0)
    french = word in MONTHS or _FRENCH.search(match.string, 0, match.start())
    if not month or not french:
        return None
    if year is not None:
        return Point(*_part(match, calendar, calendar.months(year, month)), match.end())
    again = Recurring(month)
    span = again.latest(calendar, calendar.today)
    if span is None:
        return None
    part = match.groupdict().get("part")
    if part:
        return Point(*_part(match, calendar, span), match.end(), Standing.AFTER_A_WORD)
    return Point(*span, match.end(), Standing.AFTER_A_WORD, again)


def _a_year(match: re.Match[str], calendar: Calendar) -> Point | None:
    span = calendar.years(int(match["year"]))
    if match.groupdict().get("part"):
        return Point(*_part(match, calendar, span), match.end())
    return Point(*span, match.end(), Standing.AFTER_A_WORD, is_year=True)


def _part(match: re.Match[str], calendar: Calendar, span: Span) -> Span:
    word = (match.groupdict().get("part") or "").casefold()
    return third_of(calendar, span, word) if word else span


def third_of(calendar: Calendar, span: Span, word: str) -> Span:
    """The first, middle or last third of a month, a year or a decade: early, mid, late."""
    first, after = (moment.astimezone(calendar.zone).date() for moment in span)
    if (after - first).days > 400:  # a decade: its years 0 to 3, 4 to 6, 7 to 9
        cuts = [date(first.year + years, 1, 1) for years in (0, 4, 7, 10)]
    elif (after - first).days > 31:
        cuts = [month_start(first.year, month) for month in (1, 5, 9, 13)]
    else:
        cuts = [first, first.replace(day=11), first.replace(day=21), after]
    third = 0 if word.split()[-1] == "early" or re.search("beginning|start", word) else 1
    third = 2 if re.search(r"late|end", word) else third
    return calendar.moment(cuts[third]), calendar.moment(cuts[third + 1])


def _a_season(match: re.Match[str], calendar: Calendar) -> Point | None:
    """The winter of a year begins in December of that year; south of the equator in June."""
    return Point(*season(calendar, match["season"], int(match["year"])), match.end())


def season(calendar: Calendar, name: str, year: int) -> Span:
    """The three months of a season, by the meteorologists' calendar, that begins in `year`."""
    month = SEASONS[name.casefold()]
    if calendar.southern:
        month = (month + 5) % 12 + 1
    return calendar.months(year, month, 3)


def _a_quarter(match: re.Match[str], calendar: Calendar) -> Point | None:
    groups = match.groupdict()
    number = int(groups["number"] or 0) or ORDINALS[groups["ordinal"].casefold()]
    kind = (groups["kind"] or groups["long"]).casefold()
    months = 3 if kind in ("q", "quarter") else 6
    if number * months > 12:
        return None
    year = int(match["year"])
    return Point(*calendar.months(year, 1 + months * (number - 1), months), match.end())


def _a_decade(match: re.Match[str], calendar: Calendar) -> Point | None:
    groups = match.groupdict()
    if groups.get("word"):
        first = DECADES[groups["word"].casefold()]
    else:
        number = int(groups["decade"])
        first = number if number > 99 else 1900 + number
    return Point(*_part(match, calendar, calendar.years(first, 10)), match.end())


def _iso(match: re.Match[str], calendar: Calendar) -> Point | None:
    year, month, day = int(match["year"]), int(match["number"]), match["day"]
    if not 1 <= month <= 12:
        return None
    if not day:
        if month == year % 100 + 1:  # 2011-12 is a season more often than a December
            return None
        return Point(*calendar.months(year, month), match.end())
    span = Recurring(month, int(day)).in_year(calendar, year) if int(day) else None
    return Point(*span, match.end()) if span else None


def _numbers(match: re.Match[str], calendar: Calendar) -> Point | None:
    """03/04/2024 by the locale, because both numbers could be the month; 03.04.2024 is the third of
    April.
    """
    first, second, mark = int(match["first"]), int(match["second"]), match["mark"]
    written = match["written"]
    year = int(written) if len(written) == 4 else full_year(int(written))
    if not 1800 <= year < 2100:
        return None
    month_first = calendar.month_first and mark != "."
    doubtful = _is_doubtful(first, second, mark)
    if not doubtful and mark != ".":
        month_first = second > 12
    month, day = (first, second) if month_first else (second, first)
    if not (1 <= month <= 12 and day):
        return None
    span = Recurring(month, day).in_year(calendar, year)
    if span is None:
        return None
    note = ""
    if doubtful:
        order = "month before day" if month_first else "day before month"
        whose = calendar.locale or "no locale was given"
        note = f"{match[0]}: read as {date(year, month, day)}, {order} ({whose})"
    return Point(*span, match.end(), note=note)


def _is_doubtful(first: int, second: int, mark: str) -> bool:
    return mark != "." and first != second and max(first, second) <= 12


def other_reading(words: str, calendar: Calendar) -> str:
    """The words of a date with its ambiguous numbers written in their other reading: "since
    03/04/2024" becomes "since 2024-03-04" where the locale puts the day first. "" where no number
    is ambiguous.
    """

    def other(match: re.Match[str]) -> str:
        first, second, written = int(match["first"]), int(match["second"]), match["written"]
        if not _is_doubtful(first, second, match["mark"]):
            return match[0]
        year = int(written) if len(written) == 4 else full_year(int(written))
        month, day = (second, first) if calendar.month_first else (first, second)
        return date(year, month, day).isoformat()

    said = _IN_NUMBERS.sub(other, words)
    return said if said != words else ""


_IN_NUMBERS = re.compile(
    r"(?<![\w/.-])(?P<first>[0-9]{1,2})(?P<mark>[/.-])(?P<second>[0-9]{1,2})(?P=mark)"
    r"(?P<written>[0-9]{4}|[0-9]{2})(?!\w)"
)
_DAY_TEXT = rf"(?:the\s+)?{DAY}(?:st|nd|rd|th|er|\.)?"
PATTERNS: tuple[tuple[str, Reader], ...] = (
    (
        r"(?P<year>(?:1[89]|20)[0-9]{2})[-/](?P<number>[0-9]{1,2})[-/](?P<day>[0-9]{1,2})(?!\w)",
        _iso,
    ),
    (r"(?P<year>(?:1[89]|20)[0-9]{2})-(?P<number>[0-9]{2})(?P<day>)?(?![\w-])", _iso),
    (
        (
            r"(?P<first>[0-9]{1,2})(?P<mark>[/.-])(?P<second>[0-9]{1,2})(?P=mark)"
            r"(?P<written>[0-9]{4}|[0-9]{2})(?!\w)"
        ),
        _numbers,
    ),
    (
        (
            rf"{_NAMED_DAY}{_DAY_TEXT}{_TO}(?:the\s+)?(?P<last>[0-9]{{1,2}})(?![0-9])(?:st|nd|rd|th|\.)?"
            rf"\s+(?:(?:of|de)\s+)?{DAY_MONTH}{_WITH_YEAR}"
        ),
        _some_days,
    ),
    (
        (
            rf"{MONTH}\s+{DAY}(?:st|nd|rd|th)?{_TO}(?P<last>[0-9]{{1,2}})(?!\w)(?:st|nd|rd|th)?{COUNTED}"
            rf"{_WITH_YEAR}"
        ),
        _some_days,
    ),
    (rf"{_NAMED_DAY}{_DAY_TEXT}\s+(?:(?:of|de)\s+)?{DAY_MONTH}{_WITH_YEAR}", _a_day),
    (rf"{_NAMED_DAY}{MONTH}\s+(?:the\s+)?{DAY}(?:st|nd|rd|th)?(?!\w){COUNTED}{_WITH_YEAR}", _a_day),
    (
        rf"(?:{PART})?{DAY_MONTH},?\s+(?:(?:of|del?)\s+)?(?:{YEAR}|['’](?P<short>[0-9]{{2}})(?!\w))",
        _a_month,
    ),
    (rf"(?:the\s+)?{SEASON}\s+(?:(?:of|del?)\s+)?{YEAR}", _a_season),
    (
        (
            r"(?:the\s+)?(?:(?P<kind>q|h)(?P<number>[1-4])|(?P<ordinal>first|second|third|fourth|1st|2nd|"
            rf"3rd|4th)\s+(?P<long>quarter|half))\s+(?:of\s+)?{YEAR}"
        ),
        _a_quarter,
    ),
    (rf"(?:the\s+)?{PART}(?P<decade>(?:1[89]|20)[0-9]0)['’]?s(?!\w)", _a_decade),
    (r"(?:the\s+)?(?P<decade>(?:1[89]|20)[0-9]0)['’]?s(?!\w)", _a_decade),
    (rf"(?:the\s+)?(?:{PART})?['’]?(?P<decade>[5-9]0)['’]?s(?!\w)", _a_decade),
    (rf"the\s+(?:{PART})?['’]?(?P<decade>[34]0)['’]?s(?!\w)", _a_decade),
    (rf"the\s+(?:{PART})?(?P<word>{any_of(DECADES)})(?!\w)", _a_decade),
    (rf"{PART}{YEAR}", _a_year),
    (rf"(?:{PART})?{DAY_MONTH}(?!\s+[0-9])", _a_month),
    (rf"{YEAR}{COUNTED}", _a_year),
)
