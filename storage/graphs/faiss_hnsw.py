"""HNSW with faiss, and the vectors that a walk of a graph compares, at each precision.

faiss can't remove or add rows while it searches, so links are built once and then only read; only
the bitmap of allowed rows changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from core.retrieval import Ids, Marks
from storage.graphs.settings import HnswSettings, Precision

_METRIC = faiss.METRIC_INNER_PRODUCT
_PQ_ROWS, _PQ_ROUNDS, _PQ_CENTROIDS = 8192, 8, 256  # more rows or rounds find no more


def _fp16(dimension: int) -> Any:
    return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, _METRIC)


def _int8(dimension: int) -> Any:
    return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, _METRIC)


def _pq(dimension: int) -> Any:
    index = faiss.IndexPQ(dimension, parts_of(dimension), 8, _METRIC)
    index.pq.cp.niter = _PQ_ROUNDS
    index.pq.cp.min_points_per_centroid = 1  # no warnings on stderr about few rows
    return index


def _binary(dimension: int) -> Any:
    return faiss.IndexRaBitQ(dimension, _METRIC, 1)


_MADE: dict[Precision, tuple[type, Callable[[int], Any]]] = {
    "fp16": (faiss.IndexScalarQuantizer, _fp16),
    "int8": (faiss.IndexScalarQuantizer, _int8),
    "pq": (faiss.IndexPQ, _pq),
    "binary": (faiss.IndexRaBitQ, _binary),
}


def filled(precision: Precision, vectors: FloatMatrix) -> Any:
    """Return a trained faiss index with `vectors` float32 [n, d], n > 0, at a reduced precision."""
    index = _MADE[precision][1](vectors.shape[1])
    index.train(_sample(vectors) if precision == "pq" else vectors)
    index.add(vectors)
    return index


def is_of(precision: Precision, storage: Any) -> bool:
    """Return whether a graph's storage (downcast) is of this precision."""
    if precision == "fp32":
        return isinstance(storage, faiss.IndexFlat)
    kind, make = _MADE[precision]
    made, size = make(int(storage.d)), int(storage.sa_code_size())
    return isinstance(storage, kind) and int(made.sa_code_size()) == size


def parts_of(dimension: int) -> int:
    """Return the bytes of a vector in pq: one per four dimensions, or fewer if that is uneven."""
    return next(parts for parts in range(max(1, dimension // 4), 0, -1) if dimension % parts == 0)


def _sample(vectors: FloatMatrix) -> FloatMatrix:
    """Return rows from all parts of the matrix, at least as many as k-means has centroids."""
    count = len(vectors)
    if count < _PQ_CENTROIDS:
        return np.resize(vectors, (_PQ_CENTROIDS, vectors.shape[1]))
    return spread(vectors, _PQ_ROWS)


def spread(vectors: FloatMatrix, most: int) -> FloatMatrix:
    """Return at most so many rows, from all parts of the matrix."""
    count = len(vectors)
    return vectors[np.linspace(0, count - 1, min(count, most)).astype(np.int64)]


def selector(allowed: Marks) -> Any:
    """Return faiss's form of the `allowed` rows, bool [n]."""
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


_WIDEST = 8.0
_MAPPED = getattr(faiss, "IO_FLAG_MMAP_IFC", 0)  # since 1.11; before, a file is read whole


class FaissLinks:
    """`Links` with a faiss.IndexHNSW, `index`."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self._storage = faiss.downcast_index(index.storage)
        self._plain: dict[int, Any] = {}  # by ef, kept because making them takes as long as a hop

    @classmethod
    def build(cls, vectors: FloatMatrix, settings: HnswSettings, threads: int) -> FaissLinks:
        """Link `vectors` float32 [n, d] by their full values at every precision, because links
        chosen by reduced values are worse. While it builds, that takes the memory of the full ones.
        """
        index = faiss.IndexHNSWFlat(vectors.shape[1], settings.m, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = settings.ef_construction
        # The choice of diverse links leaves places empty; fill them with the nearest of the links
        # passed over. Searches then find more neighbours, for a quarter more time to build.
        index.keep_max_size_level0 = True
        with on_threads(threads):
            index.add(np.ascontiguousarray(vectors, np.float32))
            if settings.precision == "fp32":
                return cls(index)
            storage = filled(settings.precision, vectors)
        reduced = faiss.IndexHNSW(storage, settings.m)
        reduced.hnsw = index.hnsw
        reduced.ntotal = storage.ntotal
        return cls(reduced)

    @classmethod
    def load(cls, path: Path, precision: Precision) -> FaissLinks:
        """Map what `save` wrote into memory: it is read as a search needs it, and processes share
        it. Raises RuntimeError or ValueError.
        """
        index = faiss.read_index(str(path), _MAPPED)
        if not isinstance(index, faiss.IndexHNSW):
            raise ValueError(f"{path.name} is no HNSW graph")
        links = cls(index)
        if not is_of(precision, links._storage):
            raise ValueError(f"{path.name} does not hold {precision} vectors")
        return links

    def save(self, path: Path) -> None:
        """Write links and vectors into one file."""
        faiss.write_index(self.index, str(path))

    @property
    def bytes(self) -> int:
        """Memory of the links and of the vectors that the walk compares."""
        hnsw = self.index.hnsw
        links = 4 * hnsw.neighbors.size() + 8 * hnsw.offsets.size() + 4 * hnsw.levels.size()
        return int(links + self._storage.sa_code_size() * self.index.ntotal)

    def walk(
        self, queries: FloatMatrix, k: int, ef: int, allowed: Marks | None, threads: int
    ) -> tuple[FloatMatrix, Ids]:
        """Return near allowed rows of each query. faiss counts rows that are not allowed towards
        `ef`, so `ef` grows as the allowed share shrinks.
        """
        if allowed is None:
            parameters = self._plain.get(ef) or self._plain.setdefault(
                ef, faiss.SearchParametersHNSW(efSearch=ef)
            )
        else:
            share = np.count_nonzero(allowed) / len(allowed)
            parameters = faiss.SearchParametersHNSW(
                efSearch=int(ef * min(_WIDEST, 1 / share)), sel=selector(allowed)
            )
        if len(queries) == 1:
            found: tuple[FloatMatrix, Ids] = self.index.search(queries, k, params=parameters)
            return found
        with on_threads(threads):
            many: tuple[FloatMatrix, Ids] = self.index.search(queries, k, params=parameters)
            return many

    def whole(self) -> FloatMatrix:
        """Return the graph's own vectors at fp32, float32 [n, d], without a copy."""
        count, dimension = self.index.ntotal, self.index.d
        flat = faiss.rev_swig_ptr(self._storage.get_xb(), count * dimension)
        found: FloatMatrix = flat.reshape(count, dimension)
        return found

    def halves(self) -> npt.NDArray[np.float16]:
        """Return the graph's own vectors at fp16, float16 [n, d], without a copy."""
        count, dimension = self.index.ntotal, self.index.d
        flat = faiss.rev_swig_ptr(self._storage.codes.data(), count * dimension * 2)
        found: npt.NDArray[np.float16] = flat.view(np.float16).reshape(count, dimension)
        return found


@contextmanager
def on_threads(threads: int) -> Iterator[None]:
    """Let faiss use so many threads here."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
