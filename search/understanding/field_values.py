"""Turns the value of a field of facts, or a range of values, into a filter."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, tzinfo

from core.errors import QueryError
from core.query_fields import FACT, ID, FieldKind, QueryField
from core.query_tree import EVERYTHING, NOTHING, Bool, DateRange, Keyword, Node, all_of
from search.understanding.dates import parse_span

EVERY: Node = Bool(must=(EVERYTHING,))  # a clause that every item satisfies
_DATES = (FieldKind.DATE, FieldKind.SINCE, FieldKind.UNTIL)
_NUMBERS = range(1, 10)
_USABLE = "usable"
_WORD = re.compile(r"[^\W_]+")
_RELATIVE = re.compile(r"now(?P<steps>(?:[+-]\d{1,6}[smhdwMy])*)(?:/(?P<unit>[mhdwMy]))?")
_STEP = re.compile(r"([+-]\d+)([smhdwMy])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_FIRSTS = {"month": 1, "day": 1, "hour": 0, "minute": 0}
_MEND = "write now, now-2d, now-3h or now/d; units are s, m, h, d, w, M and y"


@dataclass(frozen=True, slots=True)
class Times:
    """What dates are read by: the time `now`, and the caller's time zone."""

    now: datetime
    zone: tzinfo = UTC

    def span(self, text: str) -> tuple[datetime, datetime]:
        """Return the span [since, until) of a date or of date maths. Raises QueryError."""
        if text.strip().strip('"').startswith("now"):
            return _relative(text.strip().strip('"'), self)
        return parse_span(text, self.zone)


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range; the value itself is in the range if `included`."""

    text: str
    included: bool


def value_node(field: QueryField, text: str, times: Times) -> Node:
    """Return the filter of one value. Raises QueryError for a value that can't be read."""
    match field.kind:
        case FieldKind.DATE:
            return DateRange(_column(field), *times.span(text))
        case FieldKind.SINCE:
            return range_node(field, Bound(text, included=True), None, times)
        case FieldKind.UNTIL:
            return range_node(field, None, Bound(text, included=True), times)
        case FieldKind.WORDS:
            words = _WORD.findall(text.casefold()) or [text.casefold()]
            return all_of(*(Keyword(FACT, (f"{field.name}:{word}",)) for word in words))
        case FieldKind.WHOLE:
            return Keyword(FACT, (f"{field.name}:{text}",))
        case FieldKind.ID:
            return Keyword(ID, (f"{field.name}:{text}",))
        case FieldKind.STATUS:
            return EVERY if text.casefold() == _USABLE else NOTHING
    return Keyword(field.name, (text,))


def range_node(field: QueryField, low: Bound | None, high: Bound | None, times: Times) -> Node:
    """Return the filter of a range; None is an open end. Raises QueryError for a field without an
    order.
    """
    if field.kind in _DATES:
        since = None if low is None else times.span(low.text)[0 if low.included else 1]
        until = None if high is None else times.span(high.text)[1 if high.included else 0]
        return DateRange(_column(field), since, until)
    if field.kind is not FieldKind.NUMBER:
        raise QueryError(
            f"{field.name} has no order, so it has no ranges",
            where="q",
            mend="ranges are for dates and urgency",
        )
    least = 1 if low is None else _number(field, low.text) + (not low.included)
    most = 9 if high is None else _number(field, high.text) - (not high.included)
    found = tuple(str(number) for number in _NUMBERS if least <= number <= most)
    return Keyword(field.name, found) if found else NOTHING


def _column(field: QueryField) -> str:
    return field.name if field.kind is FieldKind.DATE else "versioncreated"


def _number(field: QueryField, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text.strip('"')):
        raise QueryError(f"{text!r} is no number", where=f"q, {field.name}", mend="1 to 9")
    return int(text.strip('"'))


def _relative(text: str, times: Times) -> tuple[datetime, datetime]:
    """Return the span of date maths: a moment to its microsecond, or with /d the whole day."""
    found = _RELATIVE.fullmatch(text)
    if found is None:
        raise QueryError(f"{text!r} is not a date", where="q", mend=_MEND)
    try:
        moment = times.now.astimezone(times.zone)
        for number, unit in _STEP.findall(found["steps"]):
            moment = _stepped(moment, int(number), unit)
        if unit := found["unit"]:
            first = _floor(moment, unit)
            return first.astimezone(UTC), _stepped(first, 1, unit).astimezone(UTC)
        since = moment.astimezone(UTC)
        return since, since + timedelta(microseconds=1)
    except (ValueError, OverflowError) as error:
        raise QueryError(f"{text!r} is not a date: {error}", where="q", mend=_MEND) from error


def _stepped(moment: datetime, number: int, unit: str) -> datetime:
    """Return the moment `number` units later. Hours are of equal length, days are the zone's."""
    if unit in "My":
        return _months_later(moment, number * (1 if unit == "M" else 12))
    step = timedelta(seconds=number * _SECONDS[unit])
    if unit in "dw":
        return moment + step  # the same local time of another day
    return (moment.astimezone(UTC) + step).astimezone(moment.tzinfo)


def _months_later(moment: datetime, months: int) -> datetime:
    """Return the same day some months later, or that month's last day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if not MINYEAR <= year <= MAXYEAR:
        raise OverflowError("the year is out of range")
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def _floor(moment: datetime, unit: str) -> datetime:
    """Return the first moment of the minute, hour, day, week (from Monday), month or year."""
    kept = {"m": 5, "h": 4, "d": 3, "w": 3, "M": 2, "y": 1}[unit]
    first = moment.replace(second=0, microsecond=0)
    for name in tuple(_FIRSTS)[kept - 1 :]:
        first = first.replace(**{name: _FIRSTS[name]})  # type: ignore[arg-type]
    return first - timedelta(days=moment.weekday()) if unit == "w" else first
