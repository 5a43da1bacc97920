"""Dates relative to now: yesterday, last week, 3 days ago, the past month, friday."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from search.understanding.dates.absolute import MONTH, SEASON, Reader, season, third_of
from search.understanding.dates.calendar import Calendar, Span, months_before
from search.understanding.dates.point import Point, Recurring, Standing
from search.understanding.dates.words import (
    MONTHS,
    NUMBERS,
    PARTS_OF_DAY,
    SHORT_WEEKDAYS,
    WEEKDAYS,
    any_of,
)

_NUMBER = rf"(?P<number>[0-9]{{1,4}}|{any_of(NUMBERS)})"
_UNIT = r"(?P<unit>minute|hour|day|week|fortnight|month|quarter|year|decade|weekend)"
_WEEKDAY = rf"(?P<weekday>{any_of(WEEKDAYS)})(?!\w)"
_ANY_WEEKDAY = rf"(?P<weekday>{any_of(WEEKDAYS)}|{any_of(SHORT_WEEKDAYS)})(?!\w)"
_PART = rf"(?P<part>{any_of(PARTS_OF_DAY)})"
_S = r"(?!\w)(?:['’]s(?!\w))?"  # "last week's"

_AFTER_CAPITAL = re.compile(r"\b[A-Z]\w*\s+$")


def unit_back(calendar: Calendar, unit: str, back: int) -> Span:
    """The whole unit of the calendar that lies `back` units back; 0 is the current one."""
    today = calendar.today
    match unit:
        case "day":
            return calendar.days(today - timedelta(days=back))
        case "week":
            return calendar.days(calendar.week_start(back), 7)
        case "fortnight":
            return calendar.days(calendar.week_start(2 * back), 14)
        case "weekend":
            return _weekend(calendar, back)
        case "month":
            return calendar.months(today.year, today.month - back)
        case "quarter":
            return calendar.months(today.year, (today.month - 1) // 3 * 3 + 1 - 3 * back, 3)
        case "year":
            return calendar.years(today.year - back)
        case _:
            return calendar.years(today.year // 10 * 10 - 10 * back, 10)


def _weekend(calendar: Calendar, back: int) -> Span:
    """Saturday and Sunday of this week (from Monday on), or of an earlier one."""
    monday = calendar.today - timedelta(days=calendar.today.weekday())
    return calendar.days(monday + timedelta(days=5 - 7 * back), 2)


def rolling(calendar: Calendar, unit: str, count: int) -> Point | None:
    """The last `count` units up to now: hours to the minute, days and more from a day's
    start on.
    """
    if unit in ("minute", "hour"):
        step = timedelta(minutes=count) if unit == "minute" else timedelta(hours=count)
        return Point(calendar.now - step, None, 0)
    days = {"day": 1, "week": 7, "fortnight": 14, "weekend": 7}.get(unit)
    if days:
        first = calendar.today - timedelta(days=days * count)
    else:
        months = {"month": 1, "quarter": 3, "year": 12, "decade": 120}[unit]
        first = months_before(calendar.today, months * count)
    return Point(calendar.moment(first), None, 0)


def _number(text: str) -> int:
    word = " ".join(text.casefold().split())
    return int(word) if word.isdecimal() else NUMBERS[word]


def _ended(point: Point | None, match: re.Match[str]) -> Point | None:
    return Point(point.since, point.until, match.end()) if point else None


def _past(match: re.Match[str], calendar: Calendar) -> Point | None:
    """The last three days, the past week, the last year: up to now."""
    count = _number(match["number"]) if match.groupdict().get("number") else 1
    if not match.groupdict().get("number") and match["unit"].casefold() == "minute":
        return None  # at the last minute
    return _ended(rolling(calendar, match["unit"].casefold(), count), match)


def _whole(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Last week, this month, next year: the whole unit of the calendar."""
    back = {"last": 1, "previous": 1, "this": 0, "next": -1}[match["which"].casefold()]
    unit = match["unit"].casefold()
    if unit == "hour" and back == 1:
        return _ended(rolling(calendar, unit, 1), match)
    if unit in ("minute", "hour", "day"):  # at the last minute, these days
        return None
    return Point(*unit_back(calendar, unit, back), match.end())


def _the_weekend(match: re.Match[str], calendar: Calendar) -> Point | None:
    """At the weekend: the last one that has begun."""
    back = 0 if calendar.today.weekday() >= 5 else 1
    return Point(*_weekend(calendar, back), match.end(), Standing.AFTER_A_WORD)


def _before_last(match: re.Match[str], calendar: Calendar) -> Point | None:
    return Point(*unit_back(calendar, match["unit"].casefold(), 2), match.end())


def _ago(match: re.Match[str], calendar: Calendar) -> Point | None:
    """3 days ago is that day, 3 weeks ago that week of the calendar, 3 hours ago that hour."""
    unit, count = match["unit"].casefold(), _number(match["number"])
    if unit in ("minute", "hour"):
        step = timedelta(minutes=count) if unit == "minute" else timedelta(hours=count)
        since = calendar.now - step
        return Point(since, since + step / count if count else calendar.now, match.end())
    return Point(*unit_back(calendar, unit, count), match.end())


