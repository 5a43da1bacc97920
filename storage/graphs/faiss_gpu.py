"""Every vector on an NVIDIA card, which scans them all: exact, and without links to build.

The build of faiss for cards that can be installed has no graph of its own (CAGRA). A card reads a
million vectors of 384 numbers faster than a processor walks a graph of them, so here `walk` scans.
What the card can't do stays on the processor: a filter that must hold during the search, and more
than MOST rows. Needs faiss-gpu in place of faiss-cpu (extra [gpu]).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from core.items import FloatMatrix
from core.retrieval import Ids, Marks
from storage.graphs.faiss_hnsw import selector

MOST = 2048  # rows of a query that a card can give


def problem() -> str:
    """Return why no card can be used here; "" if one can."""
    if not hasattr(faiss, "StandardGpuResources"):
        return "this faiss was built for the processor only"
    return "" if faiss.get_num_gpus() else "no NVIDIA card or driver was found"


def on_card(index: Any) -> Any:
    """Return a copy of a flat index on the first card; the card's memory lives as long."""
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)


class CardLinks:
    """`Links` without links: `index` is a faiss.IndexFlat, and `card` its copy on the card."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self._card = on_card(index)
        self._one_at_a_time = threading.Lock()  # a card's scratch memory is for one search

    @classmethod
    def build(cls, vectors: FloatMatrix) -> CardLinks:
        """Put `vectors` float32 [n, d] on the card."""
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, np.float32))
        return cls(index)

    @classmethod
    def load(cls, path: Path) -> CardLinks:
        """Read what `save` wrote, and put it on the card. Raises RuntimeError or ValueError."""
        index = faiss.read_index(str(path))
        if not isinstance(index, faiss.IndexFlat):
            raise ValueError(f"{path.name} holds no whole vectors")
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the vectors into one file."""
        faiss.write_index(self.index, str(path))

    @property
    def bytes(self) -> int:
        """Memory of the vectors here; the card has as much."""
        return int(4 * self.index.ntotal * self.index.d)

    def walk(
        self, queries: FloatMatrix, k: int, ef: int, allowed: Marks | None, threads: int
    ) -> tuple[FloatMatrix, Ids]:
        """Return the nearest allowed rows of each query; `ef` has no meaning in a scan."""
        if allowed is not None or k > MOST:
            return self._here(queries, k, allowed)
        with self._one_at_a_time:
            found: tuple[FloatMatrix, Ids] = self._card.search(queries, k)
        return found

    def _here(self, queries: FloatMatrix, k: int, allowed: Marks | None) -> tuple[FloatMatrix, Ids]:
        parameters = None
        if allowed is not None:
            parameters = faiss.SearchParameters(sel=selector(allowed))
        found: tuple[FloatMatrix, Ids] = self.index.search(queries, k, params=parameters)
        return found

    def whole(self) -> FloatMatrix:
        """Return the vectors here, float32 [n, d], without a copy."""
        count, dimension = self.index.ntotal, self.index.d
        flat: FloatMatrix = faiss.rev_swig_ptr(self.index.get_xb(), count * dimension)
        return flat.reshape(count, dimension)
