"""Exact cosines of candidates, from the record's vectors; those asked for lately are kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from core.retrieval import Floats, Ids, Ints
from storage.record_port import RecordReads

Half = npt.NDArray[np.float16]
_NONE: Half = np.zeros((0, 0), np.float16)


class ExactCosines:
    """Of one vector field by one encoder, over the record behind `reads_of`. A version's vectors
    never change once it has them. Keeps at most `most_bytes`: what was asked for since half of that
    was filled last, and what was before. Thread-safe.
    """

    def __init__(
        self, reads_of: Callable[[], RecordReads], field: str, encoder: str, most_bytes: int
    ) -> None:
        self._reads_of = reads_of
        self._field = field
        self._encoder = encoder
        self._most = most_bytes
        self._young: dict[int, Half] = {}
        self._old: dict[int, Half] = {}
        self._bytes = 0  # of the young
        self._lock = threading.Lock()

    def best_passages(self, query: FloatMatrix, ids: Ids) -> tuple[Floats, Ints]:
        """For each of `ids` the cosine of its best passage with `query` [1, d] (NaN without one),
        and that passage's number (-1).
        """
        cosines = np.full(len(ids), np.nan, np.float32)
        numbers = np.full(len(ids), -1, np.int32)
        matrices = self._matrices(ids.tolist())
        lengths = np.array([len(matrix) for matrix in matrices], np.int64)
        held = np.flatnonzero(lengths)
        if not len(held):
            return cosines, numbers
        together = np.concatenate([matrices[place] for place in held]).astype(np.float32)
        values = together @ query[0]
        firsts = np.cumsum(lengths[held]) - lengths[held]
        best = np.maximum.reduceat(values, firsts)
        owner = np.repeat(np.arange(len(held)), lengths[held])
        at_best = np.flatnonzero(values == best[owner])
        first_best = at_best[np.searchsorted(owner[at_best], np.arange(len(held)))]
        cosines[held] = best
        numbers[held] = first_best - firsts
        return cosines, numbers

    def _matrices(self, seqs: Sequence[int]) -> list[Half]:
        """float16 [n, d] for each version, [0, 0] for one without."""
        young, old = self._young, self._old
        found = [young.get(seq) for seq in seqs]
        missing = [seq for seq, matrix in zip(seqs, found, strict=True) if matrix is None]
        if not missing:
            return [matrix for matrix in found if matrix is not None]
        fresh = {seq: old[seq] for seq in missing if seq in old}
        unknown = [seq for seq in missing if seq not in fresh]
        if unknown:
            rows = self._reads_of().vectors_by_seq(self._field, self._encoder, unknown)
            fresh |= {seq: matrix.astype(np.float16) for seq, matrix in rows}
        self._keep(fresh)
        return [
            fresh.get(seq, _NONE) if matrix is None else matrix
            for seq, matrix in zip(seqs, found, strict=True)
        ]

    def _keep(self, fresh: dict[int, Half]) -> None:
        with self._lock:
            if self._bytes > self._most // 2:
                self._old, self._young, self._bytes = self._young, {}, 0
            self._young.update(fresh)
            self._bytes += sum(matrix.nbytes for matrix in fresh.values())
