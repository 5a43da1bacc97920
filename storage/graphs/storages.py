"""The vectors that a walk of a faiss graph compares, at each precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from core.items import FloatMatrix
from storage.graphs.settings import Precision

_METRIC = faiss.METRIC_INNER_PRODUCT
_PQ_ROWS, _PQ_ROUNDS, _PQ_CENTROIDS = 8192, 8, 256  # larger ones find no more


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
    rows = np.linspace(0, count - 1, min(count, _PQ_ROWS)).astype(np.int64)
    return vectors[rows]
