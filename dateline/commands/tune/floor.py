"""`dateline tune floor`: what makes a hit strong, learned from judged queries."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.table import Table

from core.errors import StorageError
from dateline.commands.options import (
    AsJson,
    Kept,
    Models,
    console,
    escape,
    reported,
    settings_for,
    write_result,
)
from dateline.measuring.tune_floor import FloorPlan, LearnedFloor, tune_floor
from dateline.shown.progress import Lazily, Steps, progress_bar
from search.floor import floor_json


def floor(
    sets: Annotated[
        list[str], typer.Argument(help="Folders with queries and qrels, and perhaps :split.")
    ],
    sample: Annotated[
        int, typer.Option(min=0, help="The most queries of a set, kind and half; 0 for all.")
    ] = 0,
    elsewhere: Annotated[
        list[str] | None,
        typer.Option(help="A set over other documents, whose queries nothing answers. Repeatable."),
    ] = None,
    deep: Annotated[
        list[str] | None,
        typer.Option(help="One of the sets, judged to depth: show calibration. Repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of samples and of queries about nothing.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File for the floor, JSON.")
    ] = None,
    as_json: AsJson = False,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Learn which hits are strong, and say how many relevant documents stay.

    500 queries about nothing in each collection are asked, too: nonsense, names that are not there,
    other topics. Half of them only judge. The setting floor names the file that --output writes;
    floors for other encoders in that file are kept.
    """
    with reported():
        if output is not None:
            _check_writable(output)
        settings = settings_for(data=data, models=models)
        with progress_bar(hidden=as_json) as progress:
            found = tune_floor(
                settings,
                FloorPlan(tuple(sets), sample, seed, tuple(elsewhere or ()), tuple(deep or ())),
                Steps(progress).said,
                Lazily(progress),
            )
        if output is not None:
            before = output.read_bytes() if output.exists() else b""
            labels = [one.label for one in found.sets]
            write_result(output, floor_json(found.floor, labels, before))
    if as_json:
        typer.echo(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2))
        return
    _show(found)


def _show(found: LearnedFloor) -> None:
    kinds = list(found.sets[0].quiet)
    heads = ("kept of 10", "kept of 100", "strong hits", *(f"none for {one}" for one in kinds))
    for title, rows in (("learned on all", found.sets), ("on the others", found.left_out)):
        table = Table("set", box=None, show_edge=False, header_style="bold", title=title)
        for head in heads:
            table.add_column(head, justify="right")
        for row in rows:
            quiet = (f"{row.quiet.get(kind, 0):.1%}" for kind in kinds)
            kept = (f"{row.first_10:.1%}", f"{row.first_100:.1%}", f"{row.strong:.0f}")
            table.add_row(escape(row.label), *kept, *quiet)
        if rows:
            console.print(table)
    if found.calibration:
        _show_calibration(found)


def _show_calibration(found: LearnedFloor) -> None:
    heads = ("Brier", "of a constant", "error", "chance: share relevant (documents)")
    table = Table(
        "set", *heads, box=None, show_edge=False, header_style="bold", title="calibration"
    )
    for row in found.calibration:
        bins = ", ".join(f"{chance:.2f}: {share:.2f} ({n:,})" for chance, share, n in row.bins)
        figures = (f"{one:.3f}" for one in (row.brier, row.constant, row.error))
        table.add_row(escape(row.label), *figures, bins)
    console.print(table)


def _check_writable(path: Path) -> None:
    """Raise StorageError if the file can't be written, before the work that it is to hold."""
    new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        raise StorageError(f"can't be written: {error}", where=str(path)) from error
