"""Sweeps and growth as tables for the terminal and as rows for a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from dateline.commands.options import console, escape
from eval.tune.graphs.growth import Fit, Growth, Prediction
from eval.tune.graphs.sweep_filters import Narrowed
from eval.tune.graphs.sweep_report import Loss, Sweep
from eval.tune.graphs.sweep_target import Cell, size

Row = dict[str, object]
_WIDE = 200  # a file or a pipe has no width: nothing must be cut off there


def print_sweep(found: Sweep) -> None:
    """Print everything that was measured, with the recommendation last, where it is noticed."""
    chosen = found.recommendation
    for k in found.grid.ks:
        console.print(f"\n[bold]{k} nearest[/] (* none is better in recall and speed at once)")
        front = found.front(k)
        print_rows([_cell(cell, front) for cell in found.of_depth(k)])
    for title, rows in page_tables(found).items():
        console.print(f"\n[bold]{escape(title)}[/]")
        print_rows(rows)
    for line in found.notes:
        console.print(f"[yellow]note:[/] {escape(line)}")
    head, figures, *_ = chosen.lines()
    console.print(f"\n[bold {'green' if chosen.met else 'red'}]{escape(head)}[/]")
    console.print(escape(figures))
    for line in chosen.misses:
        console.print(escape(line))
    for line in chosen.warnings:
        console.print(f"[yellow]warning:[/] {escape(line)}")


def page_tables(found: Sweep) -> dict[str, list[Row]]:
    """Return the longer measurements by title, without empty ones."""
    narrowed = [
        (cell, row) for cell, rows in found.conditions for row in rows if row.what != "churn"
    ]
    churned = [
        (cell, row) for cell, rows in found.conditions for row in rows if row.what == "churn"
    ]
    tables = {
        "Filtered recall (walked: by the graph alone; served: scanned where few rows are "
        "allowed)": [_narrowed(cell, row) for cell, row in narrowed],
        "After a fifth of the rows was replaced": [_narrowed(cell, row) for cell, row in churned],
        "Loss through the whole pipeline, every segment walked": [
            _loss(each) for each in found.losses
        ],
    }
    return {title: rows for title, rows in tables.items() if rows}


def growth_rows(growth: Growth) -> list[Row]:
    """Return the measurements at each size."""
    return [
        {
            "vectors": f"{each.rows:,}",
            "real": f"{each.real:,}",
            "build s": f"{each.build_seconds:,.1f}",
            "memory": size(each.memory),
            "disk": size(each.disk),
            "ef": _number(each.ef, ",.0f"),
            "queries/s": _number(each.qps, ",.0f"),
            "p95 ms": _number(each.p95, ".2f"),
        }
        for each in growth.sizes
    ]


def fit_rows(growth: Growth) -> list[Row]:
    """Return the laws with their residuals."""
    return [
        {
            "what": what,
            "law": fit.law,
            "a": f"{fit.a:.4g}",
            "b": f"{fit.b:.4g}",
            "residuals": " ".join(f"{each:+.1%}" for each in fit.residuals),
        }
        for what, fit in named_fits(growth)
    ]


def prediction_rows(predictions: Sequence[Prediction]) -> list[Row]:
    """Return the laws' predictions for sizes that were not measured."""
    return [
        {
            "vectors": f"{each.rows:,}",
            "build h": f"{each.build_seconds / 3600:,.2f}",
            "memory": size(each.memory),
            "queries/s": _number(each.qps, ",.0f"),
            "p95 ms": _number(each.p95, ".2f"),
            "shards": "none do" if each.shards is None else f"{each.shards:,}",
            "memory of each": size(each.shard_memory),
            "p95 ms of each": _number(each.shard_p95, ".2f"),
            "reach": "far beyond what was measured" if each.far else "",
        }
        for each in predictions
    ]


def named_fits(growth: Growth) -> Iterator[tuple[str, Fit]]:
    """Return each law with its subject."""
    yield "build s", growth.build
    yield "memory", growth.memory
    if growth.query is not None and growth.p95 is not None:
        yield "ms a query", growth.query
        yield "p95 ms", growth.p95


def print_rows(rows: Sequence[Row]) -> None:
    """Print rows of one shape as a table; the first column has names."""
    if not rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row.values()))
    Console(width=None if console.is_terminal else _WIDE, emoji=False).print(table)


def _cell(cell: Cell, front: Sequence[Cell]) -> Row:
    build = cell.build
    return {
        "graph": f"{build.implementation} {build.precision}",
        "M": build.m,
        "efC": build.ef_construction,
        "ef": cell.ef,
        **{f"recall@{depth}": f"{found:.4f}" for depth, found in cell.recalls.items()},
        "q/s": f"{cell.qps:,.0f}",
        "q/s all": f"{cell.qps_all:,.0f}",
        **{f"{name} ms": f"{at:.2f}" for name, at in cell.milliseconds.items()},
        "build s": f"{cell.build_seconds:,.1f}",
        "memory": size(cell.memory),
        "disk": size(cell.disk),
        "": "*" if cell in front else "",
    }


def _narrowed(cell: Cell, row: Narrowed) -> Row:
    return {
        "cell": str(cell),
        "rows": f"{row.what} {row.share:.4g}",
        "allowed": f"{row.rows:,}",
        "way": row.way,
        "recall": f"{row.recall:.4f}",
        "q/s": f"{row.qps:,.0f}",
        "p95 ms": f"{row.p95:.2f}",
    }


def _loss(each: Loss) -> Row:
    return {
        "cell": str(each.cell),
        "profile": each.profile,
        "measure": each.measure,
        "exact": f"{each.exact:.4f}",
        "graph": f"{each.graph:.4f}",
        "loss": f"{each.loss:+.4f}",
        "queries": f"{each.queries:,}",
        "served": "scanned, no loss" if each.scanned else "walked",
    }


def _number(value: float, shape: str) -> str:
    return format(value, shape) if math.isfinite(value) else "not reached"
