"""One moment of a vector field, for searching: its segments and the rows of its tail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.graph_ports import VectorGraph
from core.items import FloatMatrix
from core.retrieval import Floats, Ids, Ints
from storage.graphs.kept import nearest

Mask = npt.NDArray[np.bool_]
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class VectorHits:
    """Nearest passages, best first: item ids int64 [k] (an item may stand there more than once),
    passage numbers int32 [k] and cosines float32 [k].
    """

    ids: Ids
    numbers: Ints
    cosines: Floats


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of vectors with the item (`seqs`, ascending) and passage number of each."""

    name: str
    seqs: Ids
    numbers: Ints
    graph: VectorGraph
    kind: str  # of its graph, see `core.graph_ports.GraphBuilder`
    total: Floats  # the sum of its vectors, [d]
    digests: Mapping[str, str]  # sha256 by file

    @property
    def vectors(self) -> FloatMatrix:
        """float32 [n, d]; a copy of all where the graph holds other numbers."""
        return self.graph.vectors()

    def cosines(self, query: FloatMatrix, rows: Ids) -> Floats:
        """Of `query` [1, d] with each of `rows` [r], float32 [r]."""
        return self.graph.cosines(query, rows)


@dataclass(frozen=True, slots=True)
class Block:
    """Part of a field for exact cosines: vectors [n, d], their items (ascending) and numbers."""

    seqs: Ids
    numbers: Ints
    vectors: FloatMatrix

    def cosines(self, query: FloatMatrix, rows: Ids) -> Floats:
        """Of `query` [1, d] with each of `rows` [r], float32 [r]."""
        found: Floats = self.vectors[rows] @ query[0]
        return found


@dataclass(frozen=True, slots=True)
class FieldView:
    """One moment of a vector field: its segments and the rows of its tail."""

    segments: tuple[Segment, ...]
    tail: Block
    total: Floats
    count: int

    def search(self, query: FloatMatrix, k: int, allowed: Mask) -> VectorHits:
        """The `k` nearest passages of `query` [1, d] among the allowed items (bool by seq)."""
        found = [
            _taken(segment, *segment.graph.search(query, k, allowed[segment.seqs]))
            for segment in self.segments
        ]
        if len(self.tail.seqs):
            rows = np.flatnonzero(allowed[self.tail.seqs])
            cosines = self.tail.cosines(query, rows)
            found.append(_taken(self.tail, *nearest(cosines, rows, k)))
        return _best(found, k)

    def best_passages(self, query: FloatMatrix, ids: Ids) -> tuple[Floats, Ints]:
        """For each of `ids` the exact cosine of its best passage (NaN without one) and that
        passage's number (-1).
        """
        cosines = np.full(len(ids), np.nan, np.float32)
        numbers = np.full(len(ids), -1, np.int32)
        blocks: tuple[Segment | Block, ...] = (*self.segments, self.tail)
        for block in blocks:
            _fill(block, query, ids, cosines, numbers)
        return cosines, numbers

    def background(self, query: FloatMatrix) -> float:
        """The query's mean cosine over all passages, 0 where there are none."""
        return float(self.total @ query[0]) / self.count if self.count else 0.0


def _taken(block: Segment | Block, cosines: Floats, rows: Ids) -> VectorHits:
    return VectorHits(block.seqs[rows], block.numbers[rows], cosines)


def _best(found: Sequence[VectorHits], k: int) -> VectorHits:
    if not found:
        return VectorHits(_NONE, np.zeros(0, np.int32), np.zeros(0, np.float32))
    if len(found) == 1:
        return found[0]
    ids = np.concatenate([hits.ids for hits in found])
    numbers = np.concatenate([hits.numbers for hits in found])
    cosines = np.concatenate([hits.cosines for hits in found])
    order = np.lexsort((ids, -cosines))[:k]
    return VectorHits(ids[order], numbers[order], cosines[order])


def sorted_block(seqs: Ids, numbers: Ints, vectors: FloatMatrix) -> Block:
    """The rows as a block, in the order of their items."""
    if len(seqs) > 1 and (np.diff(seqs) < 0).any():
        order = np.lexsort((numbers, seqs))
        seqs, numbers, vectors = seqs[order], numbers[order], vectors[order]
    return Block(seqs, numbers, vectors)


def _fill(
    block: Segment | Block, query: FloatMatrix, ids: Ids, cosines: Floats, numbers: Ints
) -> None:
    """Sets the best cosine and passage of those `ids` that `block` holds."""
    if not len(block.seqs):
        return
    starts = np.searchsorted(block.seqs, ids, "left")
    lengths = np.searchsorted(block.seqs, ids, "right") - starts
    held = np.flatnonzero(lengths)
    if not len(held):
        return
    starts, lengths = starts[held], lengths[held]
    firsts = np.cumsum(lengths) - lengths
    rows = np.arange(int(lengths.sum())) + np.repeat(starts - firsts, lengths)
    values = block.cosines(query, rows)
    best = np.maximum.reduceat(values, firsts)
    owner = np.repeat(np.arange(len(held)), lengths)
    is_best = np.flatnonzero(values == best[owner])
    first_best = is_best[np.searchsorted(owner[is_best], np.arange(len(held)))]
    cosines[held] = best
    numbers[held] = block.numbers[rows[first_best]]
