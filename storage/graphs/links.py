"""The port of an HNSW library: it walks its links."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from core.items import FloatMatrix
from core.retrieval import Ids, Marks


class Links(Protocol):
    """Linked rows of n vectors in the library's own memory: built once, then only read."""

    @property
    def bytes(self) -> int:
        """Memory of the links and of the vectors that the walk compares."""
        ...

    def walk(
        self, queries: FloatMatrix, k: int, ef: int, allowed: Marks | None, threads: int
    ) -> tuple[FloatMatrix, Ids]:
        """Return near rows of each of `queries` [q, d]: similarities float32 and rows int64 [q, k],
        best first, k <= n; the row is -1 where fewer were found. The walk passes rows that are not
        `allowed` (bool [n], with at least one True) but does not return them.
        """
        ...

    def save(self, path: Path) -> None:
        """Write links and vectors into one file."""
        ...
