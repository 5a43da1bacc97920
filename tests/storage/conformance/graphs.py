"""What every vector graph promises, whatever library walks it and at whatever precision.

A subclass says which kind it is and how much of the true neighbours it finds at least; the tests
come with it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from core.items import FloatMatrix
from core.ports.graphs import VectorGraph
from core.retrieval import Ids, Marks
from storage.graphs.builders import builder_of
from storage.graphs.kept import nearest
from storage.graphs.settings import HnswSettings, Implementation, Precision

ROWS, DIMENSION, QUERIES, K = 6000, 96, 30, 10
SHARES = (0.5, 0.1, 0.02, 0.001)
EXACT_BELOW = 300


def clustered(rows: int, seed: int) -> FloatMatrix:
    """Unit vectors around 40 centres and in 16 directions from them, as texts of the same topics
    lie in few of their dimensions: where all are alike, no precision but the full one can order
    neighbours.
    """
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    centres = fixed.standard_normal((40, DIMENSION))
    directions = fixed.standard_normal((16, DIMENSION)) / 4
    points = centres[rng.integers(0, 40, rows)]
    points += 0.6 * rng.standard_normal((rows, 16)) @ directions
    found: FloatMatrix = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return found


VECTORS, ASKED = clustered(ROWS, seed=1), clustered(QUERIES, seed=2)


def random_share(share: float) -> Marks:
    return np.random.default_rng(3).random(ROWS) < share


def clustered_share(share: float) -> Marks:
    """The hard case: what is allowed lies far from most queries."""
    found: Marks = VECTORS[:, 0] > np.quantile(VECTORS[:, 0], 1 - share)
    return found


def true_nearest(query: FloatMatrix, allowed: Marks | None = None, k: int = K) -> list[int]:
    rows = np.arange(ROWS) if allowed is None else np.flatnonzero(allowed)
    return nearest(VECTORS[rows] @ query[0], rows, k)[1].tolist()  # type: ignore[no-any-return]


def share_found(found: list[Ids], allowed: Marks | None = None) -> float:
    truths = [true_nearest(ASKED[place : place + 1], allowed) for place in range(QUERIES)]
    hits = sum(len(set(t) & set(f.tolist())) for t, f in zip(truths, found, strict=True))
    return hits / sum(map(len, truths))


@cache
def built(settings: HnswSettings) -> VectorGraph:
    """Once for all tests of a kind: a graph is only read."""
    return builder_of(settings).build(VECTORS, threads=1)


class GraphConformance:
    """Subclass it with `implementation`, `precision` and the floors."""

    implementation: Implementation = "faiss"
    precision: Precision = "fp32"
    floor = 0.98  # of the recall without a filter and with half or a tenth of the rows allowed
    far_floor = 0.85  # with a fiftieth allowed that lie far away, by the graph alone

    @pytest.fixture
    def settings(self) -> HnswSettings:
        return HnswSettings(
            m=16,
            ef_construction=100,
            exact_below=EXACT_BELOW,
            exact_whole=0,
            implementation=self.implementation,
            precision=self.precision,
        )

    @pytest.fixture
    def graph(self, settings: HnswSettings) -> VectorGraph:
        return built(settings)

    def test_recall(self, graph: VectorGraph) -> None:
        found = [graph.walk(query[None], K)[1] for query in ASKED]
        assert share_found(found) >= self.floor

    @pytest.mark.parametrize("marks", [random_share, clustered_share])
    @pytest.mark.parametrize("share", SHARES)
    def test_recall_with_a_filter(
        self, graph: VectorGraph, share: float, marks: Callable[[float], Marks]
    ) -> None:
        """As it is served: what few rows are allowed is scanned."""
        allowed = marks(share)
        found = []
        for query in ASKED:
            cosines, rows = graph.search(query[None], K, allowed)
            assert allowed[rows].all()
            assert len(rows) == min(K, np.count_nonzero(allowed))
            assert len(set(rows.tolist())) == len(rows)
            assert (np.diff(cosines) <= 0).all()
            assert np.allclose(cosines, graph.cosines(query[None], rows), atol=1e-5)
            assert np.allclose(cosines, VECTORS[rows] @ query, atol=2e-3)
            found.append(rows)
        scanned = np.count_nonzero(allowed) < EXACT_BELOW
        assert share_found(found, allowed) >= (0.99 if scanned else self.floor - 0.01)

    @pytest.mark.parametrize("marks", [random_share, clustered_share])
    @pytest.mark.parametrize("share", [0.1, 0.02])
    def test_recall_with_a_filter_by_the_graph_alone(
        self, graph: VectorGraph, share: float, marks: Callable[[float], Marks]
    ) -> None:
        allowed = marks(share)
        found = [graph.walk(query[None], K, allowed)[1] for query in ASKED]
        assert all(allowed[rows].all() for rows in found)
        assert share_found(found, allowed) >= self.far_floor

    def test_a_wider_search_finds_no_less(self, graph: VectorGraph) -> None:
        """At the narrowest, at the default and far above it; on the whole, not query by query."""
        shares = [
            share_found([graph.walk(query[None], K, None, ef)[1] for query in ASKED])
            for ef in (K, 128, 1024)
        ]
        assert shares[0] <= shares[1] + 0.01
        assert shares[1] <= shares[2] + 0.01
        assert shares[0] < 1 or shares[2] == 1

    def test_many_at_once_are_as_each_alone(self, graph: VectorGraph) -> None:
        cosines, rows = graph.search_many(ASKED, K, 64, threads=2)
        assert rows.shape == cosines.shape == (QUERIES, K)
        assert [str(part.dtype) for part in (cosines, rows)] == ["float32", "int64"]
        for place, query in enumerate(ASKED):
            alone = graph.walk(query[None], K, None, 64)
            assert alone[1].tolist() == rows[place].tolist()
            assert np.allclose(alone[0], cosines[place], atol=1e-6)

    def test_searches_side_by_side_keep_their_own_width_and_filter(
        self, graph: VectorGraph
    ) -> None:
        masks = [random_share(share) for share in (0.5, 0.3)]
        jobs = [(q, mask, ef) for q in ASKED[:8] for mask in masks for ef in (16, 256)]

        def ask(job: tuple[FloatMatrix, Marks, int]) -> list[int]:
            rows = graph.walk(job[0][None], K, job[1], job[2])[1]
            assert job[1][rows].all()
            return rows.tolist()  # type: ignore[no-any-return]

        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(ask, jobs))
        assert together == [ask(job) for job in jobs]

    def test_nothing_allowed(self, graph: VectorGraph) -> None:
        for ask in (graph.search, graph.walk):
            cosines, rows = ask(ASKED[:1], K, np.zeros(ROWS, np.bool_))
            assert len(cosines) == len(rows) == 0

    def test_more_asked_for_than_is_allowed(self, graph: VectorGraph) -> None:
        allowed = np.zeros(ROWS, np.bool_)
        allowed[[5, 17, 4000]] = True
        assert set(graph.search(ASKED[:1], K, allowed)[1].tolist()) == {5, 17, 4000}
        assert set(graph.walk(ASKED[:1], K, allowed, 4000)[1].tolist()) <= {5, 17, 4000}

    def test_more_asked_for_than_there_is(self, settings: HnswSettings) -> None:
        few = builder_of(settings).build(VECTORS[:7], threads=1)
        assert sorted(few.search(ASKED[:1], 50)[1].tolist()) == list(range(7))
        assert sorted(few.walk(ASKED[:1], 50)[1].tolist()) == list(range(7))
        cosines, rows = few.search_many(ASKED[:3], 50)
        assert rows.shape == cosines.shape == (3, 7)
        assert sorted(rows[0].tolist()) == list(range(7))

    def test_one_row(self, settings: HnswSettings) -> None:
        one = builder_of(settings).build(VECTORS[:1], threads=1)
        cosines, rows = one.search(VECTORS[:1], K)
        assert rows.tolist() == [0]
        assert cosines == pytest.approx([1], abs=2e-3)

    def test_equal_vectors_are_all_found(self, settings: HnswSettings) -> None:
        same = np.repeat(VECTORS[:1], 30, axis=0)
        graph = builder_of(settings).build(np.concatenate([same, VECTORS[100:400]]), threads=1)
        rows = graph.search(VECTORS[:1], 30, None, 400)[1]
        assert sorted(rows.tolist()) == list(range(30))

    def test_the_vectors_behind_it(self, graph: VectorGraph) -> None:
        rows = np.array([4, 0, 5999])
        assert graph.count == ROWS
        assert np.allclose(graph.vectors(rows), VECTORS[rows], atol=1e-3)
        assert np.allclose(graph.vectors(), VECTORS, atol=1e-3)
        assert graph.vectors().dtype == np.float32

    @pytest.fixture
    def saved(self, graph: VectorGraph, settings: HnswSettings, tmp_path: Path) -> Path:
        graph.save(tmp_path)
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted(builder_of(settings).files)
        return tmp_path

    def test_a_saved_graph_answers_the_same(
        self, graph: VectorGraph, settings: HnswSettings, saved: Path
    ) -> None:
        again = builder_of(settings).load(saved)
        assert (again.count, again.bytes) == (graph.count, graph.bytes)
        assert np.array_equal(again.vectors(), graph.vectors())
        for allowed in (None, random_share(0.5), random_share(0.02)):
            for query in ASKED[:5]:
                first = graph.search(query[None], K, allowed)
                second = again.search(query[None], K, allowed)
                assert np.array_equal(first[0], second[0])
                assert np.array_equal(first[1], second[1])

    def test_the_files_outlive_their_names(self, settings: HnswSettings, tmp_path: Path) -> None:
        """A segment may be removed while a search still reads it."""
        graph = builder_of(settings).build(VECTORS[:500], threads=1)
        before = graph.search(ASKED[:1], K)[1].tolist()
        graph.save(tmp_path)
        for path in tmp_path.iterdir():
            path.unlink()
        assert graph.search(ASKED[:1], K)[1].tolist() == before

    def test_a_small_graph_is_scanned_and_misses_nothing(self, settings: HnswSettings) -> None:
        poor = replace(settings, m=4, ef_construction=8, ef_search=8, exact_whole=900)
        graph = builder_of(poor).build(VECTORS[:900], threads=1)
        allowed = np.random.default_rng(5).random(900) < 0.5
        for query in ASKED[:20]:
            rows = graph.search(query[None], 30, allowed)[1]
            cosines = graph.vectors() @ query
            exact = [row for row in np.argsort(-cosines, kind="stable") if allowed[row]][:30]
            assert np.allclose(cosines[rows], cosines[exact], atol=1e-6)
            assert allowed[rows].all()
