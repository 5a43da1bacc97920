"""Exact cosines of candidates, from the record's vectors; those asked for lately are kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from core.retrieval import Floats, Ids, Ints
from storage.record_port import RecordReads

Half = npt.NDArray[np.float16]


class _Rows:
    """Vectors of versions, one below the other, float16 [room, d]. A row never changes once it is
    placed, so what was placed may be read while more is added.
    """

    def __init__(self, room: int, width: int) -> None:
        self.matrix: Half = np.empty((room, width), np.float16)
        self.places: dict[int, tuple[int, int]] = {}  # of each version, first row and their number
        self._used = 0

    def take(self, vectors: Mapping[int, Half]) -> bool:
        """Places what is not here yet, unless there is no room for all of it."""
        fresh = [(seq, rows) for seq, rows in vectors.items() if seq not in self.places]
        if self._used + sum(len(rows) for _, rows in fresh) > len(self.matrix):
            return False
        for seq, rows in fresh:
            first, self._used = self._used, self._used + len(rows)
            self.matrix[first : self._used] = rows
            self.places[seq] = first, len(rows)
        return True

    def of(self, seq: int) -> Half | None:
        """A version's vectors, if they are here."""
        place = self.places.get(seq)
        return None if place is None else self.matrix[place[0] : place[0] + place[1]]


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
        self._lock = threading.Lock()

    def best_passages(self, query: FloatMatrix, ids: Ids) -> tuple[Floats, Ints]:
        """For each of `ids` the cosine of its best passage with `query` [1, d] (NaN without one),
        and that passage's number (-1).
        """
        cosines = np.full(len(ids), np.nan, np.float32)
        numbers = np.full(len(ids), -1, np.int32)
        rows = self._rows(ids.tolist())
        places = [rows.places.get(seq, (0, 0)) for seq in ids.tolist()]
        starts, lengths = np.array(places, np.int64).reshape(len(ids), 2).T
        held = np.flatnonzero(lengths)
        if not len(held):
            return cosines, numbers
        counts = lengths[held]
        firsts = np.cumsum(counts) - counts
        owner = np.repeat(np.arange(len(held)), counts)
        wanted = np.arange(len(owner)) + (starts[held] - firsts)[owner]
        values = rows.matrix[wanted].astype(np.float32) @ query[0]
        best = np.maximum.reduceat(values, firsts)
        at_best = np.flatnonzero(values == best[owner])
        first_best = at_best[np.searchsorted(owner[at_best], np.arange(len(held)))]
        cosines[held] = best
        numbers[held] = first_best - firsts
        return cosines, numbers

    def _rows(self, seqs: Sequence[int]) -> _Rows:
        """Where the vectors of all these versions are, as far as they have any."""
        with self._lock:
            young, old = self._young, self._old
        missing = [seq for seq in seqs if seq not in young.places]
        if not missing:
            return young
        fresh = {seq: vectors for seq in missing if (vectors := old.of(seq)) is not None}
        unknown = [seq for seq in missing if seq not in fresh]
        if unknown:
            read = self._reads_of().vectors_by_seq(self._field, self._encoder, unknown)
            fresh |= {seq: vectors.astype(np.float16) for seq, vectors in read if len(vectors)}
        with self._lock:
            if young is self._young and young.take(fresh):
                return young
            fresh |= {seq: vectors for seq in seqs if (vectors := young.of(seq)) is not None}
            if not self._young.take(fresh):
                self._old, self._young = self._young, self._empty(fresh)
                self._young.take(fresh)
            return self._young

    def _empty(self, wanted: Mapping[int, Half]) -> _Rows:
        width = next(iter(wanted.values())).shape[1]
        room = self._most // 2 // (2 * width)
        return _Rows(max(room, sum(map(len, wanted.values()))), width)
