"""What a vector index is to the engine that keeps it; `core.ports` has the engine's own parts."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from core.items import FloatMatrix
from core.retrieval import Floats, Ids, Marks


class NearestRows(Protocol):
    """Finds the nearest among stored unit vectors; similarity is the cosine."""

    def search(
        self, query: FloatMatrix, k: int, allowed: Marks | None = None, ef: int | None = None
    ) -> tuple[Floats, Ids]:
        """The `k` nearest allowed rows of `query` [1, d] as it is served: cosines float32 and rows
        int64, best first, at most k long. `allowed` is bool [n], None for all. `ef` is the width of
        the search, None for the setting's. Few rows, or few allowed ones, are scanned.
        """
        ...

    def walk(
        self, query: FloatMatrix, k: int, allowed: Marks | None = None, ef: int | None = None
    ) -> tuple[Floats, Ids]:
        """As `search`, but by the graph alone, however few rows are allowed."""
        ...

    def search_many(
        self, queries: FloatMatrix, k: int, ef: int | None = None, threads: int = 1
    ) -> tuple[FloatMatrix, Ids]:
        """By the graph alone, for queries [q, d]: cosines float32 and rows int64 [q, min(k, n)],
        best first; a row of -1 and a cosine of -inf where fewer were found.
        """
        ...


class KeptVectors(Protocol):
    """The vectors behind a graph, to the precision of the record of truth (float16)."""

    def cosines(self, query: FloatMatrix, rows: Ids) -> Floats:
        """The cosine of `query` [1, d] with each of `rows` [r]: float32 [r]."""
        ...

    def vectors(self, rows: Ids | None = None) -> FloatMatrix:
        """float32 [r, d], all of them without `rows`."""
        ...


class VectorGraph(NearestRows, KeptVectors, Protocol):
    """A graph over unit vectors [n, d]: built once, then only read, by any number of threads."""

    @property
    def count(self) -> int:
        """How many rows it has, n."""
        ...

    @property
    def bytes(self) -> int:
        """Memory of its links and of those vectors that are not on disk."""
        ...

    def save(self, folder: Path) -> None:
        """Writes its files into an existing folder; what may be read from there leaves memory."""
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
        """A graph over unit `vectors` float32 [n, d], n > 0, on `threads` threads."""
        ...

    def load(self, folder: Path) -> VectorGraph:
        """Opens what `save` wrote. The caller has verified the files' checksums: a damaged file may
        end the process. Raises OSError, RuntimeError or ValueError.
        """
        ...
