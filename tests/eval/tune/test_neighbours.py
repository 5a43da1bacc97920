"""Exact neighbours against a naive version, and recall where ties make several answers right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.items import FloatMatrix
from eval.tune.graphs import neighbours
from eval.tune.graphs.neighbours import Neighbours, cached_neighbours, exact_neighbours, recall


def unit(rows: int, width: int, seed: int) -> FloatMatrix:
    vectors = np.random.default_rng(seed).standard_normal((rows, width), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def naive(
    vectors: FloatMatrix, queries: FloatMatrix, k: int, allowed: npt.NDArray[np.bool_]
) -> list[list[int]]:
    """Rows by falling cosine, then by row, one query at a time."""
    found = []
    for query in queries:
        cosines = vectors @ query
        rows = [row for row in range(len(vectors)) if allowed[row]]
        found.append(sorted(rows, key=lambda row: (-cosines[row], row))[:k])
    return found


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 70),
    k=st.integers(1, 80),
    block=st.integers(1, 40),
    share=st.floats(0, 1),
    seed=st.integers(0, 5),
)
def test_blocks_find_what_a_sort_finds(
    rows: int, k: int, block: int, share: float, seed: int
) -> None:
    vectors, queries = unit(rows, 6, seed), unit(4, 6, seed + 100)
    allowed = np.random.default_rng(seed).random(rows) < share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_BLOCK", block)
        some = exact_neighbours(vectors, queries, k, allowed)
        everything = exact_neighbours(vectors, queries, k)
    assert some.rows.tolist() == naive(vectors, queries, k, allowed)
    assert everything.rows.tolist() == naive(vectors, queries, k, np.ones(rows, np.bool_))
    assert np.all(np.diff(everything.cosines, axis=1) <= 0)


# Four directions in a plane, the first three times: three rows tie for the first place.
PLANE = np.array([[1, 0], [1, 0], [1, 0], [0.8, 0.6], [0, 1]], np.float32)
EAST = np.array([[1, 0]], np.float32)


@pytest.mark.parametrize(
    ("found", "k", "expected"),
    [
        ([2], 1, 1.0),  # another row than the exact search names, and as near
        ([0, 1], 2, 1.0),
        ([2, 1], 2, 1.0),
        ([0, 3], 2, 0.5),
        ([1, 1], 2, 0.5),  # one row named twice is one row
        ([1, -1], 2, 0.5),  # nothing found
        ([3, 0, 1, 2], 2, 0.5),  # only the first k count
        ([0, 1, 2, 3, 4, -1, -1], 7, 1.0),  # there are five rows only
    ],
)
def test_recall_counts_what_is_as_near(found: list[int], k: int, expected: float) -> None:
    truth = exact_neighbours(PLANE, EAST, k)
    rows = np.array([found], np.int64)
    assert recall(PLANE, EAST, rows, truth, k) == pytest.approx(expected)


def test_rounding_is_forgiven_and_a_real_difference_is_not() -> None:
    vectors = np.array([[1.0], [1.0 - 5e-6], [1.0 - 5e-5]], np.float32)
    query = np.ones((1, 1), np.float32)
    truth = exact_neighbours(vectors, query, 1)
    found = [recall(vectors, query, np.array([[row]]), truth, 1) for row in range(3)]
    assert found == [1.0, 1.0, 0.0]


def test_recall_is_a_mean_over_queries() -> None:
    vectors, queries = unit(50, 8, 1), unit(10, 8, 2)
    truth = exact_neighbours(vectors, queries, 5)
    rows = truth.rows.copy()
    assert recall(vectors, queries, rows, truth, 5) == 1.0
    rows[0] = -1
    assert recall(vectors, queries, rows, truth, 5) == pytest.approx(0.9)
    with pytest.raises(InputError, match="9 answers to 10 queries"):
        recall(vectors, queries, rows[:9], truth, 5)


def test_neighbours_are_kept_by_their_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, queries = unit(40, 8, 1), unit(3, 8, 2)
    first = cached_neighbours(vectors, queries, 4, tmp_path)
    (path,) = tmp_path.iterdir()

    def refuse(*_: object) -> Neighbours:
        raise AssertionError("computed again")

    with monkeypatch.context() as patch:
        patch.setattr(neighbours, "exact_neighbours", refuse)
        again = cached_neighbours(vectors, queries, 4, tmp_path)
        changed = vectors.copy()
        changed[0, 0] += 1
        with pytest.raises(AssertionError):
            cached_neighbours(changed, queries, 4, tmp_path)
    assert np.array_equal(first.rows, again.rows)
    path.write_bytes(path.read_bytes()[:100])  # damaged: computed and written anew
    assert np.array_equal(cached_neighbours(vectors, queries, 4, tmp_path).rows, first.rows)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="do not fit"):
        exact_neighbours(unit(3, 4, 1), unit(3, 5, 1), 1)
    with pytest.raises(InputError, match="k is 0"):
        exact_neighbours(unit(3, 4, 1), unit(3, 4, 1), 0)
