"""The ports of a vector index, for the engine that keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from core.items import FloatMatrix
from core.retrieval import Floats, Ids, Marks


class VectorGraph(Protocol):
    """A graph over unit vectors [n, d], and the vectors behind it in the precision of the record of
    truth (float16). Similarity is the cosine. It is built once and then only read, by any number of
    threads.
    """

    @property
    def count(self) -> int:
        """How many rows it has, n."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes of memory for the links and for the vectors that are not on disk."""
        ...

    def search(
        self, query: FloatMatrix, k: int, allowed: Marks | None = None, ef: int | None = None
    ) -> tuple[Floats, Ids]:
        """Return the `k` nearest allowed rows of `query` [1, d]: cosines float32 and rows int64,
        best first, at most k long.

        `allowed` is bool [n], None for all. `ef` is the width of the search, None for the value of
        the settings. Where rows or allowed rows are few, they are scanned.
        """
        ...

    def walk(
        self, query: FloatMatrix, k: int, allowed: Marks | None = None, ef: int | None = None
    ) -> tuple[Floats, Ids]:
        """Search like `search`, but always by the graph, however few rows are allowed."""
        ...

    def search_many(
        self, queries: FloatMatrix, k: int, ef: int | None = None, threads: int = 1
    ) -> tuple[FloatMatrix, Ids]:
        """Return the nearest rows of `queries` [q, d], by the graph only: cosines float32 and rows
        int64 [q, min(k, n)], best first. Where fewer were found, the row is -1 and the cosine -inf.
        """
        ...

    def cosines(self, query: FloatMatrix, rows: Ids) -> Floats:
        """Return the cosine of `query` [1, d] with each of `rows` [r]: float32 [r]."""
        ...

    def vectors(self, rows: Ids | None = None) -> FloatMatrix:
        """Return the vectors of `rows`, float32 [r, d]; without `rows`, all vectors."""
        ...

    def save(self, folder: Path) -> None:
        """Write the graph's files into an existing folder; what can be read from there leaves
        memory.
        """
        ...


class GraphBuilder(Protocol):
    """Makes graphs of one implementation, precision and build parameters."""

    @property
    def kind(self) -> str:
        """Implementation and precision, such as `faiss:fp32`."""
        ...

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that `save` writes, the graph first."""
        ...

    def build(self, vectors: FloatMatrix, threads: int) -> VectorGraph:
        """Return a graph over unit `vectors` float32 [n, d], n > 0, on `threads` threads."""
        ...

    def load(self, folder: Path) -> VectorGraph:
        """Open what `save` wrote. The caller has verified the files' checksums, because a damaged
        file can end the process. Raises OSError, RuntimeError or ValueError.
        """
        ...