def _day_word(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Today, yesterday, yesterday evening, last night, this morning, tomorrow; None in "Russia
    Today", which is a name.
    """
    if match["word"][0].isupper() and _AFTER_CAPITAL.search(match.string, 0, match.start()):
        return None
    word = " ".join(match["word"].casefold().split())
    back = {"today": 0, "this": 0, "tonight": 0, "tomorrow": -1, "the day before yesterday": 2}
    day = calendar.today - timedelta(days=back.get(word, 1))
    part = match.groupdict().get("part") or ("evening" if word == "tonight" else "")
    if not part:
        return Point(*calendar.days(day), match.end())
    since, until = PARTS_OF_DAY[part.casefold()]
    return Point(calendar.moment(day, since), calendar.moment(day, until), match.end())


def _weekday(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Friday: the last one, today included."""
    again = Recurring(weekday=_weekday_number(match["weekday"]))
    span = again.latest(calendar, calendar.today)
    word = match["weekday"].casefold()
    standing = Standing.AT_AN_END if word in WEEKDAYS else Standing.AFTER_A_WORD
    return Point(*span, match.end(), standing, again) if span else None


def _weekday_number(word: str) -> int:
    name = word.casefold()
    return WEEKDAYS[name] if name in WEEKDAYS else SHORT_WEEKDAYS[name]


def _which_weekday(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Last friday lies before today, this friday in this week, next friday after today."""
    which, number = match["which"].casefold(), WEEKDAYS[match["weekday"].casefold()]
    today = calendar.today
    if which in ("last", "previous", "past"):
        span = Recurring(weekday=number).latest(calendar, today - timedelta(days=1))
        return Point(*span, match.end()) if span else None
    ahead = (number - today.weekday() - 1) % 7 + 1
    day = today + timedelta(days=ahead)
    if which == "this":
        day = today + timedelta(days=number - today.weekday())
    return Point(*calendar.days(day), match.end())


def _weekday_of_week(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Tuesday last week."""
    back = 0 if match["which"].casefold() == "this" else 1
    first = calendar.week_start(back)
    ahead = (WEEKDAYS[match["weekday"].casefold()] - first.weekday()) % 7
    return Point(*calendar.days(first + timedelta(days=ahead)), match.end())


def _which_month(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Last march has ended; this march is this year's."""
    month = MONTHS[match["month"].casefold()]
    span = _which(match["which"], calendar, lambda year: calendar.months(year, month))
    return Point(*span, match.end())


def _which_season(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Last summer has ended; this winter is the current one, or this year's."""
    name = match["season"]
    span = _which(match["which"], calendar, lambda year: season(calendar, name, year))
    return Point(*span, match.end())


def _which(which: str, calendar: Calendar, span_of: Callable[[int], Span]) -> Span:
    year, begun = calendar.today.year, calendar.moment(calendar.today)
    spans = [span_of(each) for each in range(year - 2, year + 3)]
    match which.casefold():
        case "last":
            return [span for span in spans if span[1] <= begun][-1]
        case "next":
            return next(span for span in spans if span[0] > calendar.now)
        case _:
            running = [span for span in spans if span[0] <= calendar.now < span[1]]
            return running[0] if running else span_of(year)


def _of_year(match: re.Match[str], calendar: Calendar) -> Point | None:
    """March last year, summer of this year."""
    year = calendar.today.year - (0 if match["which"].casefold() == "this" else 1)
    groups = match.groupdict()
    if groups.get("season"):
        return Point(*season(calendar, groups["season"], year), match.end())
    return Point(*calendar.months(year, MONTHS[groups["month"].casefold()]), match.end())


def _part_of_unit(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Early last year, late this month."""
    back = 0 if match["which"].casefold() == "this" else 1
    span = unit_back(calendar, match["unit"].casefold(), back)
    return Point(*third_of(calendar, span, match["part"].casefold()), match.end())


PATTERNS: tuple[tuple[str, Reader], ...] = (
    (rf"(?P<word>the\s+day\s+before\s+yesterday){_S}", _day_word),
    (rf"(?P<word>yesterday|last|this|tomorrow)\s+{_PART}{_S}", _day_word),
    (rf"(?P<word>today|yesterday|tonight|tomorrow){_S}", _day_word),
    (rf"{_NUMBER}\s+{_UNIT}s?\s+ago(?!\w)", _ago),
    (rf"(?:the\s+)?(?:last|past|previous)\s+{_NUMBER}\s+{_UNIT}s?{_S}", _past),
    (rf"(?:the\s+)?past\s+{_UNIT}{_S}", _past),
    (rf"the\s+last\s+{_UNIT}(?<!weekend)(?<!quarter){_S}", _past),
    (rf"(?:the\s+)?{_UNIT}\s+before\s+last(?!\w)", _before_last),
    (rf"(?:the\s+)?(?P<which>last|previous|this|next)\s+{_UNIT}{_S}", _whole),
    (rf"{_WEEKDAY},?\s+(?:of\s+)?(?P<which>last|this)\s+week{_S}", _weekday_of_week),
    (rf"(?P<which>last|past|this|next)\s+{_WEEKDAY}{_S}", _which_weekday),
    (
        rf"(?P<part>early|mid|late)[\s-]+(?P<which>last|this)\s+(?P<unit>month|year|decade){_S}",
        _part_of_unit,
    ),
    (rf"{MONTH},?\s+(?:of\s+)?(?P<which>last|this)\s+year{_S}", _of_year),
    (rf"(?:the\s+)?{SEASON},?\s+(?:of\s+)?(?P<which>last|this)\s+year{_S}", _of_year),
    (rf"(?P<which>last|this|next)\s+{MONTH}(?!\s+[0-9])", _which_month),
    (rf"(?P<which>last|this|next)\s+{SEASON}", _which_season),
    (r"(?:the\s+)?weekend(?!\w)", _the_weekend),
    (_ANY_WEEKDAY, _weekday),
)
