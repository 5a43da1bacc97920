"""The vectors behind a graph, for exact cosines: float32, or float16 that may lie on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from core.retrieval import Floats, Ids

HALVES = "vectors.npy"
_BLOCK = 512  # rows that stay in the processor's cache while they are converted
Halves: TypeAlias = npt.NDArray[np.float16]


class Kept(Protocol):
    """Unit vectors [n, d] by row."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimensions."""
        ...

    @property
    def bytes(self) -> int:
        """Memory of the vectors, without the graph's own."""
        ...

    def cosines(self, query: FloatMatrix, rows: Ids | None = None) -> Floats:
        """Return the cosine of `query` [1, d] with each of `rows` [r], or with all: float32 [r]."""
        ...

    def vectors(self, rows: Ids | None = None) -> FloatMatrix:
        """Return the vectors of `rows`, or all: float32 [r, d]."""
        ...


class WholeRows:
    """Vectors float32 [n, d] in the graph's own memory; `owner` keeps that memory alive."""

    def __init__(self, matrix: FloatMatrix, owner: object) -> None:
        self._matrix = matrix
        self._owner = owner
        self.shape: tuple[int, int] = (matrix.shape[0], matrix.shape[1])
        self.bytes = 0

    def cosines(self, query: FloatMatrix, rows: Ids | None = None) -> Floats:
        """Return the cosine with each row. All rows are read in place; picked rows are copied in
        blocks that stay in the processor's cache (10,000 rows of 384 numbers: 3.3 ms, in one piece
        7.9 ms).
        """
        if rows is None:
            whole: Floats = self._matrix @ query[0]
            return whole
        found = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _BLOCK):
            part = slice(start, start + _BLOCK)
            found[part] = self._matrix[rows[part]] @ query[0]
        return found

    def vectors(self, rows: Ids | None = None) -> FloatMatrix:
        """Return the vectors of `rows`, or all."""
        return self._matrix if rows is None else self._matrix[rows]


class HalfRows:
    """Vectors float16 [n, d]: in the graph's own memory (which `owner` keeps alive), in other
    memory, or in a mapped file.
    """

    def __init__(self, halves: Halves, owner: object = None, *, own_memory: bool = False) -> None:
        self._halves = halves
        self._owner = owner
        self.shape: tuple[int, int] = (halves.shape[0], halves.shape[1])
        self.bytes = halves.nbytes if own_memory else 0

    @classmethod
    def of(cls, vectors: FloatMatrix) -> HalfRows:
        """Round `vectors` float32 [n, d] to float16, which loses nothing of the record's."""
        return cls(vectors.astype("<f2"), own_memory=True)

    @classmethod
    def load(cls, folder: Path) -> HalfRows:
        """Map the file that `save` wrote. Raises OSError or ValueError."""
        try:
            mapped = np.load(folder / HALVES, mmap_mode="r", allow_pickle=False)
        except EOFError as error:
            raise ValueError(f"{HALVES} is empty") from error
        if mapped.ndim != 2 or mapped.dtype != np.float16:
            raise ValueError(f"{HALVES} is {mapped.dtype} {mapped.shape}, not float16 [n, d]")
        return cls(np.asarray(mapped))

    def save(self, folder: Path) -> HalfRows:
        """Write the rows into a file; return them mapped from it, out of memory."""
        np.save(folder / HALVES, self._halves)
        return HalfRows.load(folder)

    def cosines(self, query: FloatMatrix, rows: Ids | None = None) -> Floats:
        """Return the cosine with each row, in blocks, so that few rows are converted at once."""
        count = self.shape[0] if rows is None else len(rows)
        found = np.empty(count, np.float32)
        for start in range(0, count, _BLOCK):
            part = slice(start, start + _BLOCK)
            picked = self._halves[part if rows is None else rows[part]]
            found[part] = widened(picked) @ query[0]
        return found

    def vectors(self, rows: Ids | None = None) -> FloatMatrix:
        """Return the vectors of `rows`, or all."""
        return widened(self._halves if rows is None else self._halves[rows])


def widened(halves: Halves) -> FloatMatrix:
    """Return float16 [n, d], all finite, as float32. numpy converts one number at a time; shifting
    the bits of whole arrays takes less than half as long. Exponent and fraction move by 13 bits,
    and a factor of 2**112 corrects the exponent's bias.
    """
    bits = halves.view(np.uint16).astype(np.uint32)
    signs = (bits & 0x8000) << 16
    found: FloatMatrix = (((bits & 0x7FFF) << 13) | signs).view(np.float32)
    found *= np.float32(2.0**112)
    return found


def nearest(cosines: Floats, rows: Ids, k: int) -> tuple[Floats, Ids]:
    """Return the `k` largest of `cosines` with their rows, best first, ties by row."""
    if len(cosines) > k:
        top = np.argpartition(-cosines, k - 1)[:k]
        cosines, rows = cosines[top], rows[top]
    order = np.lexsort((rows, -cosines))
    return cosines[order], rows[order]
