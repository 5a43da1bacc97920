"""Exact nearest neighbours, and recall against them by a distance threshold.

Recall counts every row that is as near as the k-th true neighbour: with duplicates and ties several
answers are right. It is the definition of ann-benchmarks (Aumüller, Bernhardsson and Faithfull,
2020), with EPSILON for the rounding of float32 alone; theirs is 1e-3. A row that is named twice
counts once. A graph's own distances are not used: they are computed again from the vectors.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from core.items import FloatMatrix
from core.retrieval import Floats, Marks

RowMatrix = npt.NDArray[np.int64]

EPSILON = 1e-5
_BLOCK = 16_384  # vectors in one product; with 500 queries it takes 33 MB


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest of each query, best first, ties by row: cosines float32 [q, k] and rows int64 [q,
    k]. k is smaller than asked for if fewer rows are allowed.
    """

    cosines: FloatMatrix
    rows: RowMatrix


def exact_neighbours(
    vectors: FloatMatrix, queries: FloatMatrix, k: int, allowed: Marks | None = None
) -> Neighbours:
    """Return the `k` nearest of each query [q, d] by inner product among `vectors` float32 [n, d],
    or among the `allowed` rows (bool [n]). Raises InputError for shapes that do not fit.
    """
    _check(vectors, queries, k)
    picked = None if allowed is None else np.flatnonzero(allowed)
    total = len(vectors) if picked is None else len(picked)
    best = Neighbours(
        np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
    )
    for start in range(0, total, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, total))
        if picked is not None:
            rows = picked[rows]
            part = vectors[rows]
        else:
            part = vectors[start : start + _BLOCK]
        best = _merged(best, queries @ part.T, rows, k)
    return best


def _merged(best: Neighbours, cosines: FloatMatrix, rows: RowMatrix, k: int) -> Neighbours:
    """Return the best `k` of the earlier neighbours and of a block's `cosines` [q, b]."""
    all_cosines = np.concatenate([best.cosines, cosines], axis=1)
    all_rows = np.concatenate([best.rows, np.broadcast_to(rows, cosines.shape)], axis=1)
    if all_cosines.shape[1] > k:
        top = np.argpartition(-all_cosines, k - 1, axis=1)[:, :k]
        all_cosines = np.take_along_axis(all_cosines, top, axis=1)
        all_rows = np.take_along_axis(all_rows, top, axis=1)
    order = np.lexsort((all_rows, -all_cosines), axis=1)
    return Neighbours(
        np.take_along_axis(all_cosines, order, axis=1), np.take_along_axis(all_rows, order, axis=1)
    )


def recall(
    vectors: FloatMatrix, queries: FloatMatrix, found: RowMatrix, truth: Neighbours, k: int
) -> float:
    """Return the mean share, 0..1, of the `k` nearest that are among the first `k` of `found` int64
    [q, >= k]; -1 there means nothing found.

    If fewer than `k` rows exist, it is the share of those. Raises InputError if `truth` has fewer
    queries or was made for a smaller k.
    """
    if len(found) != len(queries) or len(truth.rows) != len(queries):
        raise InputError(f"{len(found)} answers to {len(queries)} queries")
    wanted = min(k, truth.cosines.shape[1])
    if not wanted or not len(queries):
        return 1.0
    first = _without_repeats(found[:, :k])
    hits = np.zeros(len(queries), np.int64)
    for query, rows in enumerate(first):
        real = rows[rows >= 0]
        cosines: Floats = vectors[real] @ queries[query]
        least = truth.cosines[query, wanted - 1] - EPSILON
        hits[query] = min(int(np.count_nonzero(cosines >= least)), wanted)
    return float(hits.mean() / wanted)


def _without_repeats(found: RowMatrix) -> RowMatrix:
    """Return `found` with -1 in place of each row that its query already has."""
    order = np.argsort(found, axis=1, kind="stable")
    ordered = np.take_along_axis(found, order, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = -1
    kept = np.empty_like(found)
    np.put_along_axis(kept, order, ordered, axis=1)
    return kept


def digest_of(*arrays: npt.NDArray[np.float32]) -> str:
    """Return sha256 in hex over the shapes and bytes of the arrays."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(repr((array.shape, array.dtype.str)).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def cached_neighbours(
    vectors: FloatMatrix, queries: FloatMatrix, k: int, folder: Path
) -> Neighbours:
    """Return `exact_neighbours` over all rows, cached in `folder` by the digest of vectors and
    queries.
    """
    path = folder / f"neighbours-{digest_of(vectors, queries)[:32]}-{k}.npz"
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            return Neighbours(kept["cosines"], kept["rows"])
    except (OSError, ValueError, KeyError, BadZipFile):
        pass  # missing or damaged: computed and written again
    found = exact_neighbours(vectors, queries, k)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{uuid4().hex}.part.npz"
    np.savez(part, cosines=found.cosines, rows=found.rows)
    part.replace(path)
    return found


def _check(vectors: FloatMatrix, queries: FloatMatrix, k: int) -> None:
    if k < 1:
        raise InputError(f"k is {k}", mend="it must be 1 or more")
    if vectors.ndim != 2 or queries.ndim != 2 or vectors.shape[1] != queries.shape[1]:
        raise InputError(f"vectors {vectors.shape} and queries {queries.shape} do not fit")
