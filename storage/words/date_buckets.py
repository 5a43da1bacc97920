"""Counts moments by year, month, week, day or hour of a time zone."""

from __future__ import annotations

from datetime import UTC, timedelta, tzinfo
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from core.retrieval import DateBuckets, DateInterval, FacetCount, Ids
from storage.record.item_rows import from_micros

_MICROS_PER_DAY = 86_400_000_000
_UNITS = {
    DateInterval.YEAR: "Y",
    DateInterval.MONTH: "M",
    DateInterval.WEEK: "D",
    DateInterval.DAY: "D",
    DateInterval.HOUR: "h",
}
Moments = npt.NDArray[np.datetime64]


def count_dates(
    micros: Ids, limit: int, buckets: DateBuckets, times: Ids | None = None
) -> tuple[FacetCount, ...]:
    """Return the counts of the newest `limit` buckets with moments, newest first. `micros` are UTC
    microseconds; each counts once, or as many times as `times` says.
    """
    offsets = _offsets(micros, buckets.zone)
    starts = _starts((micros + offsets).astype("datetime64[us]"), buckets.interval)
    # An hour that the clocks show twice counts as two hours, which differ in UTC.
    hourly = buckets.interval is DateInterval.HOUR
    keys = starts - offsets.astype("timedelta64[us]") if hourly else starts
    _, firsts, places = np.unique(keys, return_index=True, return_inverse=True)
    counts = np.bincount(places, times, len(firsts))
    newest = range(len(firsts))[::-1][:limit]
    return tuple(
        FacetCount(
            _label(starts[firsts[n]], int(offsets[firsts[n]]), buckets.interval), int(counts[n])
        )
        for n in newest
    )


def cuts(newest: int, count: int, buckets: DateBuckets) -> Ids:
    """Return ascending moments that cut time into stretches, each in one bucket, from `count`
    buckets before that of `newest` on; the last stretch has no end. All are UTC microseconds.
    """
    zone, unit = buckets.zone, _UNITS[buckets.interval]
    last = np.array([newest], np.int64)
    local = (last + _offsets(last, zone)).astype("datetime64[us]")
    steps = np.arange(count) * (7 if buckets.interval is DateInterval.WEEK else 1)
    starts = _starts(local, buckets.interval).astype(f"datetime64[{unit}]") - steps
    ends = starts.astype("datetime64[us]").astype(np.int64)
    before, after = (_offsets(ends + day, zone) for day in (-_MICROS_PER_DAY, _MICROS_PER_DAY))
    found = {*(ends - before).tolist(), *(ends - after).tolist()}
    for end in ends[before != after].tolist():
        found.add(_change(zone, end - _MICROS_PER_DAY, end + _MICROS_PER_DAY))
    return np.array(sorted(found), np.int64)


def _change(zone: tzinfo, low: int, high: int) -> int:
    """Return the moment after `low` from which the zone has another offset."""
    offset = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
    return high


def _starts(local: Moments, interval: DateInterval) -> Moments:
    """Return the start of the bucket of each local time."""
    starts = local.astype(f"datetime64[{_UNITS[interval]}]")
    if interval is DateInterval.WEEK:
        days = starts.astype(np.int64)
        starts = (days - (days + 3) % 7).astype("datetime64[D]")  # 1970-01-01 was a Thursday
    found: Moments = starts.astype("datetime64[us]")
    return found


def _label(start: np.datetime64, offset: int, interval: DateInterval) -> str:
    text = str(start.astype(f"datetime64[{_UNITS[interval]}]"))
    if interval is not DateInterval.HOUR:
        return text
    minutes = abs(offset) // 60_000_000
    sign = "-" if offset < 0 else "+"
    return f"{text}:00{sign}{minutes // 60:02}:{minutes % 60:02}" if offset else f"{text}:00Z"


def _offsets(micros: Ids, zone: tzinfo) -> Ids:
    """Return the zone's offset from UTC at each moment, in microseconds: int64 [n]."""
    if zone is UTC:
        return np.zeros(len(micros), np.int64)
    found = np.empty(len(micros), np.int64)
    for place, moment in enumerate(micros.tolist()):
        offset = _of_day(zone, moment // _MICROS_PER_DAY)
        found[place] = _offset(zone, moment) if offset is None else offset
    return found


@lru_cache(65_536)
def _of_day(zone: tzinfo, day: int) -> int | None:
    """Return the offset during a whole day of UTC, None if it changes in that day."""
    first, last = _offset(zone, day * _MICROS_PER_DAY), _offset(zone, (day + 1) * _MICROS_PER_DAY)
    return first if first == last else None


def _offset(zone: tzinfo, moment: int) -> int:
    try:
        ahead = from_micros(moment).astimezone(zone).utcoffset() or timedelta()
    except (OverflowError, ValueError):  # the first and last days of the calendar
        return 0
    return ahead // timedelta(microseconds=1)
