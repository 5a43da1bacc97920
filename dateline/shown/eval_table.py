"""The output of `dateline eval run` and `dateline eval score`: tables and remarks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import orjson
import typer
from rich.console import Console
from rich.table import Table

from dateline.commands.options import console, escape
from eval.runs.run_summary import PERCENTILES, Estimate, SetSummary, Summary

_WIDE = 200  # a file or a pipe has no width: nothing must be cut off there
_REFUSED_SHOWN = 5


def show_summary(found: Summary, folder: Path | None, *, as_json: bool) -> None:
    """Print everything about a run; `folder` has its results."""
    if as_json:
        tree = {
            "output": str(folder) if folder else None,
            "sets": [each.as_dict() for each in found.sets],
            "mean": {name: asdict(estimate) for name, estimate in found.mean.items()},
        }
        typer.echo(orjson.dumps(tree, option=orjson.OPT_INDENT_2))
        return
    _print(_measures(found))
    console.print()
    _print(_circumstances(found))
    for line in _remarks(found):
        console.print(line)
    if folder:
        console.print(f"results in {escape(str(folder))}")


def _print(table: Table) -> None:
    Console(width=None if console.is_terminal else _WIDE, emoji=False).print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _measures(found: Summary) -> Table:
    """Return means with their 95 % intervals, a row for each collection."""
    table = _table("set", "queries", *found.main)
    for each in found.sets:
        values = (_interval(each.measures[name]) for name in found.main)
        table.add_row(_label(each), f"{len(each.result.rows):,}", *values)
    if len(found.sets) > 1:
        table.add_row("mean of sets", "", *(_interval(found.mean[name]) for name in found.main))
    return table


def _circumstances(found: Summary) -> Table:
    """Return what unjudged documents may hide, times, and failures."""
    times = [f"p{p} ms" for p in PERCENTILES]
    table = _table("set", *found.views, "unjudged", *times, "degraded", "refused")
    for each in found.sets:
        timed = any(each.milliseconds.values())
        table.add_row(
            _label(each),
            *(_short(each.measures[name].mean) for name in found.views),
            f"{each.unjudged:,} of {each.found:,}",
            *(f"{value:.1f}" if timed else "–" for value in each.milliseconds.values()),
            f"{sum(bool(row.degraded) for row in each.result.rows):,}",
            f"{len(each.refused):,}",
        )
    return table


def _remarks(found: Summary) -> Iterator[str]:
    first = found.sets[0].result
    system = first.system
    profile = f", profile {system.profile}" if system.profile else ""
    yield ""
    yield escape(f"{system.name}{profile}, {system.place}, to {first.depth} documents a query")
    asked = "one query at once" if first.clients == 1 else f"{first.clients} queries at once"
    yield f"brackets: 95 % bootstrap interval over the queries; times: {asked}"
    for each in found.sets:
        label = _label(each)
        for stage, count in each.degraded.items():
            yield f"[yellow]{label}:[/] {escape(stage)} degraded in {count:,} answers"
        for query, why in list(each.refused.items())[:_REFUSED_SHOWN]:
            yield f"[yellow]{label}:[/] " + escape(f"query {query} was refused: {why}")
        if len(each.refused) > _REFUSED_SHOWN:
            yield f"[yellow]{label}:[/] … and {len(each.refused) - _REFUSED_SHOWN:,} more"
        for note in each.result.notes:
            yield f"[yellow]{label}:[/] {escape(note)}"


def _label(each: SetSummary) -> str:
    return escape(each.result.collection.label)


def _interval(estimate: Estimate) -> str:
    return f"{_short(estimate.mean)} ({_short(estimate.low)}–{_short(estimate.high)})"


def _short(value: float) -> str:
    return f"{value:.4f}".removeprefix("0")
