"""`dateline tune fusion`: the weights of fusion and reranking, by cross-validation."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.table import Table

from dateline.commands.options import (
    AsJson,
    Html,
    Kept,
    Models,
    console,
    errors,
    escape,
    reported,
    settings_for,
    write_result,
)
from dateline.measuring.tune_fusion import Plan, settings_to_apply, tune_fusion
from dateline.settings import FILE
from dateline.settings_file import write_settings
from dateline.shown.progress import Bar, Steps, progress_bar
from eval.tune.fusion.settings import PARAMETERS
from eval.tune.fusion.text import SET_HEAD, markdown, set_cells, verdict_lines
from eval.tune.fusion.tuning import Tuning


def fusion(
    sets: Annotated[
        list[str], typer.Argument(help="Folders with queries and qrels, and perhaps :split.")
    ],
    folds: Annotated[
        int, typer.Option(min=2, max=100, help="Folds of the outer cross-validation.")
    ] = 5,
    measure: Annotated[str, typer.Option(help="Measure to choose by.")] = "nDCG@10",
    parameters: Annotated[
        list[str] | None,
        typer.Option(help=f"NAME or NAME=VALUE,VALUE, of {', '.join(PARAMETERS)}. Repeatable."),
    ] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank/--no-rerank", help="Tune the reranking profile.")
    ] = False,
    sample: Annotated[int, typer.Option(min=0, help="The most queries of a set; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of folds, samples and intervals.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for fusion.md and fusion.json.")
    ] = None,
    html: Html = None,
    apply: Annotated[
        bool, typer.Option("--apply", help=f"Write what is recommended into {FILE} here.")
    ] = False,
    as_json: AsJson = False,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Choose the weights of the profile in use on judged queries, and say what they are worth.

    The figure is of nested cross-validation: no query judges a setting that it helped to choose.
    """
    plan = Plan(tuple(sets), measure, tuple(parameters or ()), rerank, folds, seed, sample)
    with reported():
        settings = settings_for(data=data, models=models)
        with progress_bar(hidden=as_json) as progress:
            found = tune_fusion(settings, plan, Steps(progress).said, Bar(progress))
        for note in found.notes:
            errors.print(f"[yellow]note:[/] {escape(note)}")
        if output is not None:
            write_result(output / "fusion.md", markdown(found, _command(plan)).encode())
            write_result(output / "fusion.json", _json(found))
        if html is not None:
            write_result(html, _page(found))
        change = _applied(found) if apply else ""
    if as_json:
        typer.echo(_json(found))
        return
    _show(found)
    if apply:
        console.print(escape(change or f"{FILE} stays as it is"))


def _applied(found: Tuning) -> str:
    """Write the settings, and give the change."""
    values, no_settings = settings_to_apply(found)
    for name in no_settings:
        errors.print(
            f"[yellow]note:[/] {name} is no setting: it stays "
            f"{escape(str(getattr(found.shipped, name)))} until search/ranking.py or the profile "
            "is changed"
        )
    return write_settings(Path(FILE), values) if values else ""


def _show(found: Tuning) -> None:
    shown = Table(box=None, show_edge=False, header_style="bold")
    for number, name in enumerate(SET_HEAD):
        shown.add_column(name, justify="right" if number else "left")
    for row in set_cells(found):
        shown.add_row(*(escape(cell) for cell in row))
    console.print(shown)
    chosen = Table(box=None, show_edge=False, header_style="bold")
    for name in ("parameter", "in force", "recommended", "chosen in the folds"):
        chosen.add_column(name)
    for name in found.tuned:
        counts = ", ".join(f"{value} ({n} x)" for value, n in found.stability[name].items())
        values = (str(getattr(one, name)) for one in (found.shipped, found.recommended))
        chosen.add_row(name, *values, counts)
    console.print(chosen)
    for line in verdict_lines(found):
        console.print(escape(line))


def _json(found: Tuning) -> bytes:
    return orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2)


def _page(found: Tuning) -> bytes:
    """Return the report as HTML. The modules that draw it are imported here."""
    from eval.report import fusion_page

    return fusion_page(found).encode()


def _command(plan: Plan) -> str:
    """Return the command that makes the report again, without paths of this machine."""
    named = [name.rstrip("/").rpartition("/")[2] for name in plan.sets]
    options = [f"--parameters {shlex.quote(one)}" for one in plan.parameters]
    options += ["--rerank"] * plan.rerank
    options += [f"--sample {plan.sample}"] * bool(plan.sample)
    options += [f"--folds {plan.folds} --measure {shlex.quote(plan.measure)} --seed {plan.seed}"]
    return f"dateline tune fusion {shlex.join(named)} {' '.join(options)}"
