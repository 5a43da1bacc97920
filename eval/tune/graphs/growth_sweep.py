"""Measures one HNSW cell at several sizes, each at rising widths until it reaches a recall.

A size is the beginning of one list of vectors, with the real ones first. So each size includes the
one before, and copies come in only after the real ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from core.items import FloatMatrix
from eval.tune.graphs.growth import Grown
from eval.tune.graphs.sweep_grid import BuildCell, Grid
from eval.tune.graphs.sweep_target import Cell
from eval.tune.graphs.vector_source import COSINE, noisy
from eval.tune.graphs.vector_sweep import Bench, Observer, Subject, sweep, unobserved

Sized = Callable[[int], Subject]  # the vectors of a size, with their exact neighbours

_BLOCK = 8192


def filled_up(vectors: FloatMatrix, count: int, seed: int = 1) -> FloatMatrix:
    """Return `count` unit vectors: those of `vectors` [n, d], then copies of them with noise, at
    the cosine `eval.tune.graphs.vector_source.COSINE`.
    """
    if count <= len(vectors):
        return vectors[:count]
    found = np.empty((count, vectors.shape[1]), np.float32)
    found[: len(vectors)] = vectors
    for block, start in enumerate(range(len(vectors), count, _BLOCK)):
        # A whole block is drawn, so that a copy at one place is the same for every `count`.
        chance = np.random.default_rng([seed, block])
        sources = vectors[chance.integers(0, len(vectors), _BLOCK)]
        copies = noisy(sources, COSINE, chance)
        found[start : start + _BLOCK] = copies[: count - start]
    return found


def grow(
    sizes: Sequence[int],
    sized: Sized,
    real: int,
    cell: BuildCell,
    grid: Grid,
    recall: float,
    bench: Bench,
    observe: Observer = unobserved,
) -> Iterator[Grown]:
    """Measure each size in turn, the smallest first.

    `grid` has the widths and its only k; the first `real` vectors are not copies. Builds and
    queries are in the log, so that a killed run can continue. Graphs of earlier sizes are removed.
    """
    for rows in sorted(sizes):
        subject = sized(rows)
        cells = _until(subject, cell, grid, recall, bench, observe)
        yield _grown(subject, min(rows, real), cells, recall)
        bench.store.forget()


def value_at(points: Sequence[tuple[float, float]], recall: float) -> float | None:
    """Return the positive value at that recall, from (recall, value) by rising width; None if no
    point reaches it. Between two widths the value's logarithm is interpolated linearly in recall.
    """
    before: tuple[float, float] | None = None
    for at, value in points:
        if at >= recall:
            if before is None or at == before[0]:
                return value
            share = (recall - before[0]) / (at - before[0])
            return math.exp((1 - share) * math.log(before[1]) + share * math.log(value))
        before = (at, value)
    return None


def _until(
    subject: Subject,
    cell: BuildCell,
    grid: Grid,
    recall: float,
    bench: Bench,
    observe: Observer,
) -> list[Cell]:
    """Return the cells at rising widths, up to the first that reaches the recall."""
    found: list[Cell] = []
    for _, width in grid.asks(cell.precision):
        only = replace(grid, ef=(width,))
        found += sweep(subject, [cell], only, bench, observe)
        if found[-1].recall >= recall:
            break
    return found


def _grown(subject: Subject, real: int, cells: Sequence[Cell], recall: float) -> Grown:
    def at(value: Callable[[Cell], float]) -> float:
        found = value_at([(cell.recall, value(cell)) for cell in cells], recall)
        return math.nan if found is None else found

    last = cells[-1]
    return Grown(
        rows=subject.rows,
        real=real,
        build_seconds=last.build_seconds,
        memory=float(last.memory),
        disk=float(last.disk),
        ef=at(lambda cell: float(cell.ef)),
        qps=at(lambda cell: cell.qps),
        p95=at(lambda cell: cell.milliseconds["p95"]),
    )
