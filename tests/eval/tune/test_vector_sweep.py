"""Sweeps over small clustered vectors: what is measured, and that nothing is measured twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.items import FloatMatrix
from core.ports.graphs import GraphBuilder, VectorGraph
from dateline.build.engine import build_graphs
from dateline.settings import Settings
from eval.tune.graphs.growth_sweep import filled_up, grow
from eval.tune.graphs.neighbours import exact_neighbours
from eval.tune.graphs.sweep_filters import churned, filtered, filters
from eval.tune.graphs.sweep_graphs import GraphStore
from eval.tune.graphs.sweep_grid import BuildCell, Grid
from eval.tune.graphs.sweep_log import SweepLog
from eval.tune.graphs.vector_sweep import Bench, Subject, sweep, total_work

GRID = Grid(m=(4, 16), ef_construction=(40,), ef=(10, 40, 160), ks=(10,))


def clustered(rows: int, width: int = 16, clusters: int = 20, seed: int = 1) -> FloatMatrix:
    """Unit vectors around a few directions."""
    chance = np.random.default_rng(seed)
    middles = chance.standard_normal((clusters, width), np.float32)
    found = middles[chance.integers(clusters, size=rows)]
    found = found + 0.4 * chance.standard_normal((rows, width), np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


class Builders:
    """Builders by faiss, that count what they are asked to build."""

    def __init__(self, *, exact: int = 0) -> None:
        self.built: list[BuildCell] = []
        self._exact = exact

    def __call__(self, cell: BuildCell) -> GraphBuilder:
        settings = Settings(
            hnsw_m=cell.m, hnsw_ef_construction=cell.ef_construction, hnsw_exact_rows=self._exact
        )
        return _Counting(build_graphs(settings), cell, self.built)


class _Counting:
    def __init__(self, inner: GraphBuilder, cell: BuildCell, built: list[BuildCell]) -> None:
        self._inner, self._cell, self._built = inner, cell, built
        self.kind, self.files = inner.kind, inner.files

    def build(self, vectors: FloatMatrix, threads: int) -> VectorGraph:
        self._built.append(self._cell)
        return self._inner.build(vectors, threads)

    def load(self, folder: Path) -> VectorGraph:
        return self._inner.load(folder)


@pytest.fixture(scope="module")
def subject() -> Subject:
    vectors = clustered(2040)
    vectors, queries = vectors[:2000], vectors[2000:]
    return Subject(vectors, queries, exact_neighbours(vectors, queries, 10))


def bench(folder: Path, builders: Builders) -> Bench:
    log = SweepLog(folder / "log.jsonl", {"subject": "test"})
    return Bench(GraphStore(folder / "graphs", builders, log, 1), log, threads=2, seconds=0.0)


def test_one_graph_answers_every_width(subject: Subject, tmp_path: Path) -> None:
    builders = Builders()
    seen: list[float] = []
    cells = sweep(
        subject, GRID.builds(), GRID, bench(tmp_path, builders), lambda _, work: seen.append(work)
    )
    assert builders.built == list(GRID.builds())
    assert [(cell.build.m, cell.ef) for cell in cells] == [
        (m, ef) for m in (4, 16) for ef in (10, 40, 160)
    ]
    for m in (4, 16):
        recalls = [cell.recall for cell in cells if cell.build.m == m]
        assert recalls == sorted(recalls)  # a wider search finds no less
    assert cells[-1].recall > 0.99 > cells[0].recall
    assert cells[-1].memory > cells[0].memory > 0
    for cell in cells:
        assert cell.qps > 0 < cell.qps_all
        times = cell.milliseconds
        assert 0 < times["p50"] <= times["p95"] <= times["p99"]
        assert cell.disk == pytest.approx(cell.memory, rel=0.1)
    assert sum(seen) == pytest.approx(total_work(subject, GRID.builds(), GRID))


def test_what_was_measured_is_not_measured_again(subject: Subject, tmp_path: Path) -> None:
    first = sweep(subject, GRID.builds(), GRID, bench(tmp_path, Builders()))
    builders = Builders()
    assert sweep(subject, GRID.builds(), GRID, bench(tmp_path, builders)) == first
    assert builders.built == []
    wider = Grid(m=(4, 8, 16), ef_construction=(40,), ef=(10, 20, 40, 160), ks=(10,))
    cells = sweep(subject, wider.builds(), wider, bench(tmp_path, builders))
    assert [cell.m for cell in builders.built] == [8]  # the others' graphs are on disk
    assert all(cell in cells for cell in first)
    other = SweepLog(tmp_path / "log.jsonl", {"subject": "other"})
    assert other.get(what="build", rows=2000) is None
    elsewhere = Bench(GraphStore(tmp_path / "new", builders, other, 1), other, 2, 0.0)
    sweep(subject, GRID.builds(), GRID, elsewhere)
    assert len(builders.built) == 3  # another subject shares nothing


def test_a_log_cut_short_is_gone_on_with(subject: Subject, tmp_path: Path) -> None:
    """What a kill in the middle of a write leaves: a last line without its end."""
    first = sweep(subject, GRID.builds(), GRID, bench(tmp_path, Builders()))
    log = tmp_path / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-7])
    builders = Builders()
    again = sweep(subject, GRID.builds(), GRID, bench(tmp_path, builders))
    assert again[:-1] == first[:-1]
    assert again[-1].recall == first[-1].recall
    assert builders.built == []  # its graph was whole
    assert all(line.endswith(b"}") for line in log.read_bytes().splitlines())


def test_a_damaged_graph_is_built_again_and_never_opened(subject: Subject, tmp_path: Path) -> None:
    first = sweep(subject, GRID.builds()[:1], GRID, bench(tmp_path, Builders()))
    (folder,) = (tmp_path / "graphs").iterdir()
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1000])
    builders = Builders()
    wider = Grid(m=(4,), ef_construction=(40,), ef=(10, 20), ks=(10,))
    again = sweep(subject, wider.builds(), wider, bench(tmp_path, builders))
    assert len(builders.built) == 1
    assert again[0] == first[0]  # with the time of the first build: it is one graph
    assert again[1].build_seconds == first[0].build_seconds


# --- filters and churn


@pytest.fixture(scope="module")
def graph(subject: Subject) -> VectorGraph:
    return Builders()(BuildCell("faiss", "fp32", 16, 100)).build(subject.vectors, 1)


def test_filters_let_through_their_share(subject: Subject) -> None:
    found = list(filters(subject.vectors, (0.5, 0.001), seed=1))
    assert [(each.kind, int(each.allowed.sum())) for each in found] == [
        ("random", 1000),
        ("cluster", 1000),
        ("random", 2),
        ("cluster", 2),
    ]
    cluster = subject.vectors[found[1].allowed]
    assert cluster.mean(axis=0) @ cluster.mean(axis=0) > 0.05  # they lie on one side


def test_filtered_recall_is_of_what_is_allowed(subject: Subject, graph: VectorGraph) -> None:
    few = Subject(subject.vectors, subject.queries[:10], subject.truth)
    rows = list(filtered(few, graph, 10, 160, seconds=0.0))
    assert len(rows) == 4 * 2 * 2
    for row in rows:
        assert 0 <= row.recall <= 1
        if row.way == "served":  # below 4,000 allowed rows they are scanned
            assert row.recall == 1.0
    assert {(row.what, row.share, row.rows) for row in rows if row.share == 0.02} == {
        ("random", 0.02, 40),
        ("cluster", 0.02, 40),
    }


def test_churn_masks_what_was_replaced_and_finds_what_is_new(
    subject: Subject, graph: VectorGraph
) -> None:
    builder = Builders()(BuildCell("faiss", "fp32", 16, 100))
    walked, served = churned(subject, graph, builder, 10, 160, seconds=0.0)
    assert (walked.way, served.way) == ("walked", "served")
    assert walked.recall > 0.97
    assert served.recall == 1.0  # the second segment and what is left of the first are scanned


# --- growth


def test_sizes_begin_with_what_is_real(subject: Subject) -> None:
    found = filled_up(subject.vectors, 5000)
    assert np.array_equal(found[:2000], subject.vectors)
    assert np.array_equal(filled_up(subject.vectors, 3000), found[:3000])
    assert len(filled_up(subject.vectors, 100)) == 100
    nearest = (found[2000:] @ subject.vectors.T).max(axis=1)
    assert nearest.min() > 0.949  # each is that near to the one it was made from


def test_growth_widens_until_the_recall_is_reached(subject: Subject, tmp_path: Path) -> None:
    builders = Builders()
    grid = Grid(m=(8,), ef_construction=(40,), ef=(10, 20, 40, 80, 160, 320), ks=(10,))

    def sized(rows: int) -> Subject:
        part = filled_up(subject.vectors, rows)
        return Subject(part, subject.queries, exact_neighbours(part, subject.queries, 10))

    (cell,) = grid.builds()
    small, large = grow((3000, 500), sized, 2000, cell, grid, 0.97, bench(tmp_path, builders))
    assert (small.rows, small.real, large.rows, large.real) == (500, 500, 3000, 2000)
    assert 10 <= small.ef <= large.ef < 320
    assert large.memory > small.memory
    assert len(builders.built) == 2
    assert not (tmp_path / "graphs").exists()
