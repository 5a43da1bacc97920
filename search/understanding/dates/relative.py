"""Dates relative to now: yesterday, la semana pasada, il y a trois jours, letzten Freitag.

Each language declares how it writes them (`core.languages`); a reader here serves all languages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from core.languages import LANGUAGES
from search.understanding.dates.absolute import Reader, part_of, part_pattern, season, third_of
from search.understanding.dates.calendar import Calendar, Span, months_before
from search.understanding.dates.point import Point, Recurring, Standing
from search.understanding.dates.words import PARTS_OF_DAY, TABLES, WEEKDAYS, WordTables
from search.understanding.templates import any_of, any_template, pattern, spelt

_S = r"(?!\w)(?:['’]s(?!\w))?"  # "last week's"
_NO_DAY = r"(?!\s+[0-9])"  # "last march 5" is a day
_AFTER_CAPITAL = re.compile(r"\b[A-Z]\w*\s+$")
_WORD = re.compile(r"[^\W\d_]+")
_CLOCK = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}


def unit_back(calendar: Calendar, unit: str, back: int) -> Span:
    """Return the whole unit of the calendar that lies `back` units back; 0 is the current one."""
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
    """Read Saturday and Sunday of this week (from Monday on), or of an earlier one."""
    monday = calendar.today - timedelta(days=calendar.today.weekday())
    return calendar.days(monday + timedelta(days=5 - 7 * back), 2)


def rolling(calendar: Calendar, unit: str, count: int) -> Point | None:
    """Return the last `count` units up to now: hours to the minute, longer units from the start of
    a day.
    """
    if unit in _CLOCK:
        return Point(calendar.now - count * _CLOCK[unit], None, 0)
    days = {"day": 1, "week": 7, "fortnight": 14, "weekend": 7}.get(unit)
    if days:
        first = calendar.today - timedelta(days=days * count)
    else:
        months = {"month": 1, "quarter": 3, "year": 12, "decade": 120}[unit]
        first = months_before(calendar.today, months * count)
    return Point(calendar.moment(first), None, 0)


def _ended(point: Point | None, match: re.Match[str]) -> Point | None:
    return Point(point.since, point.until, match.end()) if point else None


@dataclass(frozen=True, slots=True)
class _Readers:
    """Reads matches of one language's templates."""

    own: WordTables

    def ago(self, match: re.Match[str], calendar: Calendar) -> Point | None:
        """Read 3 days ago, 3 weeks ago, 3 hours ago: the whole day, week of the calendar, or hour
        that lies so far back.
        """
        unit, count = self._unit(match), self._number(match)
        if unit in _CLOCK:
            since = calendar.now - count * _CLOCK[unit]
            return Point(since, since + _CLOCK[unit] if count else calendar.now, match.end())
        return Point(*unit_back(calendar, unit, count), match.end())

    def past(self, match: re.Match[str], calendar: Calendar) -> Point | None:
        """Return the last three days, los últimos tres días: up to now."""
        return _ended(rolling(calendar, self._unit(match), self._number(match)), match)

    def past_one(self, match: re.Match[str], calendar: Calendar) -> Point | None:
        """Return the past week, la última semana: up to now. None for "at the last minute"."""
        unit = self._unit(match)
        if unit == "minute":
            return None
        if unit in ("weekend", "quarter"):
            return Point(*unit_back(calendar, unit, 1), match.end())
        return _ended(rolling(calendar, unit, 1), match)

    def whole(self, match: re.Match[str], calendar: Calendar, *, back: int) -> Point | None:
        """Read last week, esta semana, nächstes Jahr: the whole unit of the calendar."""
        unit = self._unit(match)
        if unit == "hour" and back == 1:
            return _ended(rolling(calendar, unit, 1), match)
        if unit in ("minute", "hour", "day"):  # at the last minute, these days
            return None
        return Point(*unit_back(calendar, unit, back), match.end())

    def so_far(self, match: re.Match[str], calendar: Calendar) -> Point | None:
        """Read en lo que va de año: from its beginning up to now."""
        return Point(unit_back(calendar, self._unit(match), 0)[0], None, match.end())

    def third(self, match: re.Match[str], calendar: Calendar, *, back: int) -> Point | None:
        """Read early last year, a finales de año, Anfang des Monats."""
        unit, part = self._unit(match), part_of(match)
        if unit not in ("week", "month", "year", "decade") or part is None:
            return None
        return Point(*third_of(calendar, unit_back(calendar, unit, back), part), match.end())

    def moment(
        self, match: re.Match[str], calendar: Calendar, *, back: int, part: str
    ) -> Point | None:
        """Read last night, anoche, ce matin."""
        day = calendar.today - timedelta(days=back)
        if not part:
            return Point(*calendar.days(day), match.end())
        since, until = (calendar.moment(day, hour) for hour in PARTS_OF_DAY[part])
        return Point(since, until, match.end())

    def day(self, match: re.Match[str], calendar: Calendar) -> Point | None:
        """Read today, ayer, hier soir, gestern Abend. None in "Russia Today", which is a name, and
        for "hier" in a German query, where it means here.
        """
        word = match["word"]
        if word[0].isupper() and _AFTER_CAPITAL.search(match.string, 0, match.start()):
            return None
        if _means_here(word, match, calendar):
            return None
        key = " ".join(word.casefold().replace("’", "'").split())
        back = self.own.days[key]
        return self.moment(match, calendar, back=back, part=_part_of_day(match))

    def weekday(
        self, match: re.Match[str], calendar: Calendar, *, before: int, standing: Standing
    ) -> Point | None:
        """Read Friday, el lunes: the last one, `before` days before today or earlier."""
        word = match["weekday"].casefold()
        short = word not in self.own.weekdays
        again = Recurring(weekday=self.own.short_weekdays[word] if short else WEEKDAYS[word])
        span = again.latest(calendar, calendar.today - timedelta(days=before))
        needs = Standing.AFTER_A_WORD if short else standing
        return Point(*span, match.end(), needs, again if before == 0 else None) if span else None

    def evening(self, match: re.Match[str], calendar: Calendar, *, before: int) -> Point | None:
        """Read El lunes por la noche, lundi soir, Montagabend: the last one that has begun."""
        hours, today = PARTS_OF_DAY[_part_of_day(match)], calendar.today
        back = (today.weekday() - self.own.weekdays[match["weekday"].casefold()]) % 7
        day = today - timedelta(days=back or (7 if before else 0))
        if calendar.moment(day, hours[0]) > calendar.now:
            day -= timedelta(days=7)
        since, until = (calendar.moment(day, hour) for hour in hours)
        return Point(since, until, match.end())

    def night_before(self, match: re.Match[str], calendar: Calendar) -> Point | None:
        """Read in der Nacht zum Sonntag, dans la nuit de samedi à dimanche: the last one."""
        number, today = self.own.weekdays[match["weekday"].casefold()], calendar.today
        day = today - timedelta(days=(today.weekday() - number) % 7 + 1)
        since, until = (calendar.moment(day, hour) for hour in PARTS_OF_DAY["night"])
        return Point(since, until, match.end())

    def coming_weekday(
        self, match: re.Match[str], calendar: Calendar, *, this_week: bool
    ) -> Point | None:
        """Return the friday of this week, or next friday, which lies after today."""
        number, today = self.own.weekdays[match["weekday"].casefold()], calendar.today
        ahead = (number - today.weekday() - 1) % 7 + 1
        day = today + timedelta(days=number - today.weekday() if this_week else ahead)
        return Point(*calendar.days(day), match.end())

    def weekday_of_week(
        self, match: re.Match[str], calendar: Calendar, *, back: int
    ) -> Point | None:
        """Read Tuesday last week, el martes de esta semana."""
        first = calendar.week_start(back)
        ahead = (self.own.weekdays[match["weekday"].casefold()] - first.weekday()) % 7
        return Point(*calendar.days(first + timedelta(days=ahead)), match.end())

    def named(self, match: re.Match[str], calendar: Calendar, *, which: str) -> Point | None:
        """Read last march, this summer: last march has ended, this summer is the current one, or
        this year's.
        """
        span = _which(which, calendar, lambda year: self._in_year(match, calendar, year))
        return Point(*span, match.end())

    def named_of_year(self, match: re.Match[str], calendar: Calendar, *, back: int) -> Point | None:
        """Read March last year, el verano de este año."""
        return Point(*self._in_year(match, calendar, calendar.today.year - back), match.end())

    def weekend(self, match: re.Match[str], calendar: Calendar) -> Point | None:
        """Read at the weekend: the last one that has begun."""
        back = 0 if calendar.today.weekday() >= 5 else 1
        standing = Standing.AFTER_A_WORD if self.own.code == "en" else Standing.ALONE
        return Point(*_weekend(calendar, back), match.end(), standing)

    def _in_year(self, match: re.Match[str], calendar: Calendar, year: int) -> Span:
        name = match["named"].casefold()
        if name in self.own.seasons:
            return season(calendar, name, year)
        return calendar.months(year, self.own.months[name])

    def _unit(self, match: re.Match[str]) -> str:
        word = match.groupdict().get("unit") or match["units"]
        key = " ".join(word.casefold().split())
        return self.own.units.get(key) or self.own.plurals[key]

    def _number(self, match: re.Match[str]) -> int:
        word = " ".join(match["number"].casefold().replace("’", "'").split())
        return int(word) if word.isdecimal() else self.own.numbers[word]


