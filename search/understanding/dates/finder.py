"""Finds the dates of a query in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from search.understanding.dates.absolute import other_reading
from search.understanding.dates.calendar import Calendar
from search.understanding.dates.names import KNOWN_DAYS, names_in
from search.understanding.dates.phrases import read_phrase
from search.understanding.dates.point import Point
from search.understanding.dates.words import TIME_WORDS, can_begin

_MOST = 4  # a text with more dates is a list or a calendar, not a question
_HINT = re.compile(rf"(?<!\w)(?:{'|'.join(TIME_WORDS.values())})(?!\w)|[0-9]{{2}}", re.IGNORECASE)
_STARTS = re.compile(r"(?<![^\s(\[{,;“«—–>])\w+", re.MULTILINE)
_ENDS = re.compile(r"""(?=$|\s|[,;:.!?…)\]}»”"](?!\w))""")


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A date in plain words: `text` is characters start to end, and means [since, until) in UTC;
    None is an open end. `other` is the other reading of a date whose order of numbers is in doubt.
    """

    text: str
    start: int
    end: int
    since: datetime | None
    until: datetime | None
    other: str = ""


def find_dates(text: str, calendar: Calendar) -> tuple[tuple[FoundDate, ...], tuple[str, ...]]:
    """Return the dates in `text`, from left to right, and notes.

    The notes name dates that can be read in several ways, and dates that stay words because they
    are in the future or name an event.
    """
    if not _HINT.search(text):
        return (), ()
    dates: list[FoundDate] = []
    notes: list[str] = []
    for start, point in _points(text, calendar):
        words = text[start : point.end]
        if reason := _why_words(words, point, calendar):
            notes.append(f"{words}: {reason}, so it is taken as words")
            continue
        if point.note:
            notes.append(point.note)
        other = other_reading(words, calendar) if point.note else ""
        dates.append(FoundDate(words, start, point.end, point.since, point.until, other))
    if len(dates) > _MOST:
        return (), (f"there are more than {_MOST} dates, so all are taken as words",)
    return tuple(dates), tuple(notes)


def _points(text: str, calendar: Calendar) -> Iterator[tuple[int, Point]]:
    """Yield the points in time and where each begins; names that look like dates are skipped."""
    names: tuple[tuple[int, int], ...] | None = None
    end = 0
    for word in _STARTS.finditer(text):
        start = word.start()
        if start < end or not can_begin(word[0]):
            continue
        point = _read(text, start, calendar)
        if point is None or not _ENDS.match(text, point.end):
            continue
        names = names_in(text) if names is None else names
        if any(start < last and first < point.end for first, last in names):
            continue
        end = point.end
        yield start, point


def _read(text: str, start: int, calendar: Calendar) -> Point | None:
    try:
        return read_phrase(text, start, calendar)
    except (ValueError, OverflowError):  # outside the calendar: 9999 years ago
        return None


def _why_words(words: str, point: Point, calendar: Calendar) -> str:
    """Return why a date does not filter; "" if it does."""
    if KNOWN_DAYS.fullmatch(words):
        return 'an event has this name (for the day, write its year, or "on" before it)'
    if point.since is point.until is None:
        return point.note or "there is no such day"
    if (point.since or point.until or calendar.now) > calendar.now:
        return "it lies ahead"
    return ""
