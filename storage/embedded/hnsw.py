"""HNSW graphs by faiss behind one small class (Malkov and Yashunin, 2018).

M is the number of links per node, efConstruction the width of the search for them when a node is
added, efSearch the width when searching. faiss can't remove or add while it searches, so a graph
here is built once and then only read; what changes is the bitmap of allowed rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from core.retrieval import Floats

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_WIDEST = 8.0


@dataclass(frozen=True, slots=True)
class HnswSettings:
    """Build and query parameters.

    `exact_below`: with fewer allowed rows than this a scan of them is faster than the graph, and
    has no loss. Above it, efSearch grows as the allowed share shrinks (to eightfold at most), for
    what is allowed may lie far from the query's neighbours. A graph of at most `exact_whole` rows
    is not walked at all: scanning it takes about a millisecond.
    """

    m: int = 16
    ef_construction: int = 200
    ef_search: int = 128
    exact_below: int = 4000
    exact_whole: int = 10_000


class HnswGraph:
    """A graph over unit vectors float32 [n, d]; similarity is the inner product, i.e. cosine."""

    def __init__(self, index: faiss.IndexHNSWFlat, settings: HnswSettings) -> None:
        self._index = index
        self._settings = settings
        flat = faiss.rev_swig_ptr(
            faiss.downcast_index(index.storage).get_xb(), index.ntotal * index.d
        )
        self.vectors: FloatMatrix = flat.reshape(index.ntotal, index.d)

    @classmethod
    def build(cls, vectors: FloatMatrix, settings: HnswSettings, threads: int) -> HnswGraph:
        """Builds over `vectors` [n, d], n > 0, on `threads` threads."""
        index = faiss.IndexHNSWFlat(vectors.shape[1], settings.m, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = settings.ef_construction
        before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(threads)
        try:
            index.add(np.ascontiguousarray(vectors, np.float32))
        finally:
            faiss.omp_set_num_threads(before)
        return cls(index, settings)

    @classmethod
    def load(cls, path: Path, settings: HnswSettings) -> HnswGraph:
        """Opens a file whose checksum the caller has verified."""
        return cls(faiss.read_index(str(path)), settings)

    def save(self, path: Path) -> None:
        """Writes the graph and its vectors."""
        faiss.write_index(self._index, str(path))

    def search(self, query: FloatMatrix, k: int, allowed: Mask | None) -> tuple[Floats, Rows]:
        """The `k` nearest allowed rows of `query` [1, d]: cosines and rows, best first, at most k
        long. `allowed` is bool [n], None for all.
        """
        if len(self.vectors) <= self._settings.exact_whole:
            return self._scan(query, k, allowed)
        if allowed is None:
            return self._graph(query, k)
        count = int(np.count_nonzero(allowed))
        if count == 0:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        if count == len(allowed):
            return self._graph(query, k)
        if count < self._settings.exact_below:
            return self._exact(query, k, np.flatnonzero(allowed))
        bitmap = np.packbits(allowed, bitorder="little")
        widened = min(_WIDEST, len(allowed) / count)
        return self._graph(query, k, faiss.IDSelectorBitmap(bitmap), widened)

    def _graph(
        self,
        query: FloatMatrix,
        k: int,
        selector: faiss.IDSelectorBitmap | None = None,
        widened: float = 1.0,
    ) -> tuple[Floats, Rows]:
        wide = int(max(k, self._settings.ef_search) * widened)
        parameters = faiss.SearchParametersHNSW(efSearch=wide, sel=selector)
        cosines, rows = self._index.search(query, min(k, self._index.ntotal), params=parameters)
        found = rows[0] >= 0
        return cosines[0][found], rows[0][found]

    def _scan(self, query: FloatMatrix, k: int, allowed: Mask | None) -> tuple[Floats, Rows]:
        """Every row in place, which needs no copy as picked rows do."""
        cosines: Floats = self.vectors @ query[0]
        rows = np.arange(len(cosines)) if allowed is None else np.flatnonzero(allowed)
        return nearest(cosines[rows], rows, k)

    def _exact(self, query: FloatMatrix, k: int, rows: Rows) -> tuple[Floats, Rows]:
        return nearest(self.vectors[rows] @ query[0], rows, k)


def nearest(cosines: Floats, rows: Rows, k: int) -> tuple[Floats, Rows]:
    """The `k` largest of `cosines` with their rows, best first, ties by row."""
    if len(cosines) > k:
        top = np.argpartition(-cosines, k - 1)[:k]
        cosines, rows = cosines[top], rows[top]
    order = np.lexsort((rows, -cosines))
    return cosines[order], rows[order]