def _which(which: str, calendar: Calendar, span_of: Callable[[int], Span]) -> Span:
    year, begun = calendar.today.year, calendar.moment(calendar.today)
    spans = [span_of(each) for each in range(year - 2, year + 3)]
    match which:
        case "last":
            return [span for span in spans if span[1] <= begun][-1]
        case "next":
            return next(span for span in spans if span[0] > calendar.now)
        case _:
            running = [span for span in spans if span[0] <= calendar.now < span[1]]
            return running[0] if running else span_of(year)


def _means_here(word: str, match: re.Match[str], calendar: Calendar) -> bool:
    """Return whether a French day word is a German word here: "hier"."""
    if word.casefold() != "hier":
        return False
    if calendar.language == "de":
        return True
    german, french = (LANGUAGES[code].stop_words or frozenset() for code in ("de", "fr"))
    rest = match.string[: match.start()] + match.string[match.end() :]
    return any(each in german and each not in french for each in _WORD.findall(rest.casefold()))


def _part_of_day(match: re.Match[str]) -> str:
    """Return the name of the part of a day in the match, "" without one."""
    groups = match.groupdict()
    return next((name for name in PARTS_OF_DAY if groups.get(_group(name))), "")


def _parts_pattern(own: WordTables) -> str:
    return "|".join(
        rf"(?P<{_group(name)}>{any_template(ways)})" for name, ways in own.words.day_parts.items()
    )


