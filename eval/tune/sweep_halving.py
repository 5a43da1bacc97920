"""A wide grid narrowed on samples of the vectors, which have to be in random order: a sample is
their beginning, so that each holds the one before.
"""

from __future__ import annotations

from dataclasses import replace

from eval.tune.halving import Rung, Standing, halve, kept_of, rungs, standing
from eval.tune.neighbours import exact_neighbours
from eval.tune.sweep_grid import BuildCell, Grid
from eval.tune.sweep_target import Target
from eval.tune.vector_sweep import Bench, Observer, Subject, sweep, total_work, unobserved


def halved(
    subject: Subject,
    grid: Grid,
    target: Target,
    bench: Bench,
    observe: Observer = unobserved,
) -> tuple[tuple[BuildCell, ...], tuple[Rung, ...]]:
    """The graphs of the grid that are worth a build over all vectors, and how the others fell out.
    Only as many rows are asked for as the target's recall is of.
    """
    depth = target.depth(grid.ks)
    only = replace(grid, ks=(depth,))
    sizes = sorted(set(rungs(len(grid.builds()), subject.rows)))
    samples = {rows: _sample(subject, rows, depth) for rows in sizes}

    def measure(cell: BuildCell, rows: int) -> Standing:
        cells = sweep(samples[rows], [cell], only, bench, observe)
        return standing(cells, target, depth, subject.rows / rows)

    return halve(grid.builds(), subject.rows, measure)


def halving_work(subject: Subject, grid: Grid, depth: int) -> float:
    """About how much a halving is, in the observer's unit."""
    left, work, only = list(grid.builds()), 0.0, replace(grid, ks=(depth,))
    for rows in rungs(len(left), subject.rows):
        sample = Subject(subject.vectors[:rows], subject.queries, subject.truth)
        work += total_work(sample, left, only)
        left = left[: kept_of(len(left))]
    return work


def _sample(subject: Subject, rows: int, k: int) -> Subject:
    vectors = subject.vectors[:rows]
    return Subject(vectors, subject.queries, exact_neighbours(vectors, subject.queries, k))
