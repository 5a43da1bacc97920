"""The newest passages of a vector field, in memory until a segment holds them."""

from __future__ import annotations

import numpy as np

from core.items import FloatMatrix
from core.retrieval import Floats, Ids, Ints
from storage.embedded.vectors.growing import GrowingArray
from storage.embedded.vectors.vector_view import Block, sorted_block

_NO_ROWS = Block(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros((0, 1), np.float32))


class Tail:
    """Rows in the order in which they came. It changes under the field's lock. Results of `rows`
    and `block` never change, even if rows are added or dropped later.
    """

    def __init__(self) -> None:
        self._vectors: GrowingArray[np.float32] | None = None
        self._seqs: GrowingArray[np.int64] = GrowingArray(np.int64)
        self._numbers: GrowingArray[np.int32] = GrowingArray(np.int32)
        self.total: Floats = np.zeros(1, np.float32)  # the sum of the vectors, [d]

    @property
    def size(self) -> int:
        """The number of passages."""
        return self._seqs.size

    @property
    def seqs(self) -> Ids:
        """The item of each row."""
        return self._seqs.view()

    def append(self, seqs: Ids, numbers: Ints, vectors: FloatMatrix) -> None:
        """Add rows: items [n], passage numbers [n] and vectors float32 [n, d]."""
        if not len(seqs):
            return
        if self._vectors is None:
            self._vectors = GrowingArray(np.float32, vectors.shape[1])
        self._vectors.append(vectors)
        self._numbers.append(numbers)
        self._seqs.append(seqs)
        self.total = self.total + vectors.sum(axis=0)

    def rows(self, first: int) -> Block:
        """Return the `first` rows, in the order in which they came."""
        if self._vectors is None or not first:
            return _NO_ROWS
        return Block(
            self._seqs.view()[:first], self._numbers.view()[:first], self._vectors.view()[:first]
        )

    def block(self) -> Block:
        """Return all rows, in the order of their items."""
        rows = self.rows(self.size)
        return sorted_block(rows.seqs, rows.numbers, rows.vectors)

    def only(self, kept: Ids) -> Tail:
        """Return a tail of these rows only."""
        rows = self.rows(self.size)
        fresh = Tail()
        fresh.append(rows.seqs[kept], rows.numbers[kept], rows.vectors[kept])
        return fresh
