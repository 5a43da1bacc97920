"""Dates with the words around them: in march, since tuesday, between march and may 2023."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from search.understanding.dates import absolute, relative
from search.understanding.dates.calendar import Calendar
from search.understanding.dates.point import Point, Standing
from search.understanding.dates.words import ARTICLES, TABLES, every, languages_in
from search.understanding.templates import ENDED, any_of, any_template

Reader = Callable[[str, re.Match[str], Calendar], Point | None]

_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), reader, code)
    for pattern, reader, code in (
        # Longer patterns are tried before a bare month or year.
        *((*each, "") for each in absolute.PATTERNS[:-3]),
        *relative.DAY_PATTERNS,
        *relative.PATTERNS,
        *((*each, "") for each in absolute.PATTERNS[-3:]),
    )
)
_DAYS = tuple((re.compile(text, re.IGNORECASE), read) for text, read, _ in relative.DAY_PATTERNS)


def _words(name: str, *others: str) -> re.Pattern[str]:
    """Return a pattern of the words of all languages under one name of `DateWords`, and of
    others.
    """
    return re.compile(rf"(?:{any_template((*every(name), *others))}){ENDED}\s*", re.IGNORECASE)


_JOINED = [word for one in TABLES.values() for word in one.words.joined.split()]
_WITHINS = (*every("within"), *every("within_months"), *every("within_days"))
_OTHER_ARTICLES = [word for word in ARTICLES if word != "the"]
_BETWEEN = _words("between")
_FROM = _words("start")
_AND = re.compile(rf"\s*(?:{any_of(_JOINED)})(?!\w)\s*", re.IGNORECASE)
_TO = re.compile(rf"\s*[-–—]\s*|\s+(?:{any_template(every('to'))}){ENDED}\s*", re.IGNORECASE)
_OPEN_RANGE = re.compile(r"(?<!\w)(?:to|until|till|and|or)\s+$", re.IGNORECASE)
_ON = re.compile(r"\s+(?:onwards?|on(?=\s*$|\s*[,;]))(?!\w)", re.IGNORECASE)
_SINCE, _AFTER, _BEFORE, _UNTIL = map(_words, ("since", "after", "before", "until"))
_FOR_MONTHS = _words("within_months")
_FOR_DAYS = _words("within_days")
_WITHIN = re.compile(
    rf"(?:published\s+|dated\s+)?(?:{any_template(_WITHINS)}){ENDED}\s*", re.IGNORECASE
)
_PUBLISHED = re.compile(r"^(?:published|dated)\s+", re.IGNORECASE)
_OF = _words("start", "of", "for", "dated", *_OTHER_ARTICLES)
_ARTICLE = re.compile(rf"(?:{any_of(ARTICLES)}){ENDED}\s*", re.IGNORECASE)
# Words that would make another sentence if read as a month: "after May resigned".
_PERSON_OR_VERB = re.compile(r"(?:may|march)(?!\w)", re.IGNORECASE)


def read_phrase(text: str, start: int, calendar: Calendar) -> Point | None:
    """Return the date that begins at character `start` of the text, with the words that belong to
    it.
    """
    for pattern, reader in _DAYS:  # "antes de ayer" is a day, and no time before yesterday
        if (match := pattern.match(text, start)) and " " in match[0]:
            return reader(match, calendar)
    for pattern, read in _READERS:
        if match := pattern.match(text, start):
            found = read(text, match, calendar)
            if found:
                return found
    first = _point(text, start, calendar)
    if first is None:
        return None
    return _a_range(text, first, calendar, bare=True) or _settled(text, start, first)


def _settled(text: str, start: int, point: Point) -> Point | None:
    """Return the point, if it needs no word before it; else None."""
    if point.standing is Standing.ALONE:
        return point
    if _TO.match(text, point.end) or _OPEN_RANGE.search(text, 0, start):  # such as monday to friday
        return None
    at_an_end = not text[:start].strip() or not text[point.end :].strip(" .,!?")
    return point if point.standing is Standing.AT_AN_END and at_an_end else None


def _point(text: str, start: int, calendar: Calendar) -> Point | None:
    languages = languages_in(text)
    for pattern, reader, code in _PATTERNS:
        if (not code or code in languages) and (match := pattern.match(text, start)):
            point = reader(match, calendar)
            if point:
                return point
    return None


def _between(text: str, word: re.Match[str], calendar: Calendar) -> Point | None:
    first = _point(text, word.end(), calendar)
    joined = _AND.match(text, first.end) if first else None
    if first is None or joined is None:
        days = first and re.search(r"\b(?:and|und|et|y)\b", text[word.end() : first.end])
        return first if days else None  # between 5 and 7 march
    return _joined(first, _point(text, joined.end(), calendar), calendar)


def _from(text: str, word: re.Match[str], calendar: Calendar) -> Point | None:
    """Read "from a to b" and "from a on"."""
    first = _point(text, word.end(), calendar)
    if first is None:
        return None
    if found := _a_range(text, first, calendar, bare=False):
        return found
    if onwards := _ON.match(text, first.end):
        return replace(first, until=None, end=onwards.end(), again=None)
    return None


def _a_range(text: str, first: Point, calendar: Calendar, *, bare: bool) -> Point | None:
    """Return a point, "to", and another point. A `bare` range needs two years, or a point that
    stands alone.
    """
    joined = _TO.match(text, first.end)
    last = _point(text, joined.end(), calendar) if joined else None
    if last is None:
        return None
    if bare and not (first.is_year and last.is_year):
        both = (first.standing, last.standing)
        if Standing.ALONE not in both or (last.standing is not Standing.ALONE and last.is_year):
            return None
    return _joined(first, last, calendar)


def _joined(first: Point, last: Point | None, calendar: Calendar) -> Point | None:
    """Return the span from the first point's start to the last one's end. A point without a year
    takes the other's.
    """
    if last is None or first.since is None or last.since is None:
        return None
    since, end, begun = first.since, last, last.since.astimezone(calendar.zone).date()
    if first.again:
        span = first.again.latest(calendar, begun)
        if span is None:
            return None
        since = span[0]
    elif last.again:
        limit = since.astimezone(calendar.zone).date() + timedelta(days=364)
        span = last.again.latest(calendar, limit)
        end = replace(last, since=span[0], until=span[1]) if span else last
    if end.until is not None and end.until <= since:
        return Point(None, None, end.end, note="it ends before it begins")
    return Point(since, end.until, end.end, note=first.note or last.note)


def _since(text: str, word: re.Match[str], calendar: Calendar) -> Point | None:
    start = word.end()
    point = _point(text, _past_article(text, start), calendar) or _point(text, start, calendar)
    if point is None:
        return None
    onwards = _ON.match(text, point.end)
    return replace(point, until=None, end=onwards.end() if onwards else point.end)


def _after(text: str, word: re.Match[str], calendar: Calendar) -> Point | None:
    point = _bound(text, word.end(), calendar)
    return replace(point, since=point.until, until=None) if point and point.until else None


def _before(text: str, word: re.Match[str], calendar: Calendar) -> Point | None:
    point = _bound(text, word.end(), calendar)
    return replace(point, since=None, until=point.since) if point else None


def _until(text: str, word: re.Match[str], calendar: Calendar) -> Point | None:
    point = _bound(text, word.end(), calendar)
    return replace(point, since=None) if point and point.until else None


def _bound(text: str, start: int, calendar: Calendar) -> Point | None:
    start = _past_article(text, start)
    point = _point(text, start, calendar)
    bare_month = point is not None and point.again is not None and point.again.day == 0
    if bare_month and _PERSON_OR_VERB.match(text, start):
        return None
    return point


def _within(text: str, word: re.Match[str], calendar: Calendar) -> Point | None:
    start = word.end()
    point = _point(text, _past_article(text, start), calendar) or _point(text, start, calendar)
    if point is None:
        return None
    found = _a_range(text, point, calendar, bare=not point.is_year) or point
    return found if found.standing is Standing.ALONE or _fits(word[0], found) else None


def _fits(word: str, point: Point) -> bool:
    """Return whether a point that needs a word has the right one: in march, on friday, at the
    weekend.
    """
    within = _PUBLISHED.sub("", word)
    if point.is_year or (point.again and point.again.weekday < 0):
        return _FOR_MONTHS.fullmatch(within) is not None
    return point.again is None or _FOR_DAYS.fullmatch(within) is not None


def _of(text: str, word: re.Match[str], calendar: Calendar) -> Point | None:
    """Read "of march 2024" and "of the 5th of march": only what would also be a date without
    "of".
    """
    point = _point(text, word.end(), calendar)
    return point if point and point.standing is Standing.ALONE else None


def _past_article(text: str, start: int) -> int:
    article = _ARTICLE.match(text, start)
    if article is None:
        return start
    following = text[article.end() : article.end() + 5].casefold()
    return start if following.startswith(("last", "past", "day")) else article.end()


_READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (_BETWEEN, _between),
    (_FROM, _from),
    (_SINCE, _since),
    (_AFTER, _after),
    (_BEFORE, _before),
    (_UNTIL, _until),
    (_WITHIN, _within),
    (_OF, _of),
)
