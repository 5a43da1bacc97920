"""`dateline eval unseen`: a model on judged sets that it did not learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from dateline.commands.options import (
    EXIT_INPUT,
    AsJson,
    Kept,
    Models,
    console,
    escape,
    reported,
    settings_for,
)
from dateline.measuring.unseen import Unseen, judge_unseen


def unseen(
    model: Annotated[str, typer.Argument(help="An encoder or a cross-encoder, by its name.")],
    datasets: Annotated[
        list[str], typer.Argument(help="Judged sets, each perhaps with :split.", metavar="DATASET…")
    ],
    texts: Annotated[
        list[Path] | None,
        typer.Option(help="What it learned from, .jsonl or .txt, perhaps .gz. Repeatable."),
    ] = None,
    as_json: AsJson = False,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Judge a model on sets that it did not learn from; exit with 2 if one had to be refused.

    A set is refused if the model's card names it, or if more than 1 % of its documents or queries
    are near-duplicates (MinHash of .5 or more) of --texts.
    """
    with reported():
        settings = settings_for(data=data, models=models)
        found = judge_unseen(settings, model, datasets, texts or ())
    if as_json:
        typer.echo(orjson.dumps([_row(each) for each in found], option=orjson.OPT_INDENT_2))
    else:
        for each in found:
            console.print(_line(each))
        if not texts:
            console.print("[yellow]note:[/] near-duplicates were not looked for without --texts")
    if any(each.seen.refused for each in found):
        raise typer.Exit(EXIT_INPUT)


def _row(each: Unseen) -> dict[str, object]:
    seen = each.seen
    return {
        "set": seen.label,
        "refused": seen.refused,
        "near_duplicate_documents": seen.documents,
        "near_duplicate_queries": seen.queries,
        "measure": each.measure,
        "figure": each.figure,
    }


def _line(each: Unseen) -> str:
    label = escape(each.seen.label)
    if each.figure is None:
        return f"[red]{label}:[/] refused, {escape(each.seen.refused)}"
    return f"{label}: {each.measure} {each.figure:.4f}"
