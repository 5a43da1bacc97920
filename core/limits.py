"""Rate limits: their types, and the arithmetic that all stores of limits share.

A store keeps one moment for each limit and key: when all requests are paid back (the generic cell
rate algorithm, as in ATM networks; https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). A
moment in the past means the same as no moment, so nothing has to be cleaned up. A store that loses
a moment forgives what was taken, and does nothing worse.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

_SECOND = 1_000_000_000  # ns


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit called `name`: `burst` at once, and `amount` in `per_seconds` in the long run. So at
    most burst + amount * t / per_seconds can be taken in t seconds.
    """

    name: str
    amount: float
    per_seconds: float
    burst: int

    @property
    def interval(self) -> int:
        """The nanoseconds in which one unit is paid back, rounded up so that the limit is never
        exceeded.
        """
        return max(1, math.ceil(self.per_seconds * _SECOND / self.amount))


@dataclass(frozen=True, slots=True)
class Share:
    """A caller's share of a service: `rate` requests a second in the long run, `concurrency` at the
    same time.
    """

    rate: float = 500.0
    concurrency: int = 64


@dataclass(frozen=True, slots=True)
class Allowed:
    """All requests were allowed; `left` more are allowed at once."""

    left: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was taken. It can be taken in `retry_after` seconds, if nobody else takes it
    before.
    """

    retry_after: float


class Limiter(Protocol):
    """Counts requests. Safe from any thread; answers without waiting for another host."""

    def take(self, limit: Limit, key: str, cost: int = 1) -> Allowed | Refused:
        """Take `cost` (at most `limit.burst`) from what the limit allows `key`, or take nothing."""
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...


def charged(paid_back: int, now: int, limit: Limit, cost: int) -> tuple[int, Allowed | Refused]:
    """Take `cost`; return the moment when all is paid back, and the answer. Moments are
    nanoseconds.

    A moment that is further ahead than the limit allows was written by another clock or for another
    limit. It counts as the furthest possible moment: nobody waits longer than for a whole burst.
    """
    interval, whole = limit.interval, limit.burst * limit.interval
    if cost > limit.burst:
        raise ValueError(f"{cost} of {limit.name} can't be taken at once: the burst is less")
    owed = min(max(paid_back - now, 0), whole)
    over = owed + cost * interval - whole
    if over > 0:
        return now + owed, Refused(over / _SECOND)
    return now + owed + cost * interval, Allowed(-over // interval)


def leased(
    paid_back: int, now: int, limit: Limit, owed: int, wanted: int
) -> tuple[int, int, float]:
    """Charge what is `owed`, even beyond the limit, then as many of `wanted` as the limit allows.
    Returns the moment when all is paid back, how many were allowed, and the seconds until one more
    is allowed.
    """
    interval, whole = limit.interval, limit.burst * limit.interval
    # Several hosts may owe at the same time. A debt of more than two bursts is another clock's
    # moment.
    moment = now + min(max(paid_back - now, 0), 2 * whole) + owed * interval
    granted = min(wanted, max(0, (now + whole - moment) // interval))
    moment += granted * interval
    return moment, granted, max(0, moment + interval - whole - now) / _SECOND


def room(paid_back: int, now: int, limit: Limit) -> int:
    """Return how many may be taken at once if all is paid back at that moment."""
    owed = max(paid_back - now, 0)
    return max(0, limit.burst - -(-owed // limit.interval))


class MemoryLimiter:
    """A limiter of this process alone."""

    def __init__(self, now: Callable[[], int] = time.monotonic_ns) -> None:
        self._now = now
        self._lock = Lock()
        self._paid_back: dict[tuple[str, str], int] = {}

    def take(self, limit: Limit, key: str, cost: int = 1) -> Allowed | Refused:
        """Take from this process's own counts."""
        place = limit.name, key
        with self._lock:
            moment, answer = charged(self._paid_back.get(place, 0), self._now(), limit, cost)
            self._paid_back[place] = moment
        return answer

    def close(self) -> None:
        """Do nothing: no file is open."""


class NoLimiter:
    """Allows everything, for requests that another process has counted."""

    def take(self, limit: Limit, key: str, cost: int = 1) -> Allowed | Refused:
        """Allow the request."""
        return Allowed(limit.burst - cost)

    def close(self) -> None:
        """Do nothing: no file is open."""
