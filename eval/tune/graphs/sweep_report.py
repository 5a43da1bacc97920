"""A whole sweep as values, lines and JSON, for the command, the page and tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from eval.tune.graphs.neighbours import EPSILON
from eval.tune.graphs.recommend import Recommendation, pareto
from eval.tune.graphs.sweep_filters import Narrowed
from eval.tune.graphs.sweep_grid import Grid
from eval.tune.graphs.sweep_target import Cell, Target


@dataclass(frozen=True, slots=True)
class Loss:
    """What a graph costs the whole pipeline: the mean of a measure by exact search and by the
    graph, over `queries` judged queries, by a ranking profile. `scanned` says that no segment was
    large enough for the graph, so that nothing can be lost.
    """

    cell: Cell
    profile: str
    measure: str
    exact: float
    graph: float
    queries: int
    scanned: bool

    @property
    def loss(self) -> float:
        """How much is lost; below 0 if the graph happens to be better."""
        return self.exact - self.graph


@dataclass(frozen=True, slots=True)
class Sweep:
    """Everything that was measured. `about` has the circumstances; `conditions` are the cells that
    were asked with filters and after churn; `notes` are doubts.
    """

    about: Mapping[str, str | int | float]
    grid: Grid
    cells: tuple[Cell, ...]
    recommendation: Recommendation
    conditions: tuple[tuple[Cell, tuple[Narrowed, ...]], ...] = ()
    losses: tuple[Loss, ...] = ()
    notes: tuple[str, ...] = ()

    def of_depth(self, k: int) -> tuple[Cell, ...]:
        """Return the cells that were asked for `k` rows."""
        return tuple(cell for cell in self.cells if cell.k == k)

    def front(self, k: int) -> tuple[Cell, ...]:
        """Return the cells for `k` rows that no other beats in both recall and speed."""
        return pareto(self.of_depth(k))

    def rows(self, k: int) -> Iterator[dict[str, str | int | float | bool]]:
        """Yield one flat row for each cell of `k`, for tables and plots; names include units."""
        front = self.front(k)
        for cell in self.of_depth(k):
            yield cell_row(cell) | {
                "pareto": cell in front,
                "recommended": cell == self.recommendation.cell,
            }

    def as_dict(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        chosen = self.recommendation
        return {
            "about": dict(self.about) | {"recall_epsilon": EPSILON},
            "grid": asdict(self.grid),
            "cells": [row for k in self.grid.ks for row in self.rows(k)],
            "recommendation": {
                "target": str(chosen.target),
                "met": chosen.met,
                "recall_of": chosen.depth,
                "cell": cell_row(chosen.cell),
                "misses": list(chosen.misses),
                "warnings": list(chosen.warnings),
            },
            "conditions": [
                {"cell": str(cell), **asdict(each)}
                for cell, rows in self.conditions
                for each in rows
            ],
            "pipeline": [_loss_row(each) for each in self.losses],
            "notes": list(self.notes),
        }


def cell_row(cell: Cell) -> dict[str, str | int | float]:
    """Return a cell as a flat row."""
    recalls = {f"recall@{depth}": round(found, 5) for depth, found in cell.recalls.items()}
    times = {f"{name}_ms": round(at, 4) for name, at in cell.milliseconds.items()}
    return {
        "implementation": cell.build.implementation,
        "precision": cell.build.precision,
        "m": cell.build.m,
        "ef_construction": cell.build.ef_construction,
        "ef": cell.ef,
        "k": cell.k,
        **recalls,
        "qps": round(cell.qps, 1),
        "qps_all_threads": round(cell.qps_all, 1),
        **times,
        "build_s": round(cell.build_seconds, 3),
        "memory_bytes": cell.memory,
        "disk_bytes": cell.disk,
    }


def _loss_row(each: Loss) -> dict[str, str | int | float | bool]:
    return {
        "cell": str(each.cell),
        "profile": each.profile,
        "measure": each.measure,
        "exact": each.exact,
        "graph": each.graph,
        "loss": each.loss,
        "queries": each.queries,
        "scanned": each.scanned,
    }


def shortlist(cells: tuple[Cell, ...], chosen: Recommendation, target: Target) -> tuple[Cell, ...]:
    """Return the cells for the longer measurements: the recommended one and, for every other
    implementation and precision, the one nearest to the target.
    """
    found = {_kind(chosen.cell): chosen.cell}
    able = [cell for cell in cells if cell.k == chosen.depth]
    for cell in sorted(able, key=lambda each: (target.excess(each), -each.qps)):
        found.setdefault(_kind(cell), cell)
    return tuple(found.values())


def _kind(cell: Cell) -> tuple[str, str]:
    return cell.build.implementation, cell.build.precision
