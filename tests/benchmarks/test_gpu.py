"""The card's benchmark: what of it needs no card, and what it says where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

from benchmarks.models import gpu
from benchmarks.models.gpu import (
    Card,
    builders,
    clustered,
    find_card,
    ground_truth,
    indexing,
    recall,
)

ROOT = Path(__file__).parents[2]
NO_CARD = Card(faiss=False, onnxruntime=False)


def run(*given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.models.gpu", *given]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.skipif(not find_card().problem, reason="there is a card here")
def test_without_a_card_it_says_what_is_missing_and_ends_with_1() -> None:
    ended = run()
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("no NVIDIA card can be used here: ")
    assert "faiss sees no card" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_model_that_is_not_there_is_an_error_in_words() -> None:
    ended = run("--cores-only", "--model", "none-such", "--passages", "4")
    assert ended.returncode == 1
    assert "none-such" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.deep
def test_the_cores_alone_are_measured_end_to_end() -> None:
    small = ("--passages", "80", "--vectors", "3000", "--queries", "50")
    ended = run("--cores-only", "--json", *small)
    assert ended.returncode == 0, ended.stderr
    figures = orjson.loads(ended.stdout)["figures"]
    assert figures["encode cpu passages_per_s"] > 0
    assert figures["exact cores s"] > 0
    assert figures["build hnsw cores recall@10"] > 0.95
    assert figures["build ivf cores recall@10"] > 0.5
    cores, card = figures["graphs"]
    assert cores["quality"] > 0.95
    assert cores["chosen"] is True
    assert 0 < cores["one_ms"] < cores["many_ms"]
    assert cores["disk_mb"] > 3000 * 384 * 4 / 1e6
    assert card["by"] == "faiss-gpu"
    assert bool(card["problem"]) == bool(find_card().problem)
    assert not [name for name in figures if "card" in name or "cuda" in name]


def test_ground_truth_is_the_greatest_products() -> None:
    stored, asked = clustered(500, 24, seed=1), clustered(20, 24, seed=2)
    vectors, figures = ground_truth(stored, asked, NO_CARD)
    true = np.argsort(-(asked @ stored.T), axis=1)[:, : gpu.K]
    assert recall(vectors.nearest, true) == 1.0
    assert list(figures) == ["exact cores s"]


def test_recall_is_the_share_found() -> None:
    true = np.array([[1, 2], [3, 4]])
    assert recall(true[:, ::-1], true) == 1.0
    assert recall(np.array([[1, 9], [8, 7]]), true) == 0.25


def test_vectors_have_unit_length_and_are_the_same_each_time() -> None:
    one = clustered(100, 16, seed=3)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(one, clustered(100, 16, seed=3))
    assert not np.array_equal(one, clustered(100, 16, seed=4))


def test_only_what_the_cores_can_build_is_built_without_a_card() -> None:
    assert list(builders(NO_CARD)) == ["hnsw cores", "ivf cores"]
    vectors, _ = ground_truth(clustered(400, 24, seed=1), clustered(10, 24, seed=2), NO_CARD)
    found = indexing("one", lambda stored: lambda asked: vectors.nearest[: len(asked)], vectors)
    assert found["build one recall@10"] == 1.0
