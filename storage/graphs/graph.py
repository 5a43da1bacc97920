"""Searches a graph: decides when to walk its links, when to scan rows, and what to rescore.

`Links` is the port of an HNSW library, which walks the links.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from core.items import FloatMatrix
from core.retrieval import Floats, Ids, Marks
from storage.graphs.kept import HalfRows, Kept, nearest
from storage.graphs.settings import HnswSettings


class Links(Protocol):
    """Linked rows of n vectors in the library's own memory: built once, then only read."""

    @property
    def bytes(self) -> int:
        """Memory of the links and of the vectors that the walk compares."""
        ...

    def walk(
        self, queries: FloatMatrix, k: int, ef: int, allowed: Marks | None, threads: int
    ) -> tuple[FloatMatrix, Ids]:
        """Return the k nearest rows that the walk finds for each of `queries` [q, d], k <= n.

        The similarities are float32 [q, k] and the rows int64 [q, k], best first; a row is -1 if
        fewer were found. The walk goes through rows that are not `allowed` (bool [n], at least one
        True), but does not return them.
        """
        ...

    def save(self, path: Path) -> None:
        """Write links and vectors into one file."""
        ...


_WIDEST = 8.0  # how far a filter widens the first walk
_WIDENED = 4  # and each further walk
_SCANNED_PER_EF = 8  # a scan of this many rows takes as long as a walk for 1 of its width


class HnswGraph:
    """`core.ports.graphs.VectorGraph` with linked rows (`links`) and the vectors behind them."""

    def __init__(self, links: Links, kept: Kept, file: str, settings: HnswSettings) -> None:
        self.links = links
        self._kept = kept
        self._file = file
        self._settings = settings
        self._rescore = settings.rescored
        self.count = kept.shape[0]

    @property
    def bytes(self) -> int:
        """Memory of the links and of the vectors that are not on disk."""
        return self.links.bytes + self._kept.bytes

    def save(self, folder: Path) -> None:
        """Write the files. Vectors kept beside the graph then leave memory and are mapped."""
        self.links.save(folder / self._file)
        if isinstance(self._kept, HalfRows) and self._kept.bytes:
            self._kept = self._kept.save(folder)

    def cosines(self, query: FloatMatrix, rows: Ids) -> Floats:
        """Return the cosine of `query` with each of `rows`."""
        return self._kept.cosines(query, rows)

    def vectors(self, rows: Ids | None = None) -> FloatMatrix:
        """Return the vectors of `rows`, or all."""
        return self._kept.vectors(rows)

    def search(
        self, query: FloatMatrix, k: int, allowed: Marks | None = None, ef: int | None = None
    ) -> tuple[Floats, Ids]:
        """Return the `k` nearest allowed rows, best first, by a walk or a scan."""
        if self.count <= self._settings.exact_whole:
            return self._scan(query, k, allowed)
        count = self.count if allowed is None else int(np.count_nonzero(allowed))
        if allowed is None or count == self.count:
            return self.walk(query, k, None, ef)
        return self._filtered(query, k, allowed, count, ef)

    def _filtered(
        self, query: FloatMatrix, k: int, allowed: Marks, count: int, ef: int | None
    ) -> tuple[Floats, Ids]:
        """Return the nearest of `count` allowed rows. The walk finds the nearest of all rows; if
        enough of them are allowed, these are the answer. If not, because the allowed rows lie far
        from the query, the walk is widened until a scan of the allowed rows costs less.
        """
        wanted = min(k * self._rescore, count)
        wide = max(wanted, ef or self._settings.ef_search)
        wide = int(wide * min(_WIDEST, self.count / max(count, 1)))
        while count >= self._settings.exact_below and count > _SCANNED_PER_EF * wide:
            cosines, rows = self.links.walk(query, min(wide, self.count), wide, None, 1)
            kept = np.flatnonzero((rows[0] >= 0) & allowed[rows[0]])
            if len(kept) >= wanted:
                found = cosines[0][kept[:wanted]], rows[0][kept[:wanted]]
                return found if self._rescore == 1 else self._rescored(query, found[1], k)
            wide *= _WIDENED
        rows = np.flatnonzero(allowed)
        return nearest(self._kept.cosines(query, rows), rows, k)

    def walk(
        self, query: FloatMatrix, k: int, allowed: Marks | None = None, ef: int | None = None
    ) -> tuple[Floats, Ids]:
        """Return the `k` nearest allowed rows, best first, always by a walk."""
        if allowed is not None:
            count = int(np.count_nonzero(allowed))
            if count == 0:
                return np.zeros(0, np.float32), np.zeros(0, np.int64)
            if count == self.count:
                allowed = None
        found = self._walked(query, k, allowed, ef, 1)
        cosines, rows = found[0][0], found[1][0]
        if rows[-1] < 0:
            cosines, rows = cosines[rows >= 0], rows[rows >= 0]
        return (cosines, rows) if self._rescore == 1 else self._rescored(query, rows, k)

    def search_many(
        self, queries: FloatMatrix, k: int, ef: int | None = None, threads: int = 1
    ) -> tuple[FloatMatrix, Ids]:
        """Return the nearest rows of each query, by a walk."""
        cosines, rows = self._walked(queries, k, None, ef, threads)
        k = min(k, self.count)
        if self._rescore == 1:
            cosines[rows < 0] = -np.inf
            return cosines, rows
        best = np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1)
        for place, candidates in enumerate(rows):
            query = queries[place : place + 1]
            found = self._rescored(query, candidates[candidates >= 0], k)
            best[0][place, : len(found[0])], best[1][place, : len(found[1])] = found
        return best

    def _walked(
        self, queries: FloatMatrix, k: int, allowed: Marks | None, ef: int | None, threads: int
    ) -> tuple[FloatMatrix, Ids]:
        wanted = k * self._rescore
        wide = max(wanted, ef or self._settings.ef_search)
        return self.links.walk(queries, min(wanted, self.count), wide, allowed, threads)

    def _rescored(self, query: FloatMatrix, rows: Ids, k: int) -> tuple[Floats, Ids]:
        return nearest(self._kept.cosines(query, rows), rows, k)

    def _scan(self, query: FloatMatrix, k: int, allowed: Marks | None) -> tuple[Floats, Ids]:
        """Return the nearest rows by a scan of all rows in place, which copies none."""
        cosines = self._kept.cosines(query)
        rows = np.arange(len(cosines)) if allowed is None else np.flatnonzero(allowed)
        return nearest(cosines[rows], rows, k)
