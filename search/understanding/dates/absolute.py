"""Dates of the calendar: 5 march 2024, 05.03.2024, march 2024, spring 2024, Q1 2024, the 1990s."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from functools import partial

from core.languages import DateWords
from search.understanding.dates.calendar import Calendar, Span, month_start
from search.understanding.dates.point import Point, Recurring, Standing
from search.understanding.dates.words import (
    ARTICLES,
    COUNTED_WORDS,
    DAY_MONTHS,
    DECADES,
    DOUBTFUL_MONTHS,
    FIRST_DAYS,
    MONTHS,
    OF,
    ORDINALS,
    PAST_AFTER,
    PAST_BEFORE,
    QUARTERS,
    SEASONS,
    SHORT_WEEKDAYS,
    TABLES,
    WEEKDAYS,
    YEARS,
    WordTables,
    every,
)
from search.understanding.templates import ENDED, any_of, any_template, pattern


def _around(words: DateWords) -> tuple[str, ...]:
    """Return the templates of words before a month."""
    return (
        *words.since,
        *words.after,
        *words.before,
        *words.between,
        *words.start,
        *words.within,
        *words.within_months,
    )


Reader = Callable[[re.Match[str], Calendar], Point | None]

MONTH = rf"(?P<month>{any_of(MONTHS)})(?!\w)\.?"
DAY_MONTH = rf"(?P<month>{any_of(DAY_MONTHS)})(?!\w)\.?"
YEAR = r"(?P<year>(?:1[89]|20)[0-9]{2})(?![\w%]|[.,:/][0-9])"
DAY = rf"(?P<day>[0-9]{{1,2}}(?![0-9])|(?:{any_of(FIRST_DAYS)})(?!\w))"
SEASON = rf"(?P<season>{any_of(SEASONS)})(?!\w)"
THIRDS = ("early", "mid", "late")
_AFTER = r"(?:(?<=['’])|[\s-]+)"


def part_pattern(*tables: WordTables) -> str:
    """Return the pattern of the words for thirds in some languages, with a blank after them."""
    thirds = (
        rf"(?P<{name}>{any_template(way for one in tables for way in one.words.thirds[n])})"
        for n, name in enumerate(THIRDS)
    )
    return rf"(?P<part>{'|'.join(thirds)}){_AFTER}"


PART = part_pattern(*TABLES.values())
_ARTICLE = rf"(?:(?:{any_of(ARTICLES)}){ENDED}\s*)"
_OF = rf"(?:(?:{any_of(OF)})\s+)"
_OF_YEAR = rf"(?:(?:{any_template(every('year'))}){ENDED}\s*)"
_DAY_NAMES = any_of([*WEEKDAYS, *SHORT_WEEKDAYS])
_NAMED_DAY = rf"(?:(?:{_DAY_NAMES})(?!\w)\.?,?\s+{_ARTICLE}?)?"
_WITH_YEAR = rf"(?:,?\s+{_OF_YEAR}?{YEAR}|\s+['’](?P<short>[0-9]{{2}})(?!\w))?"
_PAST_BEFORE = rf"(?:(?:{any_of(PAST_BEFORE)})\s+)?"
_PAST_AFTER = rf"(?:\s+(?:{any_of(PAST_AFTER)})(?!\w))?"
_TO = rf"\s*(?:-|–|—|(?:{any_template((*every('to'), 'and', 'y', 'et', 'und'))})(?!\w))\s*"
# A number before one of these words is a count, not a date.
COUNTED = rf"(?!\s+(?:{any_of(COUNTED_WORDS)}|per\s?cent)(?!\w)|\s*[%°$€£])"
_OF_LANGUAGE = {
    code: re.compile(
        rf"(?:(?<!\w)(?:{any_template(_around(one.words))}){ENDED}\s*)$", re.IGNORECASE
    )
    for code, one in TABLES.items()
}


def _year(match: re.Match[str]) -> int | None:
    """Return the year that was written; a short '24 is of this century up to '68."""
    groups = match.groupdict()
    if groups.get("year"):
        return int(groups["year"])
    if groups.get("short"):
        return full_year(int(groups["short"]))
    return None


def full_year(short: int) -> int:
    """Return the year of two digits, as POSIX reads them: 69 to 99 are of the last century."""
    return short + (1900 if short >= 69 else 2000)


def _a_day(match: re.Match[str], calendar: Calendar) -> Point | None:
    month, day = DAY_MONTHS.get(match["month"].casefold(), 0), _day(match)
    again = Recurring(month, day)
    year = _year(match)
    if not month or not day:
        return None
    if year is None:
        span = again.latest(calendar, calendar.today)
        return Point(*span, match.end(), again=again) if span else _no_such_day(match)
    span = again.in_year(calendar, year)
    return Point(*span, match.end()) if span else _no_such_day(match)


def _day(match: re.Match[str]) -> int:
    return FIRST_DAYS.get(match["day"].casefold()) or int(match["day"])


def _no_such_day(match: re.Match[str]) -> Point | None:
    """Return a point that is not a date, so that 29 february 2023 is not read as a month with a
    number before it.
    """
    day = _day(match)
    return Point(None, None, match.end()) if 28 < day < 32 else None


def _some_days(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Read March 5-7, 5 to 7 march 2024."""
    first, last = _day(match), int(match["last"])
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
    if not month or (word in DOUBTFUL_MONTHS and not _is_month(match, word, calendar)):
        return None
    if year is not None:
        return Point(*_part(match, calendar, calendar.months(year, month)), match.end())
    again = Recurring(month)
    span = again.latest(calendar, calendar.today)
    if span is None:
        return None
    part = match.groupdict().get("part")
    if part:
        return Point(*_part(match, calendar, span), match.end(), _standing_of_a_part(match))
    return Point(*span, match.end(), Standing.AFTER_A_WORD, again)


