"""Sums of an index's vectors, from which their means come, and their form in the index's note."""

from __future__ import annotations

import base64
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from storage.opensearch.index.body import VectorSpace
from storage.opensearch.index.documents import indexed_vectors
from storage.record.port import RecordReads

Total = npt.NDArray[np.float64]
Vectors = Mapping[str, Mapping[int, FloatMatrix]]  # by field and version, [n, d] each
_PAGE = 500  # versions whose vectors are read at once


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of `count` vectors, float64 [d], for the mean of the vectors in the index. A version
    that is hidden leaves the sum and one that is shown again returns to it, each once: a write is
    compared with what the index held before it.

    So the sum misses what was written but not noted: the page of a process that was killed, or of
    one whose note came too late. A version that is recorded again with other products counts as a
    new version. Vectors have unit length, so h vectors too many among n move the mean by at most 2
    h / (n + h). `dateline index check --repair` counts the sums again (`recount.py`).
    """

    count: int
    total: Total

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.count + other.count, self.total + other.total)

    def __neg__(self) -> Sum:
        return Sum(-self.count, -self.total)


def added(first: Mapping[str, Sum], second: Mapping[str, Sum]) -> dict[str, Sum]:
    """Add two sets of sums field by field."""
    names = {**first, **second}
    return {
        name: first[name] + second[name] if name in first and name in second else names[name]
        for name in names
    }


def sum_of(matrices: Sequence[FloatMatrix]) -> Sum:
    """Return the sum of the rows of at least one matrix, float32 [n, d] each."""
    rows = np.concatenate(matrices).astype(np.float64)
    return Sum(len(rows), rows.sum(axis=0))


def difference(before: Vectors, after: Vectors, without: Container[int]) -> dict[str, Sum]:
    """Return what the sums gain when documents had the vectors `before` and now have `after`,
    without the versions in `without`. A version's vectors never change once it has them.
    """
    gone = _beyond(before, after, without)
    return added(_beyond(after, before, without), {name: -each for name, each in gone.items()})


def _beyond(some: Vectors, others: Vectors, without: Container[int]) -> dict[str, Sum]:
    """Return the sums over versions that have vectors in `some` but not in `others`."""
    found: dict[str, Sum] = {}
    for name, held in some.items():
        known = others.get(name, {})
        fresh = [each for seq, each in held.items() if seq not in known and seq not in without]
        if rows := [each for each in fresh if len(each)]:
            found[name] = sum_of(rows)
    return found


def sums_of(
    reads: RecordReads, spaces: Mapping[str, VectorSpace], seqs: Sequence[int]
) -> dict[str, Sum]:
    """Return by field the sums of the vectors that the versions `seqs` have in the index; a field
    without vectors is left out.
    """
    found: dict[str, Sum] = {}
    for start in range(0, len(seqs), _PAGE):
        for name in spaces:
            held = indexed_vectors(reads, spaces, name, seqs[start : start + _PAGE])
            if rows := [each for each in held.values() if len(each)]:
                found = added(found, {name: sum_of(rows)})
    return found


def encoded(value: Sum) -> dict[str, Any]:
    """Return the sum as the note keeps it, as values for JSON."""
    data = base64.b64encode(value.total.astype("<f8").tobytes()).decode()
    return {"count": value.count, "total": data}


def decoded(body: Mapping[str, Any]) -> Sum:
    """Return the sum that `encoded` made JSON of."""
    return Sum(body["count"], np.frombuffer(base64.b64decode(body["total"]), "<f8"))
