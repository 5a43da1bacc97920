"""Computes exact cosines of candidates from the record's vectors. It keeps vectors that were used
lately, and reads the newest ahead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from core.items import FloatMatrix
from core.retrieval import Floats, Ids, Ints
from storage.record.port import RecordReads

_BITS = 20
_MASK = (1 << _BITS) - 1
_PAGE = 500  # versions that are read ahead at once


class _Rows:
    """Vectors of versions as rows of one matrix, float32 [room, d]; the record holds them in half
    of the bytes. A row never changes once it is placed, so placed rows may be read while others are
    added.
    """

    def __init__(self, room: int, width: int) -> None:
        self.matrix: FloatMatrix = np.empty((room, width), np.float32)
        self.places: dict[int, int] = {}  # by version: its first row and number of rows, packed
        self._used = 0

    def take(self, vectors: Mapping[int, FloatMatrix]) -> bool:
        """Place the vectors that are not here yet; return False if there is no room for all."""
        fresh = [(seq, rows) for seq, rows in vectors.items() if seq not in self.places]
        if self._used + sum(len(rows) for _, rows in fresh) > len(self.matrix):
            return False
        for seq, rows in fresh:
            first, self._used = self._used, self._used + len(rows)
            self.matrix[first : self._used] = rows
            self.places[seq] = first << _BITS | len(rows)
        return True

    def of(self, seq: int) -> FloatMatrix | None:
        """Return a version's vectors, None if they are not here."""
        place = self.places.get(seq)
        if place is None:
            return None
        first = place >> _BITS
        return self.matrix[first : first + (place & _MASK)]


_NONE = _Rows(0, 0)


class ExactCosines:
    """Exact cosines for one vector field and encoder, over the record behind `reads_of`. Once a
    version has vectors, they never change. Keeps at most `most_bytes`, or what one search needs, in
    two halves. When the young half is full, it replaces the old one. Thread-safe.
    """

    def __init__(
        self, reads_of: Callable[[], RecordReads], field: str, encoder: str, most_bytes: int
    ) -> None:
        self._reads_of = reads_of
        self._field = field
        self._encoder = encoder
        self._most = most_bytes
        self._young = self._old = _NONE
        self._unread: int | None = None  # the newest version that was not read ahead
        self._lock = threading.Lock()

    def read_ahead(self, newest: Callable[[], int]) -> bool:
        """Read the vectors of the next versions, from `newest` down, into the room that is left;
        return whether there is more to read. After a failure nothing more is read ahead; a search
        that needs the vectors gets the error.
        """
        top = newest() if self._unread is None else self._unread
        self._unread = 0
        if not top:
            return False
        first = max(1, top - _PAGE + 1)
        read = self._reads_of().vectors_by_seq(self._field, self._encoder, range(first, top + 1))
        fresh = {seq: vectors for seq, vectors in read if len(vectors)}
        with self._lock:
            if self._young is _NONE and self._has_room(fresh):
                self._young = self._empty(fresh)
            if self._young.take(fresh):
                self._unread = first - 1
        return self._unread > 0

    def best_passages(self, query: FloatMatrix, ids: Ids) -> tuple[Floats, Ints]:
        """Return for each of `ids` the cosine of its best passage with `query` [1, d], and that
        passage's number; NaN and -1 if it has no passage.
        """
        cosines = np.full(len(ids), np.nan, np.float32)
        numbers = np.full(len(ids), -1, np.int32)
        rows, found = self._found(ids.tolist())
        places = np.array(found, np.int64)
        starts, lengths = places >> _BITS, places & _MASK
        held = np.flatnonzero(lengths)
        if not len(held):
            return cosines, numbers
        counts = lengths[held]
        firsts = np.cumsum(counts) - counts
        owner = np.repeat(np.arange(len(held)), counts)
        wanted = np.arange(len(owner)) + (starts[held] - firsts)[owner]
        # In this thread alone: a product of this size ends before BLAS has woken other threads.
        values = np.einsum("ij,j->i", rows.matrix[wanted], query[0])
        best = np.maximum.reduceat(values, firsts)
        at_best = np.flatnonzero(values == best[owner])
        first_best = at_best[np.searchsorted(owner[at_best], np.arange(len(held)))]
        cosines[held] = best
        numbers[held] = first_best - firsts
        return cosines, numbers

    def _found(self, seqs: Sequence[int]) -> tuple[_Rows, list[int]]:
        """Return rows with the vectors of all these versions, and their places (0: no vectors)."""
        with self._lock:
            young, old = self._young, self._old
        found = [*map(young.places.get, seqs)]
        known = [place for place in found if place is not None]
        if len(known) == len(found):
            return young, known
        missing = [seq for seq, place in zip(seqs, found, strict=True) if place is None]
        rows = self._read(seqs, missing, young, old)
        return rows, [rows.places.get(seq, 0) for seq in seqs]

    def _read(self, seqs: Sequence[int], missing: Sequence[int], young: _Rows, old: _Rows) -> _Rows:
        """Bring the `missing` vectors into the young rows, where the others are; return the rows
        that hold all of `seqs`.
        """
        fresh = {seq: vectors for seq in missing if (vectors := old.of(seq)) is not None}
        unknown = [seq for seq in missing if seq not in fresh]
        if unknown:
            read = self._reads_of().vectors_by_seq(self._field, self._encoder, unknown)
            fresh |= {seq: vectors for seq, vectors in read if len(vectors)}
        with self._lock:
            if young is self._young and young.take(fresh):
                return young
            fresh |= {seq: vectors for seq in seqs if (vectors := young.of(seq)) is not None}
            if not self._young.take(fresh):
                self._old, self._young = self._young, self._empty(fresh)
                self._young.take(fresh)
            return self._young

    def _has_room(self, wanted: Mapping[int, FloatMatrix]) -> bool:
        return 0 < sum(each.nbytes for each in wanted.values()) <= self._most // 2

    def _empty(self, wanted: Mapping[int, FloatMatrix]) -> _Rows:
        width = next(iter(wanted.values())).shape[1]
        room = self._most // 2 // (4 * width)
        return _Rows(max(room, sum(map(len, wanted.values()))), width)
