"""Vectors to measure on: what is real, what is made, and that it is said."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InputError
from core.items import FloatMatrix
from eval.tune.graphs.vector_source import COSINE, gather, noisy


def unit(rows: int, seed: int, dimension: int = 32) -> FloatMatrix:
    points = np.random.default_rng(seed).standard_normal((rows, dimension))
    found: FloatMatrix = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return found


REAL = unit(200, seed=1)


def best(vectors: FloatMatrix) -> FloatMatrix:
    """Each vector's cosine with the nearest real one, [n]."""
    found: FloatMatrix = (vectors @ REAL.T).max(axis=1)
    return found


def test_all_the_real_ones_each_once() -> None:
    found = gather([REAL[:150], REAL[100:]], 0)
    assert (found.real, len(found.vectors)) == (200, 200)
    assert (best(found.vectors) > 0.999).all()
    assert len(np.unique(np.argmax(found.vectors @ REAL.T, axis=1))) == 200
    assert str(found) == "200 real vectors"


def test_some_of_them_are_from_all_over() -> None:
    found = gather([REAL], 50, seed=3)
    assert (found.real, found.vectors.shape) == (50, (50, 32))
    places = np.argmax(found.vectors @ REAL.T, axis=1)
    assert len(set(places.tolist())) == 50
    assert places.max() > 150
    assert places.min() < 50


def test_what_lacks_is_made_from_the_real_ones_and_said() -> None:
    found = gather([REAL], 1000, seed=2)
    assert found.vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    real = best(found.vectors) > 0.999
    assert np.count_nonzero(real) == found.real == 200
    assert np.allclose(best(found.vectors)[~real], COSINE, atol=2e-3)
    assert not real[:200].all(), "the copies are not all at the end"
    assert len(np.unique(found.vectors, axis=0)) == 1000
    assert "1,000 vectors, 200 of them real" in str(found)
    assert "0.95" in str(found)


@pytest.mark.parametrize("count", [50, 1000])
def test_a_seed_gives_the_same_again_and_another_does_not(count: int) -> None:
    first = gather([REAL], count, seed=4).vectors
    assert np.array_equal(first, gather([REAL], count, seed=4).vectors)
    assert not np.array_equal(first, gather([REAL], count, seed=5).vectors)


@pytest.mark.parametrize("cosine", [0.5, 0.8, 0.99])
def test_noise_has_the_size_that_is_said(cosine: float) -> None:
    made = noisy(REAL, cosine, np.random.default_rng(0))
    assert np.allclose(np.sum(made * REAL, axis=1), cosine, atol=1e-5)
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)


def test_nothing_to_take_from() -> None:
    for blocks in ([], [REAL[:0]]):
        with pytest.raises(InputError, match="no vectors"):
            gather(blocks, 10)


def test_two_spaces_do_not_mix() -> None:
    with pytest.raises(InputError, match="different dimensions"):
        gather([REAL, unit(5, seed=1, dimension=16)], 10)
