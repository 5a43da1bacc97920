"""`dateline eval`: how good the answers are, on judged sets."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from dateline.evaluate import evaluate_folder
from dateline.ingest_command import Bar, progress_bar
from dateline.options import AsJson, Data, Models, console, reported, settings_for

app = typer.Typer(no_args_is_help=True, help="Measure how good the answers are.")


@app.callback()
def about() -> None:
    """Measure how good the answers are."""


@app.command("run", no_args_is_help=True)
def run(
    dataset: Annotated[
        str, typer.Argument(help="A folder with queries and qrels, and perhaps :split.")
    ],
    profile: Annotated[str, typer.Option(help="Ranking profile.")] = "",
    as_json: AsJson = False,
    data: Data = None,
    models: Models = None,
) -> None:
    """Run a judged set through the pipeline that serves, and measure.

    Documents are indexed once, into a cache in the data folder, by their content and the settings.
    """
    with reported():
        settings = settings_for(data=data, models=models)
        with progress_bar(hidden=as_json) as progress:
            found = evaluate_folder(settings, dataset, profile or settings.profile, Bar(progress))
    if as_json:
        typer.echo(orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2))
        return
    console.print(found.summary())
