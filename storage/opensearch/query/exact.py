"""Exact cosines of candidates, from the record's vectors; those asked for lately are kept, and the
newest are read before anybody asks.
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
    """Vectors of versions, one below the other, float32 [room, d]: as they are reckoned with, which
    is twice what the record holds them in, and is read at each search. A row never changes once it
    is placed, so what was placed may be read while more is added.
    """

    def __init__(self, room: int, width: int) -> None:
        self.matrix: FloatMatrix = np.empty((room, width), np.float32)
        self.places: dict[int, int] = {}  # of versions: first row, and how many
        self._used = 0

    def take(self, vectors: Mapping[int, FloatMatrix]) -> bool:
        """Places what is not here yet, unless there is no room for all of it."""
        fresh = [(seq, rows) for seq, rows in vectors.items() if seq not in self.places]
        if self._used + sum(len(rows) for _, rows in fresh) > len(self.matrix):
            return False
        for seq, rows in fresh:
            first, self._used = self._used, self._used + len(rows)
            self.matrix[first : self._used] = rows
            self.places[seq] = first << _BITS | len(rows)
        return True

    def of(self, seq: int) -> FloatMatrix | None:
        """A version's vectors, if they are here."""
        place = self.places.get(seq)
        if place is None:
            return None
        first = place >> _BITS
        return self.matrix[first : first + (place & _MASK)]


_NONE = _Rows(0, 0)


class ExactCosines:
    """Of one vector field by one encoder, over the record behind `reads_of`. A version's vectors
    never change once it has them. Keeps at most `most_bytes`, or what one search is about: what was
    asked for since half of that was filled last, and what was before. Thread-safe.
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
        """Reads the next few of the newest versions' vectors, from the `newest` down, into what
        room is left. Gives whether there is more to read. What can't be read is for whoever asks
        for it: nothing is read ahead any more.
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
        """For each of `ids` the cosine of its best passage with `query` [1, d] (NaN without one),
        and that passage's number (-1).
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
        # By this thread alone: a product of this size is done before BLAS has woken others.
        values = np.einsum("ij,j->i", rows.matrix[wanted], query[0])
        best = np.maximum.reduceat(values, firsts)
        at_best = np.flatnonzero(values == best[owner])
        first_best = at_best[np.searchsorted(owner[at_best], np.arange(len(held)))]
        cosines[held] = best
        numbers[held] = first_best - firsts
        return cosines, numbers

    def _found(self, seqs: Sequence[int]) -> tuple[_Rows, list[int]]:
        """The vectors of all these versions, as far as they have any, and their places."""
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
        """Where the vectors of `seqs` are then; the young have those that are not missing."""
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
