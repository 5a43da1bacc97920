"""A sweep over HNSW parameters: each graph is built once and asked at every width.

Exact neighbours come first; then, for each graph, its build, its sizes, and for each (k, ef) its
recall, queries a second and the time of single queries. What the log has is not measured again.
Builds and timings take turns in this process, because a build would slow a timing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from core.items import FloatMatrix
from core.ports.graphs import VectorGraph
from eval.tune.graphs.graph_timing import time_many, time_single
from eval.tune.graphs.neighbours import Neighbours, recall
from eval.tune.graphs.sweep_graphs import Built, GraphStore, cell_key
from eval.tune.graphs.sweep_grid import BuildCell, Grid
from eval.tune.graphs.sweep_log import SweepLog, Tree
from eval.tune.graphs.sweep_target import Cell

Observer = Callable[[str, float], None]  # what comes next, and the work that was just done
_ROUNDS = 4  # about how often a query is asked; only for the estimate of the time left


def unobserved(what: str, work: float) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked: unit vectors float32 [n, d], queries [q, d], and their exact neighbours."""

    vectors: FloatMatrix
    queries: FloatMatrix
    truth: Neighbours

    @property
    def rows(self) -> int:
        """The number of vectors."""
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and how to measure: the graphs, the log, `threads` for the timings on all threads, and
    the least seconds of each timing.
    """

    store: GraphStore
    log: SweepLog
    threads: int
    seconds: float = 0.3


def work_of(subject: Subject, asks: Sequence[tuple[int, int]]) -> float:
    """Return an estimate of one graph's work apart from its build, in visited vectors."""
    return float(sum(ef for _, ef in asks) * len(subject.queries) * _ROUNDS)


def build_work(subject: Subject, cell: BuildCell) -> float:
    """Return an estimate of a build's work, in the same unit."""
    return float(subject.rows * cell.ef_construction)


def total_work(subject: Subject, builds: Sequence[BuildCell], grid: Grid) -> float:
    """Return the work of a whole sweep in that unit: the sum of an observer's work."""
    return sum(
        build_work(subject, cell) + work_of(subject, grid.asks(cell.precision)) for cell in builds
    )


def sweep(
    subject: Subject,
    builds: Sequence[BuildCell],
    grid: Grid,
    bench: Bench,
    observe: Observer = unobserved,
) -> tuple[Cell, ...]:
    """Measure each of the graphs `builds` at every (k, ef) of the grid, in turn. Raises the
    builders' errors, and StorageError.
    """
    return tuple(
        cell
        for build in builds
        for cell in _sweep_graph(subject, build, grid.asks(build.precision), bench, observe)
    )


def _sweep_graph(
    subject: Subject,
    build: BuildCell,
    asks: Sequence[tuple[int, int]],
    bench: Bench,
    observe: Observer,
) -> list[Cell]:
    keys = {
        (k, ef): {"what": "ask", "k": k, "ef": ef, **cell_key(build, subject.rows)}
        for k, ef in asks
    }
    known = {pair: bench.log.get(**key) for pair, key in keys.items()}
    built = bench.store.known(build, subject.rows)
    observe(str(build), 0.0)
    graph: VectorGraph | None = None
    if built is None or any(value is None for value in known.values()):
        graph, built = bench.store.open(build, subject.vectors)
    observe(str(build), build_work(subject, build))
    cells: list[Cell] = []
    for (k, ef), value in known.items():
        if value is None and graph is not None:
            value = _ask(subject, graph, k, ef, bench)
            bench.log.put(value, **keys[k, ef])
        if value is not None:
            cells.append(_cell(build, built, k, ef, value))
        observe(str(build), work_of(subject, [(k, ef)]))
    return cells


def _ask(subject: Subject, graph: VectorGraph, k: int, ef: int, bench: Bench) -> Tree:
    vectors, queries = subject.vectors, subject.queries
    timed = time_single(partial(graph.walk, k=k, allowed=None, ef=ef), queries, k, bench.seconds)
    depths = sorted({10, 100, k} & set(range(1, k + 1)))
    return {
        "recalls": {
            str(depth): recall(vectors, queries, timed.rows, subject.truth, depth)
            for depth in depths
        },
        "qps": timed.qps,
        "qps_all": time_many(graph, queries, k, ef, bench.threads, bench.seconds),
        "milliseconds": timed.milliseconds,
    }


def _cell(build: BuildCell, built: Built, k: int, ef: int, value: Tree) -> Cell:
    return Cell(
        build=build,
        k=k,
        ef=ef,
        recalls={int(depth): float(found) for depth, found in value["recalls"].items()},
        qps=float(value["qps"]),
        qps_all=float(value["qps_all"]),
        milliseconds={name: float(at) for name, at in value["milliseconds"].items()},
        memory=built.memory,
        disk=built.disk,
        build_seconds=built.seconds,
    )
