"""What an HNSW library does for us: it walks its links."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from core.items import FloatMatrix
from core.retrieval import Ids, Marks


class Links(Protocol):
    """Linked rows of n vectors, in the library's own memory. Only read once they are built."""

    @property
    def bytes(self) -> int:
        """Memory of the links and of the vectors that the walk compares."""
        ...

    def walk(
        self, queries: FloatMatrix, k: int, ef: int, allowed: Marks | None, threads: int
    ) -> tuple[FloatMatrix, Ids]:
        """Near rows of each of `queries` [q, d]: similarities float32 and rows int64 [q, k], best
        first, k <= n; a row of -1 where no more were found. A row that is not `allowed` (bool [n],
        with at least one True) is walked over and not given.
        """
        ...

    def save(self, path: Path) -> None:
        """Writes links and vectors into one file."""
        ...
