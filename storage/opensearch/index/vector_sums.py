"""Sums of an index's vectors, for their means, and how the note of the index keeps them."""

from __future__ import annotations

import base64
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from storage.opensearch.following.indexed_vectors import indexed_vectors
from storage.opensearch.index.body import VectorSpace
from storage.record.port import VectorReads

Total = npt.NDArray[np.float64]
Vectors = Mapping[str, Mapping[int, FloatMatrix]]  # by field and version, [n, d] each
_PAGE = 500  # versions whose vectors are read at once


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of `count` vectors: float64 [d], for the mean of those that the index holds. What is
    hidden leaves it and what is shown again comes back, each once, by what the index held before a
    write.

    So it is wrong by what was written without being noted: the page of a process that was killed,
    and of one that came too late with its note. And a version that was recorded again with other
    products is another one in its place. Vectors have unit length, so h vectors too many among n
    move the mean by 2 h / (n + h) at most. `dateline index check --repair` counts anew
    (`recount.py`).
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


def difference(before: Vectors, after: Vectors, without: Container[int]) -> dict[str, Sum]:
    """What the sums gain where documents had the vectors `before` and have those `after`, but for
    the versions in `without`. A version's vectors never change once it has them.
    """
    gone = _beyond(before, after, without)
    return added(_beyond(after, before, without), {name: -each for name, each in gone.items()})


def _beyond(some: Vectors, others: Vectors, without: Container[int]) -> dict[str, Sum]:
    """The sums of the vectors of versions that have none among the others."""
    found: dict[str, Sum] = {}
    for name, held in some.items():
        known = others.get(name, {})
        fresh = [each for seq, each in held.items() if seq not in known and seq not in without]
        if rows := [each for each in fresh if len(each)]:
            found[name] = sum_of(rows)
    return found


def sums_of(
    reads: VectorReads, spaces: Mapping[str, VectorSpace], seqs: Sequence[int]
) -> dict[str, Sum]:
    """The sums of the vectors that versions have in the index, by field; one without any is left
    out.
    """
    found: dict[str, Sum] = {}
    for start in range(0, len(seqs), _PAGE):
        for name in spaces:
            held = indexed_vectors(reads, spaces, name, seqs[start : start + _PAGE])
            if rows := [each for each in held.values() if len(each)]:
                found = added(found, {name: sum_of(rows)})
    return found


def encoded(value: Sum) -> dict[str, Any]:
    """As a note keeps it, ready for JSON."""
    data = base64.b64encode(value.total.astype("<f8").tobytes()).decode()
    return {"count": value.count, "total": data}


def decoded(body: Mapping[str, Any]) -> Sum:
    """What `encoded` has made JSON of."""
    return Sum(body["count"], np.frombuffer(base64.b64decode(body["total"]), "<f8"))
