"""Inverted lists with faiss (IVF: Jegou, Douze and Schmid, 2011), for archives of millions.

Rows lie in lists by their nearest centroid. A search reads the lists whose centroids are nearest to
the query, row by row, as products of four bits for two dimensions, which stay in the processor's
registers (Andre, Kermarrec and Le Scouarnec, 2015). There are no links: a million rows are built in
minutes, where their graph takes half an hour, and a row has 96 bytes in memory at 384 dimensions
where a graph of whole vectors has 1,800. Float16 vectors on disk order what is found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from core.items import FloatMatrix
from core.retrieval import Ids, Marks
from storage.graphs.faiss_hnsw import on_threads, selector, spread

_METRIC = faiss.METRIC_INNER_PRODUCT
_BITS = 4
_LEARNED = 48  # rows for each centroid that k-means learns from; more find no more
_ROUNDS = 6
_LEAST = 32  # rows of a list, in the mean
_PIECE = 65_536  # rows that are added at once, which bounds the memory of a build
_SEED = 1729
# A list is read for 3 of a search's width: a search for 100 rows, 400 wide, then finds as many of
# the nearest among a million as a graph should (docs/vector-graphs.md).
_WIDTH = 3


class InvertedLists:
    """`Links` with a faiss.IndexIVFPQFastScan, `index`."""

    def __init__(self, index: Any) -> None:
        self.index = index

    @classmethod
    def build(cls, vectors: FloatMatrix, threads: int) -> InvertedLists:
        """Put `vectors` float32 [n, d], n > 0, into lists."""
        count, dimension = vectors.shape
        with on_threads(threads):
            centroids = _centroids(vectors, lists_of(count))
            coarse = faiss.IndexFlatIP(dimension)
            coarse.add(centroids)
            index = faiss.IndexIVFPQFastScan(
                coarse, dimension, len(centroids), _parts_of(dimension), _BITS, _METRIC
            )
            index.quantizer_trains_alone = 1  # the centroids are there
            index.pq.cp.min_points_per_centroid = 1  # no warnings on stderr about few rows
            index.train(_sample(vectors, _PIECE))
            for start in range(0, count, _PIECE):
                index.add(np.ascontiguousarray(vectors[start : start + _PIECE], np.float32))
        coarse.this.disown()  # the index frees it
        index.own_fields = True
        return cls(index)

    @classmethod
    def load(cls, path: Path) -> InvertedLists:
        """Read what `save` wrote. Raises RuntimeError or ValueError."""
        index = faiss.read_index(str(path))
        if not isinstance(index, faiss.IndexIVFPQFastScan):
            raise ValueError(f"{path.name} holds no inverted lists")
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the lists into one file."""
        faiss.write_index(self.index, str(path))

    @property
    def bytes(self) -> int:
        """Memory of the lists and of the centroids."""
        index = self.index
        row = int(index.pq.code_size) + 8  # its products and its number
        return int(row * index.ntotal + 4 * index.d * index.nlist)

    def walk(
        self, queries: FloatMatrix, k: int, ef: int, allowed: Marks | None, threads: int
    ) -> tuple[FloatMatrix, Ids]:
        """Read a list for each _WIDTH of `ef`. Where few rows are allowed, more are read."""
        only, lists = None, -(-ef // _WIDTH)
        if allowed is not None:
            only = selector(allowed)
            lists = int(lists * len(allowed) / np.count_nonzero(allowed))
        parameters = faiss.SearchParametersIVF(nprobe=min(lists, self.index.nlist), sel=only)
        with on_threads(threads):
            found: tuple[FloatMatrix, Ids] = self.index.search(queries, k, params=parameters)
        return found


def lists_of(count: int) -> int:
    """Return how many lists `count` rows have: twice the square root, none of few rows."""
    return max(1, min(int(2 * count**0.5), count // _LEAST))


def _parts_of(dimension: int) -> int:
    """Return how many parts a vector is cut into: one for two dimensions, or, if their number is
    odd, one for each.
    """
    return dimension // 2 if dimension % 2 == 0 else dimension


def _centroids(vectors: FloatMatrix, lists: int) -> FloatMatrix:
    means = faiss.Kmeans(
        vectors.shape[1],
        lists,
        niter=_ROUNDS,
        spherical=True,
        seed=_SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=_LEARNED,
    )
    means.train(_sample(vectors, lists * _LEARNED))
    found: FloatMatrix = means.centroids
    return found


def _sample(vectors: FloatMatrix, most: int) -> FloatMatrix:
    """Return rows from all parts of the matrix. Products are not defined where all rows are equal,
    so a few rows stand among others.
    """
    if len(vectors) < _LEAST:
        others = np.random.default_rng(_SEED).standard_normal((_LEAST, vectors.shape[1]))
        return np.concatenate([vectors, others.astype(np.float32)])
    return spread(vectors, most)
