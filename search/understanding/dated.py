"""Takes the dates out of a query: they filter, and the rest is read as the query language."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from core.query_tree import Bool, DateRange, Node, all_of
from search.answers import DateSpan, DateUse
from search.understanding import accidental_operators, language
from search.understanding.dates import Calendar, FoundDate, find_dates

_OPENED = re.compile(r"(?:(?<!\S)(?:AND|OR|NOT|TO)\s+|[:+\-!<>=/\\]\s*)$")
_GOES_ON = re.compile(r"\s+(?:AND|OR|TO)(?!\S)|[\^~*?)\]}/\\]")
_STOP = re.compile(r"\w[.!…][\"”’')]?\s*$")
_CAPITALS, _SENTENCE, _HEADLINE = 4, 6, 7  # words
_FIELD = "versioncreated"


@dataclass(frozen=True, slots=True)
class Dated:
    """`parsed` is the query without its dates, which are among its filters; its `places` are
    characters of the whole query. `dates` are all dates found, for the answer. Those that are
    ignored stay words.
    """

    parsed: language.Parsed
    dates: tuple[DateSpan, ...]


def parse_dated(
    query: str,
    calendar: Calendar,
    use: DateUse = DateUse.FILTER,
    ignore: Collection[str] = frozenset(),
) -> Dated:
    """Read a query and the dates in it.

    A date that is part of an operator's clause, in quotes or in pasted prose stays plain words. So
    does a date in `ignore`, written as by `as_ignored`.
    """
    found, notes = _meant(query, calendar) if use is DateUse.FILTER else ((), ())
    dates = tuple(date for date in found if as_ignored(date.text) not in ignore)
    told = tuple(_told(date, ignored=date not in dates) for date in found)
    if not dates:
        parsed = language.parse(query, calendar.zone, calendar.now)
        return Dated(replace(parsed, notes=(*notes, *parsed.notes)), told)
    rest, origins = _without(query, dates)
    parsed = language.parse(rest, calendar.zone, calendar.now)
    span, said = _filter(dates)
    return Dated(
        replace(
            parsed,
            filters=all_of(parsed.filters, span),
            places=[origins[place] for place in parsed.places],
            notes=(*notes, *said, *parsed.notes),
        ),
        told,
    )


def as_ignored(text: str) -> str:
    """Return the text for comparison with words to ignore: without case and extra white space."""
    return " ".join(text.casefold().split())


def _meant(query: str, calendar: Calendar) -> tuple[tuple[FoundDate, ...], tuple[str, ...]]:
    """Return the dates that filter, and notes. A pasted headline or sentence has dates that report
    and do not filter.
    """
    if accidental_operators.is_prose(query):
        return (), ()
    found, notes = find_dates(query, calendar)
    dates = tuple(date for date in found if stands_alone(query, date.start, date.end))
    if not dates:
        return (), () if found else notes
    if reason := pasted(query, calendar.language):
        said = ", ".join(date.text for date in dates)
        return (), (f"{said}: taken as words, for the query {reason}",)
    return dates, notes


def pasted(query: str, language: str) -> str:
    """Return why a query with dates is pasted text; "" if it may be a query. Capitals show nothing
    in German, where each noun has one.
    """
    words = [word for word in query.split() if word[0].isalpha()]
    if len(words) >= _CAPITALS and query.isupper():
        return "is all in capitals"
    if len(words) >= _SENTENCE and _STOP.search(query):
        return "is a sentence"
    long = [word for word in words if len(word) > 3]
    capitals = sum(word[0].isupper() for word in long)
    if language != "de" and len(words) >= _HEADLINE and capitals >= 0.8 * len(long):
        return "is written as a headline"
    return ""


def stands_alone(query: str, start: int, end: int) -> bool:
    """Return whether a span is outside quotes and groups, and is not an operator's operand."""
    before, after = query[:start], query[end:]
    if before.count('"') % 2 or after.count('"') % 2:
        return False
    if any(before.count(a) != before.count(b) for a, b in ("()", "[]", "{}")):
        return False
    return not _OPENED.search(before) and not _GOES_ON.match(after)


def _without(query: str, dates: Sequence[FoundDate]) -> tuple[str, list[int]]:
    """Return the query with a blank in place of each date, and where each of its characters
    stood.
    """
    pieces: list[str] = []
    origins: list[int] = []
    at = 0
    for date in dates:
        pieces += [query[at : date.start], " "]
        origins += [*range(at, date.start), date.start]
        at = date.end
    pieces.append(query[at:])
    origins.extend(range(at, len(query) + 1))
    return "".join(pieces), origins


def _filter(dates: Sequence[FoundDate]) -> tuple[Node, tuple[str, ...]]:
    """Return the filter of all dates: the time that they share if they overlap, else any of
    them.
    """
    ranges = tuple(DateRange(_FIELD, date.since, date.until) for date in dates)
    if len(ranges) == 1:
        return ranges[0], ()
    since = max((date.since for date in dates if date.since), default=None)
    until = min((date.until for date in dates if date.until), default=None)
    if since is None or until is None or since < until:
        return DateRange(_FIELD, since, until), ("several dates: stories of all of them",)
    return Bool(should=ranges), ("several dates: stories of any of them",)


def _told(date: FoundDate, *, ignored: bool) -> DateSpan:
    since = date.since.isoformat() if date.since else ""
    until = date.until.isoformat() if date.until else ""
    return DateSpan(date.text, date.start, date.end, since, until, date.other, ignored)
