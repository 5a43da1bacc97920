"""Successive halving (Jamieson and Talwalkar, 2016): a wide grid is tried on samples that grow.

Every graph is built over a small sample of the vectors, the better half goes on to a sample twice
as large, and so on, until few are left for all of the vectors. Better is what answers faster at the
target's recall; what does not reach it at any width ranks after all that do, by recall; what would
be too large in memory, at its bytes for each row, ranks last.

A small sample flatters small graphs: they reach a recall there that they miss on all vectors. So
half of the cells go on, not the best one, and the last few are measured in full.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.tune.sweep_grid import BuildCell
from eval.tune.sweep_target import Cell, Target

FINALISTS = 3
_LEAST_ROWS = 2_000
_RECALL = 0.95  # where the target names none


@dataclass(frozen=True, slots=True)
class Standing:
    """How a graph did on a sample: whether it fits in memory, queries a second at the wanted recall
    (None: not reached), and its best recall.
    """

    fits: bool
    qps: float | None
    recall: float

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """Larger is better."""
        return self.fits, self.qps is not None, self.recall if self.qps is None else self.qps


@dataclass(frozen=True, slots=True)
class Rung:
    """One sample: its rows, every graph tried there with its standing, the best first, and how many
    of them went on.
    """

    rows: int
    tried: tuple[tuple[BuildCell, Standing], ...]
    kept: int

    def lines(self) -> tuple[str, ...]:
        """What was dropped, and how it did."""
        return tuple(
            f"dropped at {self.rows:,} rows: {cell} ({_said(standing)})"
            for cell, standing in self.tried[self.kept :]
        )


def rungs(cells: int, rows: int, finalists: int = FINALISTS) -> tuple[int, ...]:
    """The sizes of the samples for so many cells, each twice the one before; none for few cells."""
    halvings = max(0, math.ceil(math.log2(max(cells, 1) / finalists)))
    sizes = [rows // 2**step for step in range(halvings, 0, -1)]
    return tuple(min(rows, max(_LEAST_ROWS, size)) for size in sizes)


def kept_of(count: int, finalists: int = FINALISTS) -> int:
    """How many of so many go on."""
    return min(count, max(finalists, math.ceil(count / 2)))


def halve(
    cells: Sequence[BuildCell],
    rows: int,
    measure: Callable[[BuildCell, int], Standing],
    finalists: int = FINALISTS,
) -> tuple[tuple[BuildCell, ...], tuple[Rung, ...]]:
    """Those that are left for all `rows`, in the order of `cells`, and what happened before."""
    left, done = list(cells), []
    for size in rungs(len(cells), rows, finalists):
        tried = [(cell, measure(cell, size)) for cell in left]
        tried.sort(key=lambda pair: pair[1].rank, reverse=True)
        kept = kept_of(len(tried), finalists)
        done.append(Rung(size, tuple(tried), kept))
        left = [cell for cell, _ in tried[:kept]]
    return tuple(cell for cell in cells if cell in left), tuple(done)


def standing(cells: Sequence[Cell], target: Target, depth: int, growth: float) -> Standing:
    """How one graph's cells did; `growth` is how many times larger the whole is than the sample."""
    mine = [cell for cell in cells if cell.k == depth]
    wanted = target.recall.limit if target.recall else _RECALL
    limit = target.limit("memory")
    fits = limit is None or mine[0].memory * growth <= limit
    best = max(cell.recall for cell in mine)
    return Standing(fits, speed_at(mine, wanted), best)


def speed_at(cells: Sequence[Cell], recall: float) -> float | None:
    """Queries a second at that recall, by one graph's cells of one k; None where it is not reached.
    Between two widths the logarithm of the speed is taken to be linear in recall.
    """
    return value_at([(cell.recall, cell.qps) for cell in _by_width(cells)], recall)


def value_at(points: Sequence[tuple[float, float]], recall: float) -> float | None:
    """A positive value at that recall, of (recall, value) by rising width; None where no point
    reaches it.
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


def _by_width(cells: Sequence[Cell]) -> list[Cell]:
    return sorted(cells, key=lambda cell: cell.ef)


def _said(standing: Standing) -> str:
    if not standing.fits:
        return "too large"
    if standing.qps is None:
        return f"recall {standing.recall:.3f} at most"
    return f"{standing.qps:,.0f} queries/s at the wanted recall"
