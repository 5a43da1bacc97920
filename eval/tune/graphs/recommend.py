"""What a sweep recommends: the fastest cell that meets a stated target.

Cells that meet the whole target are ranked by queries a second on one thread. Repeated timings
can't tell apart those within a twentieth of the fastest; among these the smallest in memory is
taken, then the one with the fastest build. If no cell meets the target, the nearest is named with
what it misses: nearest by the factors by which it exceeds the limits, all clauses together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.errors import InputError
from eval.tune.graphs.sweep_grid import LIMITS, Grid
from eval.tune.graphs.sweep_target import Cell, Target

_LIKE = 0.95  # share of the fastest: equally fast, given a timing's noise


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The cell to use, whether it meets the target, and sentences on what it misses and what is
    doubtful. `target` is as stated; `depth` is the number of rows for its recall.
    """

    cell: Cell
    target: Target
    depth: int
    met: bool
    misses: tuple[str, ...]
    warnings: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """Return the recommendation for people, the cell first."""
        cell = self.cell
        of = f"(recall of the {self.depth} nearest)"
        verdict = "meets" if self.met else "nothing meets"
        head = f"{verdict} {self.target} {of}: " + ("" if self.met else "nearest is ") + str(cell)
        figures = (
            f"recall {cell.recall:.4f}, {cell.qps:,.0f} queries/s on one thread, "
            f"p95 {cell.milliseconds['p95']:.2f} ms, {cell.memory / 1e6:,.1f} MB"
        )
        return (head, figures, *self.misses, *self.warnings)


def recommend(cells: Sequence[Cell], target: Target, grid: Grid) -> Recommendation:
    """Choose among the cells of a sweep over `grid`. Raises InputError if no cell was asked for as
    many rows as the target's recall needs.
    """
    depth = target.depth(grid.ks)
    able = [cell for cell in cells if cell.k == depth]
    if not able:
        raise InputError(f"no cell was asked for {depth} rows", mend=f"add {depth} to --k")
    meeting = [cell for cell in able if target.met(cell)]
    cell = _fastest(meeting) if meeting else _nearest(able, target)
    misses = tuple(
        f"misses {clause}: it has {clause.shown(clause.value(cell))}"
        for clause in target.clauses
        if not clause.met(cell)
    )
    warnings = tuple(edges(cell, grid, met=bool(meeting)))
    return Recommendation(cell, target, depth, bool(meeting), misses, warnings)


def pareto(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return the cells (of one k) that no other cell beats in both recall and queries a second, by
    falling speed; of equal cells the first.
    """
    front: list[Cell] = []
    for cell in sorted(cells, key=lambda each: (-each.qps, -each.recall)):
        if not front or cell.recall > front[-1].recall:
            front.append(cell)
    return tuple(front)


def edges(cell: Cell, grid: Grid, *, met: bool) -> Iterator[str]:
    """Yield sentences on where the cell is at the grid's edge, and how to widen the grid. At the
    largest ef, more helps only if the target was not met; at the smallest, less helps only if it
    was.
    """
    build = cell.build
    yield from _edge("m", build.m, grid.m)
    yield from _edge("ef-construction", build.ef_construction, grid.ef_construction)
    asks = grid.asks(build.precision)
    widths = tuple(ef for k, ef in asks if k == cell.k)
    narrower = met and cell.ef > grid.least_ef(cell.k, build.precision)
    yield from _edge("ef", cell.ef, widths, down=narrower, up=not met)


def _edge(
    axis: str, value: int, tried: tuple[int, ...], *, down: bool = True, up: bool = True
) -> Iterator[str]:
    least, most = LIMITS[axis]
    wider = []
    if down and value == tried[0] and value > least:
        wider.append(f"smaller (--{axis} {max(least, value // 2)},…)")
    if up and value == tried[-1] and value < most:
        wider.append(f"larger (--{axis} …,{min(most, value * 2)})")
    if wider:
        edge = "the only value tried" if len(tried) == 1 else "at the grid's edge"
        yield f"{axis} {value} is {edge}: something {' or '.join(wider)} may be better"


def _fastest(cells: Sequence[Cell]) -> Cell:
    best = max(cell.qps for cell in cells)
    alike = [cell for cell in cells if cell.qps >= best * _LIKE]
    return min(alike, key=lambda cell: (cell.memory, cell.build_seconds, -cell.qps))


def _nearest(cells: Sequence[Cell], target: Target) -> Cell:
    return min(cells, key=lambda cell: (target.excess(cell), -cell.recall, -cell.qps))
