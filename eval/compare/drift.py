"""Drift: what the use log says of each week."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from core.customers.use import LoggedQuery

WEEK = timedelta(days=7)
_FIRST_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Week:
    """One week from Monday, in UTC: shares of its queries that had no strong hit, whose first hit
    was clicked, that named somebody unknown; and the milliseconds of half and of 95 % of them.
    """

    start: datetime
    queries: int
    zero_results: float
    clicks_at_1: float
    unknown_names: float
    p50_ms: float
    p95_ms: float

    def tree(self) -> dict[str, Any]:
        """Return the week, ready for JSON."""
        return asdict(self) | {"start": f"{self.start:%Y-%m-%d}"}


def weeks(queries: Iterable[LoggedQuery]) -> list[Week]:
    """Return the figures of each week that has queries, the oldest first. Of a query only what
    counts is held.
    """
    held: dict[datetime, list[tuple[bool, bool, bool, float]]] = {}
    for one in queries:
        start = one.at - (one.at - _FIRST_MONDAY) % WEEK
        first = any(event.place == 1 for event in one.events)
        held.setdefault(start, []).append((one.total == 0, first, one.unknown, one.milliseconds))
    return [_week(start, np.array(rows, np.float64)) for start, rows in sorted(held.items())]


def _week(start: datetime, rows: np.ndarray[Any, np.dtype[np.float64]]) -> Week:
    zero, first, unknown = rows[:, :3].mean(axis=0).tolist()
    half, most = np.percentile(rows[:, 3], [50, 95]).tolist()
    return Week(start, len(rows), zero, first, unknown, half, most)
