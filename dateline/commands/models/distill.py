"""`dateline models distill`: a reranker with fewer layers, beside the one that it learned from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from core.errors import InputError
from dateline.commands.options import (
    EXIT_REFUSED,
    AsJson,
    Kept,
    Models,
    console,
    reported,
    settings_for,
    show_progress,
)
from inference.runtimes.loading import library

MOST_LOST = 0.005  # half a point
_TOKENIZER = "all-MiniLM-L6-v2"  # every English BERT's vocabulary


def distill_model(
    teacher: Annotated[
        Path, typer.Argument(help="State of a run of training.rerank.distil, of 12 layers.")
    ],
    learn: Annotated[
        list[Path], typer.Option(help="Lists of `eval candidates` to learn from. Repeatable.")
    ],
    judge: Annotated[list[Path], typer.Option(help="Other lists, to judge both on. Repeatable.")],
    output: Annotated[Path, typer.Option(help="Folder for both models and the run.")],
    layers: Annotated[int, typer.Option(min=1, max=48, help="Layers of the student.")] = 6,
    steps: Annotated[int, typer.Option(min=1, help="Steps of learning.")] = 1000,
    minutes: Annotated[
        float, typer.Option(min=0.01, help="Stop after so many; the same command goes on.")
    ] = 1e6,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads that learn.")] = 1,
    as_json: AsJson = False,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Make a reranker of fewer layers from one of twelve, and judge both side by side.

    The student starts from every second layer, and learns the teacher's token vectors and order.
    Exit code 1 if the student loses more than half a point. `report.md` in the folder says what
    each query and each layer lost. Needs the extra `torch`.
    """
    with reported():
        for path in (teacher, *learn, *judge):
            if not path.is_file():
                mend = "`dateline eval candidates` writes lists, training.rerank.distil a run"
                raise InputError("no such file", where=str(path), mend=mend)
        halve = library("training.rerank.halve")
        settings = settings_for(data=data, models=models)
        plan = halve.Plan(
            teacher,
            tuple(learn),
            tuple(judge),
            output,
            Path(settings.models) / _TOKENIZER / "tokenizer.json",
            layers=layers,
            steps=steps,
            seconds=60 * minutes,
            threads=threads,
        )
        found = halve.halve(plan, show_progress)
    lost = found.sides[0].ndcg - found.sides[1].ndcg if found.sides else 0.0
    if as_json:
        typer.echo(orjson.dumps({**asdict(found), "lost": lost}, option=orjson.OPT_INDENT_2))
    else:
        _show(found, lost)
    raise typer.Exit(EXIT_REFUSED if lost > MOST_LOST else 0)


def _show(found: Any, lost: float) -> None:
    """Print both sides, or how far learning is."""
    if not found.sides:
        console.print(f"{found.step:,} of {found.steps:,} steps; the same command goes on")
        return
    table = Table(box=None, show_edge=False, header_style="bold", pad_edge=False)
    for name in ("model", "layers", "nDCG@10", "ms a list"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for side in found.sides:
        table.add_row(side.name, str(side.layers), f"{side.ndcg:.4f}", f"{side.ms:.1f}")
    console.print(table)
    teacher, student = found.sides
    low, high = found.interval
    console.print(
        f"{100 * lost:+.2f} points lost (95 % {low:+.2f} to {high:+.2f}),"
        f" {student.ms / teacher.ms:.2f} of the time"
    )
    if lost > MOST_LOST:
        console.print("[red]refused[/]: more than half a point is lost")
