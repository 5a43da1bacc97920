"""The order of all rows by date: sorted once, and kept as rows are added."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from threading import Lock

import numpy as np

from core.retrieval import Ids, Marks, Place
from storage.embedded.vectors.growing import GrowingArray

_FEW = 1_000  # rows that are inserted one by one; more are sorted with all others
_FIRST_BLOCK, _LARGEST_BLOCK = 1_024, 262_144


class DateOrder:
    """The rows in the order of `times`, then of `ties`, ascending. Thread-safe."""

    def __init__(self, times: GrowingArray[np.int64], ties: GrowingArray[np.int64]) -> None:
        self._times = times
        self._ties = ties
        self._rows: Ids = np.zeros(0, np.int64)
        self._lock = Lock()

    def rows(self, size: int) -> Ids:
        """Return the rows below `size`, oldest first."""
        with self._lock:
            known = len(self._rows)
            if known < size:
                self._rows = self._grown(np.arange(known, size))
            rows = self._rows
        return rows if len(rows) == size else rows[rows < size]

    def sorted(self, rows: Ids) -> Ids:
        """Return some rows, oldest first."""
        times, ties = self._times.view(), self._ties.view()
        return rows[np.lexsort((ties[rows], times[rows]))]

    def place(self, row: int) -> Place:
        """Return the place of a row."""
        return Place(int(self._times.view()[row]), int(self._ties.view()[row]))

    def before(self, rows: Ids, place: Place) -> int:
        """Return how many of `rows`, which are in order, stand before `place`."""
        return bisect_left(range(len(rows)), self._key(place), key=lambda at: self._at(rows, at))

    def up_to(self, rows: Ids, place: Place) -> int:
        """Return how many of `rows`, which are in order, stand at `place` or before it."""
        return bisect_right(range(len(rows)), self._key(place), key=lambda at: self._at(rows, at))

    def _at(self, rows: Ids, at: int) -> tuple[int, int]:
        return self._key(self.place(int(rows[at])))

    def _key(self, place: Place) -> tuple[int, int]:
        return place.time, place.tie

    def _grown(self, fresh: Ids) -> Ids:
        if len(fresh) > _FEW or not len(self._rows):
            return self.sorted(np.arange(len(self._rows) + len(fresh)))
        fresh = self.sorted(fresh)
        places = [self.up_to(self._rows, self.place(row)) for row in fresh.tolist()]
        grown: Ids = np.insert(self._rows, places, fresh)
        return grown


def taken(rows: Ids, allowed: Marks, skip: int, size: int) -> Ids:
    """Return the first `size` of the `rows` that are `allowed` (bool by row), after `skip` of them.
    It looks at no more rows than it needs.
    """
    found: list[Ids] = []
    at, block, wanted = 0, _FIRST_BLOCK, size
    while wanted > 0 and at < len(rows):
        part = rows[at : at + block]
        hits = part[allowed[part]]
        kept = hits[skip : skip + wanted]
        skip = max(0, skip - len(hits))
        wanted -= len(kept)
        found.append(kept)
        at, block = at + block, min(_LARGEST_BLOCK, 2 * block)
    return np.concatenate(found) if found else rows[:0]
