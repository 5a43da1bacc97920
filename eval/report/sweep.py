"""The page of an HNSW sweep: which cell to use, what it costs, and which cells were tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from eval.report.page import draw_page
from eval.report.parts import (
    Cell,
    Headline,
    Part,
    Plot,
    Section,
    Table,
    anything,
    count,
    facts_of,
    number,
    said,
    sentences,
    word,
)
from eval.report.plots import Line, Point, curves
from eval.report.texts import MISSING, milliseconds, shown
from eval.tune.graphs.sweep_report import Sweep
from eval.tune.graphs.sweep_target import Cell as SweepCell
from eval.tune.graphs.sweep_target import size

_MOST_LINES = 16  # lines of a plot; if there are more, only builds on the front are drawn
_LEAST_MISSED = 1e-5  # a recall of 1 is drawn here


def sweep_page(sweep: Sweep) -> str:
    """Return an HTML file about a sweep."""
    depths = sorted({cell.k for cell in sweep.cells})
    sections = [
        Section("Recommendation", _recommended(sweep)),
        *(Section(f"{k} nearest", _of_depth(sweep, k)) for k in depths),
        Section("Under filters and after churn", _conditions(sweep)),
        Section("Through the whole pipeline", _losses(sweep)),
        Section("How this was made", (facts_of(sweep.about), facts_of(asdict(sweep.grid), "Grid"))),
    ]
    graphs = len({cell.build for cell in sweep.cells})
    summary = (
        f"{graphs:,} graphs, {len(sweep.cells):,} cells. Wanted: {sweep.recommendation.target}."
    )
    return draw_page("HNSW parameters", summary, sections)


def _recommended(sweep: Sweep) -> tuple[Part, ...]:
    found = sweep.recommendation
    head, figures, *_ = found.lines()
    return (
        Headline(shown(head[:1].upper() + head[1:]), "good" if found.met else "bad"),
        *sentences([figures]),
        *sentences(found.misses, "What it misses", "bad"),
        *sentences((*found.warnings, *sweep.notes), "Doubts", "doubt"),
    )


def _of_depth(sweep: Sweep, k: int) -> tuple[Part, ...]:
    """Return the parts about the cells that were asked for `k` rows."""
    cells, front = sweep.of_depth(k), sweep.front(k)
    best = sweep.recommendation.cell if sweep.recommendation.cell.k == k else None
    return (_pareto_plot(cells, front, best, k), _cell_table(cells, front, best))


def _conditions(sweep: Sweep) -> tuple[Part, ...]:
    rows = [
        (
            word(str(cell)),
            word(each.what),
            word(each.way),
            said(each.share, f"{100 * each.share:g} %"),
            count(each.rows),
            number(each.recall),
            number(each.qps, 0),
            said(each.p95, milliseconds(each.p95)),
        )
        for cell, found in sweep.conditions
        for each in found
    ]
    if not rows:
        return ()
    head = ("cell", "condition", "way", "allowed", "rows", "recall", "queries/s", "p95 ms")
    note = (
        "Walked is the graph alone; served is what a search does, which scans where few rows are "
    )
    note += "allowed. Cluster allows the rows nearest to one of them, random any. Churn replaced a "
    note += "part of the rows."
    return (Table(head, tuple(rows), "", note),)


def _losses(sweep: Sweep) -> tuple[Part, ...]:
    rows = [
        (
            word(str(each.cell)),
            word(each.profile),
            word(each.measure),
            count(each.queries),
            number(each.exact),
            number(each.graph),
            number(-each.loss, signed=True),
            word("scanned: nothing to lose" if each.scanned else "walked"),
        )
        for each in sweep.losses
    ]
    head = ("cell", "profile", "measure", "queries", "exact", "graph", "difference", "way")
    return (Table(head, tuple(rows)),) if rows else ()


def _pareto_plot(
    cells: Sequence[SweepCell], front: Sequence[SweepCell], best: SweepCell | None, k: int
) -> Plot:
    builds = list(dict.fromkeys(cell.build for cell in cells))
    if len(builds) > _MOST_LINES:
        builds = [build for build in builds if any(cell.build == build for cell in front)]
    lines = [
        Line(str(build), tuple(_point(cell) for cell in cells if cell.build == build))
        for build in builds[:_MOST_LINES]
    ]
    left_out = len({cell.build for cell in cells}) - len(lines)
    note = "Up and to the right is better. Each line is one graph at growing ef."
    note += f" {left_out} graphs that others beat are left out." if left_out else ""
    note += " The ring is the recommended cell." if best else ""
    labels = (f"recall@{k}", "queries a second, one thread")
    ring = [_point(best)] if best else []
    return curves(
        lines, labels, "Recall against speed", log="xy", marked=ring, note=note, missed=True
    )


def _point(cell: SweepCell) -> Point:
    """Return a cell's point. Recall is drawn as the share that is missed, so that .99 and .999 are
    apart.
    """
    name = f"{cell}: recall {cell.recall:.4f}, {cell.qps:,.0f} queries/s"
    return Point(name, max(1 - cell.recall, _LEAST_MISSED), cell.qps)


def _cell_table(
    cells: Sequence[SweepCell], front: Sequence[SweepCell], best: SweepCell | None
) -> Table:
    depths = sorted({depth for cell in cells for depth in cell.recalls})
    times = sorted({name for cell in cells for name in cell.milliseconds})
    head = (
        *("graph", "M", "efConstruction", "ef", *(f"recall@{depth}" for depth in depths)),
        *("queries/s, 1 thread", "queries/s, all", *(f"{name} ms" for name in times)),
        *("memory", "disk", "build s", "front"),
    )
    ordered = sorted(cells, key=lambda cell: (cell != best, -cell.qps))
    rows = [_cell_row(cell, depths, times, _mark(cell, front, best)) for cell in ordered]
    note = "Front: no other cell beats it in recall and speed at once."
    return Table(head, tuple(rows), "All cells", note)


def _cell_row(
    cell: SweepCell, depths: Sequence[int], times: Sequence[str], mark: Cell
) -> tuple[Cell, ...]:
    nothing = float("nan")
    spent = [cell.milliseconds.get(name, nothing) for name in times]
    return (
        word(f"{cell.build.implementation} {cell.build.precision}"),
        *(anything(value) for value in (cell.build.m, cell.build.ef_construction, cell.ef)),
        *(number(cell.recalls.get(depth, nothing)) for depth in depths),
        *(number(value, 0) for value in (cell.qps, cell.qps_all)),
        *(said(value, milliseconds(value)) for value in spent),
        *(said(float(value), size(value)) for value in (cell.memory, cell.disk)),
        number(cell.build_seconds, 1),
        mark,
    )


def _mark(cell: SweepCell, front: Sequence[SweepCell], best: SweepCell | None) -> Cell:
    if cell == best:
        return word("recommended", "good")
    return word("front" if cell in front else MISSING)