def _is_month(match: re.Match[str], word: str, calendar: Calendar) -> bool:
    """Return whether a doubtful word is a month: in a query of its language, or after its words."""
    code = DOUBTFUL_MONTHS[word]
    if match.groupdict().get("part") or calendar.language == code:
        return True
    return _OF_LANGUAGE[code].search(match.string, 0, match.start()) is not None


def _standing_of_a_part(match: re.Match[str]) -> Standing:
    """Read a third of a month. English "early march" may be a march; other languages' words for a
    part are of dates only.
    """
    english = re.fullmatch(r"early|mid|late", match["part"], re.IGNORECASE)
    return Standing.AFTER_A_WORD if english else Standing.ALONE


def _a_year(match: re.Match[str], calendar: Calendar) -> Point | None:
    span = calendar.years(int(match["year"]))
    if match.groupdict().get("part"):
        return Point(*_part(match, calendar, span), match.end())
    return Point(*span, match.end(), Standing.AFTER_A_WORD, is_year=True)


def _part(match: re.Match[str], calendar: Calendar, span: Span) -> Span:
    third = part_of(match)
    return span if third is None else third_of(calendar, span, third)


def part_of(match: re.Match[str]) -> int | None:
    """Return which third the match names: 0 for early, 1 for mid, 2 for late; None if it names
    none.
    """
    groups = match.groupdict()
    return next((n for n, name in enumerate(THIRDS) if groups.get(name)), None)


def third_of(calendar: Calendar, span: Span, third: int) -> Span:
    """Return the first, middle or last third of a week, a month, a year or a decade."""
    first, after = (moment.astimezone(calendar.zone).date() for moment in span)
    if (after - first).days > 400:  # a decade: its years 0 to 3, 4 to 6, 7 to 9
        cuts = [date(first.year + years, 1, 1) for years in (0, 4, 7, 10)]
    elif (after - first).days > 31:
        cuts = [month_start(first.year, month) for month in (1, 5, 9, 13)]
    elif (after - first).days > 7:
        cuts = [first, first.replace(day=11), first.replace(day=21), after]
    else:
        cuts = [first + timedelta(days=days) for days in (0, 2, 4, 7)]
    return calendar.moment(cuts[third]), calendar.moment(cuts[third + 1])


