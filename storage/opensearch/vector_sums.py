"""Sums of an index's vectors, for their means, and how the note of the index keeps them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from storage.opensearch.index_body import VectorSpace
from storage.record_port import VectorReads

Total = npt.NDArray[np.float64]
Vectors = Mapping[str, Mapping[int, FloatMatrix]]  # by field and version, [n, d] each
_PAGE = 500  # versions whose vectors are read at once


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of `count` vectors: float64 [d], for the mean of those that the index holds. What is
    hidden leaves it and what is shown again comes back, each once.

    Two things can't be told apart by who follows the record, and leave vectors in it that the index
    has no longer: a version that was recorded again with other products counts as another one, and
    a version that was hidden by a write whose answer was lost had been hidden before. Vectors have
    unit length, so h vectors too many among n move the mean by 2 h / (n + h) at most. `dateline
    index check --repair` counts anew (`recount.py`).
    """

    count: int
    total: Total

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.count + other.count, self.total + other.total)

    def __neg__(self) -> Sum:
        return Sum(-self.count, -self.total)


def added(first: Mapping[str, Sum], second: Mapping[str, Sum]) -> dict[str, Sum]:
    """Both, field by field."""
    names = {**first, **second}
    return {
        name: first[name] + second[name] if name in first and name in second else names[name]
        for name in names
    }


def sum_of(matrices: Sequence[FloatMatrix]) -> Sum:
    """Of the rows of matrices, float32 [n, d] each and one at least."""
    rows = np.concatenate(matrices).astype(np.float64)
    return Sum(len(rows), rows.sum(axis=0))


def counted(vectors: Vectors, by: Mapping[int, int], after: int) -> dict[str, Sum]:
    """The sums of the vectors of the versions in `by`, which says by what change each counts, of
    changes beyond `after`. So each change counts once, by whomever it is noted: what was written
    before, and not noted because the answer did not come, is not told from what is new.
    """
    found: dict[str, Sum] = {}
    for name, held in vectors.items():
        rows = [matrix for seq, matrix in held.items() if by.get(seq, 0) > after and len(matrix)]
        if rows:
            found[name] = sum_of(rows)
    return found


def sums_of(
    reads: VectorReads, spaces: Mapping[str, VectorSpace], seqs: Sequence[int]
) -> dict[str, Sum]:
    """The sums of the recorded vectors of versions, by field; one without any is left out."""
    found: dict[str, Sum] = {}
    for start in range(0, len(seqs), _PAGE):
        for name, space in spaces.items():
            page = seqs[start : start + _PAGE]
            held = [each for _, each in reads.vectors_by_seq(name, space.encoder, page)]
            if rows := [each for each in held if len(each)]:
                found = added(found, {name: sum_of(rows)})
    return found


def encoded(value: Sum) -> dict[str, Any]:
    """As a note keeps it, ready for JSON."""
    data = base64.b64encode(value.total.astype("<f8").tobytes()).decode()
    return {"count": value.count, "total": data}


def decoded(body: Mapping[str, Any]) -> Sum:
    """What `encoded` has made JSON of."""
    return Sum(body["count"], np.frombuffer(base64.b64decode(body["total"]), "<f8"))
