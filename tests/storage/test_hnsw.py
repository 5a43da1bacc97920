"""The graph against an exact scan: how much it finds, with filters of every width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.items import FloatMatrix
from storage.embedded.hnsw import HnswGraph, HnswSettings, Mask, nearest

ROWS, DIMENSION, QUERIES, K = 6000, 48, 60, 10
SETTINGS = HnswSettings(m=16, ef_construction=100, ef_search=128, exact_below=300, exact_whole=0)


def clustered(rows: int, seed: int) -> FloatMatrix:
    """Unit vectors around 40 centres, as texts of the same topics lie."""
    centres = np.random.default_rng(0).standard_normal((40, DIMENSION))
    rng = np.random.default_rng(seed)
    points = centres[rng.integers(0, 40, rows)] + 0.6 * rng.standard_normal((rows, DIMENSION))
    found: FloatMatrix = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return found


@pytest.fixture(scope="module")
def graph() -> HnswGraph:
    return HnswGraph.build(clustered(ROWS, seed=1), SETTINGS, threads=2)


def recall(graph: HnswGraph, allowed: Mask | None) -> float:
    """The share of the true K nearest allowed rows that the graph gives."""
    rows = np.arange(ROWS) if allowed is None else np.flatnonzero(allowed)
    found = 0
    for query in clustered(QUERIES, seed=2):
        truth = nearest(graph.vectors[rows] @ query, rows, K)[1]
        cosines, given = graph.search(query[None], K, allowed)
        assert len(given) == K
        assert len(set(given.tolist())) == K
        assert (np.diff(cosines) <= 0).all()
        assert np.allclose(cosines, graph.vectors[given] @ query, atol=1e-5)
        assert allowed is None or allowed[given].all()
        found += len(set(truth.tolist()) & set(given.tolist()))
    return found / (QUERIES * K)


@pytest.mark.parametrize(("share", "least"), [(1.0, 0.98), (0.5, 0.95), (0.1, 0.95)])
def test_recall_with_a_random_filter(graph: HnswGraph, share: float, least: float) -> None:
    allowed = np.random.default_rng(3).random(ROWS) < share
    assert np.count_nonzero(allowed) >= SETTINGS.exact_below
    assert recall(graph, allowed) >= least


def test_recall_with_a_filter_that_follows_the_clusters(graph: HnswGraph) -> None:
    """The hard case: what is allowed lies far from most queries."""
    allowed = graph.vectors[:, 0] > np.quantile(graph.vectors[:, 0], 0.8)
    assert recall(graph, allowed) >= 0.95


def test_below_the_limit_nothing_is_lost(graph: HnswGraph) -> None:
    allowed = np.zeros(ROWS, np.bool_)
    allowed[np.random.default_rng(4).choice(ROWS, SETTINGS.exact_below - 1, replace=False)] = True
    assert recall(graph, allowed) == 1.0


def test_no_filter(graph: HnswGraph) -> None:
    assert recall(graph, None) >= 0.98


def test_nothing_allowed(graph: HnswGraph) -> None:
    cosines, rows = graph.search(graph.vectors[:1], K, np.zeros(ROWS, np.bool_))
    assert len(cosines) == len(rows) == 0


def test_more_asked_for_than_there_is(graph: HnswGraph) -> None:
    allowed = np.zeros(ROWS, np.bool_)
    allowed[[5, 17, 4000]] = True
    _, rows = graph.search(graph.vectors[:1], K, allowed)
    assert set(rows.tolist()) == {5, 17, 4000}


def test_a_saved_graph_answers_the_same(graph: HnswGraph, tmp_path: Path) -> None:
    graph.save(tmp_path / "graph.faiss")
    again = HnswGraph.load(tmp_path / "graph.faiss", SETTINGS)
    assert np.array_equal(again.vectors, graph.vectors)
    allowed = np.random.default_rng(5).random(ROWS) < 0.5
    for query in clustered(5, seed=6):
        first, second = graph.search(query[None], K, allowed), again.search(query[None], K, allowed)
        assert np.array_equal(first[0], second[0])
        assert np.array_equal(first[1], second[1])


def test_a_small_graph_is_scanned_and_misses_nothing() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(900, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    poor = HnswSettings(m=4, ef_construction=8, ef_search=8, exact_below=0, exact_whole=900)
    graph = HnswGraph.build(vectors, poor, threads=1)
    allowed = rng.random(900) < 0.5
    for query in vectors[:20]:
        _, rows = graph.search(query[None], 30, allowed)
        exact = [row for row in np.argsort(-(vectors @ query)) if allowed[row]][:30]
        assert rows.tolist() == exact
