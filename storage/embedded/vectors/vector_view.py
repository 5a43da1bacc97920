"""One moment of a vector field, for searching: its segments and the rows of its tail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from core.ports.graphs import VectorGraph
from core.retrieval import Floats, Ids, Ints
from storage.graphs.kept import nearest

Mask = npt.NDArray[np.bool_]
_NONE = np.zeros(0, np.int64)
_SPARSE = 16  # with more items per row, a table of all items would cost more than it saves
_KEPT_MASKS = 8


@dataclass(frozen=True, slots=True)
class VectorHits:
    """Nearest passages, best first: item ids int64 [k] (an item may occur more than once), passage
    numbers int32 [k] and cosines float32 [k].
    """

    ids: Ids
    numbers: Ints
    cosines: Floats


@dataclass(frozen=True, slots=True)
class ItemRows:
    """The places of each item's rows among `seqs` (ascending). They come from a table, because a
    binary search for some hundreds of items in a million rows misses the processor's cache too
    often. `table` int32 [items + 3] has at place i + 1 the number of rows before item `first` + i;
    it is empty if the items are sparse.
    """

    seqs: Ids
    first: int
    table: Ints

    @classmethod
    def of(cls, seqs: Ids) -> ItemRows:
        """Return the places for the items of rows [n], ascending."""
        span = int(seqs[-1] - seqs[0]) + 1 if len(seqs) else 0
        if not 0 < span <= _SPARSE * len(seqs):
            return cls(seqs, 0, np.zeros(0, np.int32))
        first = int(seqs[0])
        table = np.zeros(span + 3, np.int32)
        np.cumsum(np.bincount(seqs - first, minlength=span), out=table[2 : span + 2])
        table[span + 2] = len(seqs)
        return cls(seqs, first, table)

    def find(self, ids: Ids) -> tuple[Ids, Ids]:
        """Return the first row of each of `ids` [n], and how many rows it has: int64 [n] each."""
        if not len(self.table):
            return _sought(self.seqs, ids)
        places = np.clip(ids - (self.first - 1), 0, len(self.table) - 2)
        starts = self.table[places].astype(np.int64)
        return starts, self.table[places + 1] - starts


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of vectors with the item (`seqs`, ascending) and passage number of each."""

    name: str
    seqs: Ids
    numbers: Ints
    graph: VectorGraph
    kind: str  # kind of its graph, as in `core.ports.graphs.GraphBuilder`
    total: Floats  # the sum of its vectors, [d]
    digests: Mapping[str, str]  # sha256 by file
    _rows: ItemRows = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the places of each item's rows once, as a segment never changes."""
        object.__setattr__(self, "_rows", ItemRows.of(self.seqs))

    @property
    def vectors(self) -> FloatMatrix:
        """All vectors, float32 [n, d]; a copy if the graph holds them in another form."""
        return self.graph.vectors()

    def vectors_of(self, rows: Ids) -> FloatMatrix:
        """Return the vectors of `rows` [r]: float32 [r, d]."""
        return self.graph.vectors(rows)

    def cosines(self, query: FloatMatrix, rows: Ids) -> Floats:
        """Return the cosine of `query` [1, d] with each of `rows` [r]: float32 [r]."""
        return self.graph.cosines(query, rows)

    def find(self, ids: Ids) -> tuple[Ids, Ids]:
        """Return the first row of each of `ids` [n], and how many rows it has: int64 [n] each."""
        return self._rows.find(ids)


@dataclass(frozen=True, slots=True)
class Block:
    """Part of a field for exact cosines: vectors [n, d], their items (ascending) and numbers."""

    seqs: Ids
    numbers: Ints
    vectors: FloatMatrix

    def vectors_of(self, rows: Ids) -> FloatMatrix:
        """Return the vectors of `rows` [r]: float32 [r, d]."""
        return self.vectors[rows]

    def cosines(self, query: FloatMatrix, rows: Ids) -> Floats:
        """Return the cosine of `query` [1, d] with each of `rows` [r]: float32 [r]."""
        found: Floats = self.vectors[rows] @ query[0]
        return found

    def find(self, ids: Ids) -> tuple[Ids, Ids]:
        """Return the first row of each of `ids` [n], and how many rows it has: int64 [n] each."""
        return _sought(self.seqs, ids)


@dataclass(frozen=True, slots=True)
class FieldView:
    """One moment of a vector field: its segments and the rows of its tail. The allowed rows of each
    segment are kept for the latest bitmaps, because callers and filters come again.
    """

    segments: tuple[Segment, ...]
    tail: Block
    total: Floats
    count: int
    _let_through: dict[int, tuple[Mask, tuple[Mask | None, ...]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def search(self, query: FloatMatrix, k: int, allowed: Mask) -> VectorHits:
        """Return the `k` nearest passages of `query` [1, d] among the allowed items (bool by seq, a
        mask that never changes).
        """
        found = [
            _taken(segment, *segment.graph.search(query, k, rows))
            for segment, rows in zip(self.segments, self._rows(allowed), strict=True)
        ]
        if len(self.tail.seqs):
            rows = np.flatnonzero(allowed[self.tail.seqs])
            cosines = self.tail.cosines(query, rows)
            found.append(_taken(self.tail, *nearest(cosines, rows, k)))
        return _best(found, k)

    def _rows(self, allowed: Mask) -> tuple[Mask | None, ...]:
        """Return the allowed rows of each segment, bool by row; None if all of them are allowed."""
        known = self._let_through.get(id(allowed))
        if known is not None and known[0] is allowed:
            return known[1]
        masks = (allowed[segment.seqs] for segment in self.segments)
        rows = tuple(None if mask.all() else mask for mask in masks)
        if len(self._let_through) >= _KEPT_MASKS:
            self._let_through.clear()
        self._let_through[id(allowed)] = (allowed, rows)
        return rows

    def best_passages(self, query: FloatMatrix, ids: Ids) -> tuple[Floats, Ints]:
        """Return for each of `ids` the exact cosine of its best passage and that passage's number;
        NaN and -1 if it has no passage.
        """
        cosines = np.full(len(ids), np.nan, np.float32)
        numbers = np.full(len(ids), -1, np.int32)
        blocks: tuple[Segment | Block, ...] = (*self.segments, self.tail)
        for block in blocks:
            _fill(block, query, ids, cosines, numbers)
        return cosines, numbers

    def background(self, query: FloatMatrix) -> float:
        """Return the query's mean cosine over all passages, 0 if there are none."""
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
    """Return the rows as a block, in the order of their items."""
    if len(seqs) > 1 and (np.diff(seqs) < 0).any():
        order = np.lexsort((numbers, seqs))
        seqs, numbers, vectors = seqs[order], numbers[order], vectors[order]
    return Block(seqs, numbers, vectors)


def _fill(
    block: Segment | Block, query: FloatMatrix, ids: Ids, cosines: Floats, numbers: Ints
) -> None:
    """Set the best cosine and passage of the `ids` that `block` holds."""
    if not len(block.seqs):
        return
    starts, lengths = block.find(ids)
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
    if len(is_best) == len(held):
        first_best = is_best
    else:  # passages of one item with the same cosine
        first_best = is_best[np.searchsorted(owner[is_best], np.arange(len(held)))]
    cosines[held] = best
    numbers[held] = block.numbers[rows[first_best]]


def _sought(seqs: Ids, ids: Ids) -> tuple[Ids, Ids]:
    starts = np.searchsorted(seqs, ids, "left")
    return starts, np.searchsorted(seqs, ids, "right") - starts