def _group(part: str) -> str:
    return part.replace(" ", "_")


def _templates(own: WordTables) -> Iterator[tuple[tuple[str, ...], str, Reader]]:
    """Yield the templates of a language in the order in which they are tried, each with what must
    follow and its reader.
    """
    read, words = _Readers(own), own.words
    yield words.ago, _S, read.ago
    yield words.past, _S, read.past
    yield words.past_one, _S, read.past_one
    yield words.so_far, _S, read.so_far
    yield words.before_last, _S, partial(read.whole, back=2)
    for back, which in ((1, words.last), (0, words.this), (-1, words.next)):
        yield which, _S, partial(read.whole, back=back)
    yield words.weekday_of_last_week, _S, partial(read.weekday_of_week, back=1)
    yield words.weekday_of_this_week, _S, partial(read.weekday_of_week, back=0)
    alone = Standing.ALONE
    yield words.last_weekday, _S, partial(read.weekday, before=1, standing=alone)
    yield words.this_weekday, _S, partial(read.coming_weekday, this_week=True)
    yield words.next_weekday, _S, partial(read.coming_weekday, this_week=False)
    yield words.the_weekday, _S, partial(read.weekday, before=0, standing=alone)
    for back, which in ((1, words.last), (0, (*words.this, *words.third_of))):
        thirds = tuple(f"{{part}}{each}" for each in which)
        yield thirds, _S, partial(read.third, back=back)
    yield words.of_last_year, _S, partial(read.named_of_year, back=1)
    yield words.of_this_year, _S, partial(read.named_of_year, back=0)
    yield words.last_named, _S + _NO_DAY, partial(read.named, which="last")
    yield words.this_named, _S + _NO_DAY, partial(read.named, which="this")
    yield words.next_named, _S + _NO_DAY, partial(read.named, which="next")
    yield words.the_weekend, _S, read.weekend