def _a_season(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Read a season with its year: a winter begins in December of that year, south of the equator
    in June.
    """
    return Point(*season(calendar, match["season"], int(match["year"])), match.end())


def season(calendar: Calendar, name: str, year: int) -> Span:
    """Return the three months of a season, by the meteorologists' calendar, that begins in
    `year`.
    """
    month = SEASONS[name.casefold()]
    if calendar.southern:
        month = (month + 5) % 12 + 1
    return calendar.months(year, month, 3)


def _a_quarter(match: re.Match[str], calendar: Calendar) -> Point | None:
    groups = match.groupdict()
    written = groups["number"] or groups["n"]  # Q1, or 1T in Spanish
    number = int(written or 0) or ORDINALS[groups["ordinal"].casefold()]
    kind = (groups["kind"] or groups["k"] or groups["long"]).casefold()
    months = QUARTERS.get(kind) or (3 if kind in "qt" else 6)
    if number * months > 12:
        return None
    year = int(match["year"])
    return Point(*calendar.months(year, 1 + months * (number - 1), months), match.end())


def _a_decade(
    match: re.Match[str], calendar: Calendar, decades: Mapping[str, int] | None = None
) -> Point | None:
    groups = match.groupdict()
    if groups.get("word"):
        first = (decades or DECADES)[groups["word"].casefold()]
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
    """Read 03/04/2024 by the locale, because both numbers could be the month; 03.04.2024 is the
    third of April.
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
    """Return the words of a date with its ambiguous numbers written in their other reading: "since
    03/04/2024" becomes "since 2024-03-04" where the locale puts the day first. "" if no number is
    ambiguous.
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
_DAY_TEXT = rf"{_ARTICLE}?{_PAST_BEFORE}{DAY}(?:st|nd|rd|th|er|º|\.º|\.)?"
_DECADE = r"(?P<decade>(?:1[89]|20)[0-9]0|[3-9]0)"


def _decades() -> Iterator[tuple[str, Reader]]:
    """Yield the patterns of decades in the languages that write them in their own way."""
    for code, one in TABLES.items():
        groups = {"decade": _DECADE, "decade_word": rf"(?P<word>{any_of(one.decades)})"}
        reader = partial(_a_decade, decades=one.decades)
        if code != "en":
            yield from ((rf"{pattern(own, groups)}(?!\w)", reader) for own in one.words.decade)


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
            rf"{_NAMED_DAY}{_DAY_TEXT}{_TO}{_ARTICLE}?(?P<last>[0-9]{{1,2}})(?![0-9])(?:st|nd|rd|th|\.)?"
            rf"\s+{_OF}?{DAY_MONTH}{_WITH_YEAR}"
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
    (rf"{_NAMED_DAY}{_DAY_TEXT}\s+{_OF}?{DAY_MONTH}(?:{_PAST_AFTER}){_WITH_YEAR}", _a_day),
    (rf"{_NAMED_DAY}{MONTH}\s+(?:the\s+)?{DAY}(?:st|nd|rd|th)?(?!\w){COUNTED}{_WITH_YEAR}", _a_day),
    (
        rf"(?:{PART})?{DAY_MONTH},?\s+{_OF_YEAR}?(?:{YEAR}|['’](?P<short>[0-9]{{2}})(?!\w))",
        _a_month,
    ),
    (rf"{_ARTICLE}?{SEASON}\s+{_OF_YEAR}?{YEAR}", _a_season),
    (
        (
            rf"{_ARTICLE}?(?:(?P<kind>[qhts])(?P<number>[1-4])|(?P<n>[1-4])(?P<k>[ts])|(?P<ordinal>{any_of(ORDINALS)})\s+"
            rf"(?P<long>{any_of(QUARTERS)}))\s+{_OF_YEAR}?{YEAR}"
        ),
        _a_quarter,
    ),
    (rf"(?:the\s+)?{PART}(?P<decade>(?:1[89]|20)[0-9]0)['’]?s(?!\w)", _a_decade),
    (r"(?:the\s+)?(?P<decade>(?:1[89]|20)[0-9]0)['’]?s(?!\w)", _a_decade),
    (rf"(?:the\s+)?(?:{PART})?['’]?(?P<decade>[5-9]0)['’]?s(?!\w)", _a_decade),
    (rf"the\s+(?:{PART})?['’]?(?P<decade>[34]0)['’]?s(?!\w)", _a_decade),
    (rf"the\s+(?:{PART})?(?P<word>{any_of(DECADES)})(?!\w)", _a_decade),
    *_decades(),
    (rf"{PART}{YEAR}", _a_year),
    (rf"(?:{PART})?{DAY_MONTH}(?!\s+[0-9])", _a_month),
    (rf"(?:(?:{any_of(YEARS)})\s+)?{YEAR}{COUNTED}", _a_year),
)
