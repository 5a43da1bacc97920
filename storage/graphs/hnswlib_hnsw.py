"""HNSW with hnswlib, the library of the algorithm's authors (extra [hnswlib])."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np

from core.items import FloatMatrix
from core.retrieval import Ids, Marks
from storage.graphs.settings import HnswSettings

FILE = "graph.hnswlib"
_SEED = 100


class HnswlibLinks:
    """`Links` with an hnswlib.Index over inner products."""

    def __init__(self, index: Any) -> None:
        self._index = index
        # All searches of an index share its width, so it is never set after this. Instead a search
        # asks for `ef` rows, which widens it as much, and drops the rows it does not need.
        index.set_ef(1)
        self._count = int(index.get_current_count())

    @classmethod
    def build(cls, vectors: FloatMatrix, settings: HnswSettings, threads: int) -> HnswlibLinks:
        """Link `vectors` float32 [n, d]."""
        index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        index.init_index(
            max_elements=len(vectors),
            ef_construction=settings.ef_construction,
            M=settings.m,
            random_seed=_SEED,
        )
        index.add_items(vectors, np.arange(len(vectors)), num_threads=threads)
        return cls(index)

    @classmethod
    def load(cls, path: Path, shape: tuple[int, int]) -> HnswlibLinks:
        """Open what `save` wrote for vectors of that `shape`. A file that changed since may end the
        process. Raises RuntimeError or ValueError.
        """
        index = hnswlib.Index(space="ip", dim=shape[1])
        index.load_index(str(path))
        links = cls(index)
        if links._count != shape[0]:
            raise ValueError(f"{path.name} has {links._count} rows, its vectors {shape[0]}")
        return links

    def save(self, path: Path) -> None:
        """Write links and vectors into one file."""
        self._index.save_index(str(path))

    @property
    def bytes(self) -> int:
        """The size of the index's file, which is a copy of its memory."""
        return int(self._index.index_file_size())

    def walk(
        self, queries: FloatMatrix, k: int, ef: int, allowed: Marks | None, threads: int
    ) -> tuple[FloatMatrix, Ids]:
        """Return near allowed rows of each query. hnswlib counts only allowed rows towards `ef`,
        and calls Python for each row.
        """
        if allowed is None:
            rows, distances = self._index.knn_query(
                queries, min(max(k, ef), self._count), num_threads=threads
            )
            return 1 - distances[:, :k], rows[:, :k].astype(np.int64)
        wanted = min(max(k, ef), int(np.count_nonzero(allowed)))
        # a look-up in bytes is faster than in numpy's booleans
        marks = allowed.tobytes().__getitem__
        cosines = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1, np.int64)
        for place in range(len(queries)):
            found = self._allowed(queries[place : place + 1], wanted, marks)
            size = min(k, len(found[1]))
            cosines[place, :size], rows[place, :size] = found[0][:size], found[1][:size]
        return cosines, rows

    def _allowed(
        self, query: FloatMatrix, wanted: int, marks: Callable[[int], int]
    ) -> tuple[Any, Any]:
        """Return up to `wanted` allowed rows. hnswlib raises if it reaches fewer than asked for, so
        this asks for half as many until it succeeds.
        """
        while wanted:
            try:
                rows, distances = self._index.knn_query(query, wanted, num_threads=1, filter=marks)
            except RuntimeError:
                wanted //= 2
            else:
                return 1 - distances[0], rows[0].astype(np.int64)
        return np.zeros(0, np.float32), np.zeros(0, np.int64)