def _day_patterns(own: WordTables) -> Iterator[tuple[str, Reader]]:
    """Yield the patterns of words for days and their parts."""
    read, words = _Readers(own), own.words
    weekday = any_of(own.weekdays)
    nights = {"first": rf"(?:{weekday})", "weekday": rf"(?P<weekday>{weekday})"}
    for night in words.night_before:
        yield rf"{pattern(night, nights)}{_S}", read.night_before
    for moment, (back, part) in words.moments.items():
        yield rf"{pattern(moment)}{_S}", partial(read.moment, back=back, part=part)
    days, parts = any_of(own.days), _parts_pattern(own)
    yield rf"(?P<word>{days})(?:,?\s+(?:{any_of(own.weekdays)}))?\s+(?:{parts}){_S}", read.day
    yield rf"(?P<word>{days})(?:,?\s+(?:{any_of(own.weekdays)}))?{_S}", read.day


def _patterns(own: WordTables) -> Iterator[tuple[str, Reader]]:
    """Yield the patterns of a language for times relative to now, other than days."""
    named = any_of([*own.months, *own.seasons])
    groups = {
        "number": rf"(?P<number>[0-9]{{1,4}}|{any_of(own.numbers)})",
        "unit": rf"(?P<unit>{any_of(own.units)})(?!\w)",
        "units": rf"(?P<units>{any_of(own.plurals)})(?!\w)",
        "weekday": rf"(?P<weekday>{any_of(own.weekdays)})(?!\w)",
        "named": rf"(?P<named>{named})(?!\w)\.?",
        "part": part_pattern(own),
    }
    if own.code != "en":  # in English, "friday night" is more often a name
        evening = rf"(?P<weekday>{any_of(own.weekdays)})\s*(?:{_parts_pattern(own)})(?!\w)"
        yield from _evenings(own, {"weekday": evening})
    for templates, after, reader in _templates(own):
        yield from ((rf"{pattern(one, groups)}{after}", reader) for one in templates)
    reader = partial(_Readers(own).weekday, before=0, standing=Standing.AT_AN_END)
    bare = any_of([*spelt(own.words.bare_weekdays), *own.short_weekdays])
    yield rf"(?P<weekday>{bare})(?!\w)", reader


def _evenings(own: WordTables, groups: Mapping[str, str]) -> Iterator[tuple[str, Reader]]:
    """Yield the patterns of weekdays with a part of the day."""
    read = _Readers(own)
    for one in own.words.last_weekday:
        yield rf"{pattern(one, groups)}{_S}", partial(read.evening, before=1)
    for one in (*own.words.the_weekday, "{weekday}"):
        yield rf"{pattern(one, groups)}{_S}", partial(read.evening, before=0)


# Each with the language that it is of.
DAY_PATTERNS = tuple((*each, own.code) for own in TABLES.values() for each in _day_patterns(own))
PATTERNS = tuple((*each, own.code) for own in TABLES.values() for each in _patterns(own))
