"""`dateline eval run`: judged sets through what serves, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.errors import InputError
from dateline.commands.options import AsJson, Html, Kept, Measures, Models, reported, write_page
from dateline.measuring.evaluate import RunPlan
from dateline.measuring.run_sets import (
    default_output,
    measures_of,
    read_changes,
    read_sets,
    run_here,
    run_there,
    system_name,
)
from dateline.settings import configure
from dateline.shown.eval_table import show_summary
from dateline.shown.progress import RunBars, progress_bar
from eval.report import need_packages, run_page
from eval.runs.run_summary import summary
from eval.runs.runner import DEPTH
from search.answers import DateUse, EntityUse

EXIT_NOTHING = 1  # a set of which no query found anything; 2 is a mistake in what was asked

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder for the results.",
        show_default="eval-runs in the data folder",
    ),
]


def run(
    datasets: Annotated[
        list[str], typer.Argument(help="Judged sets, each perhaps with :split.", metavar="DATASET…")
    ],
    profile: Annotated[str, typer.Option(help="Ranking profile.", show_default="best")] = "",
    config: Annotated[
        Path | None, typer.Option(help="A dateline.toml in place of the one in force.")
    ] = None,
    changed: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting, or with profile. before it a field of the profile: "
            "--set entity_boost=0 --set profile.vector_weights.text=0.6",
        ),
    ] = None,
    url: Annotated[
        str, typer.Option(help="Ask the service at this address instead of one made here.")
    ] = "",
    key_env: Annotated[str, typer.Option(help="Variable that has the service's key.")] = "",
    measures: Measures = "",
    depth: Annotated[int, typer.Option(min=1, max=1000, help="Documents of each query.")] = DEPTH,
    clients: Annotated[
        int, typer.Option(min=1, max=64, help="Queries at once; times are then of a busy machine.")
    ] = 1,
    dates: Annotated[
        DateUse | None,
        typer.Option(help="What dates in queries do.", show_default="as each set says"),
    ] = None,
    entities: Annotated[
        EntityUse, typer.Option(help="What names in queries do that the archive knows.")
    ] = EntityUse.BOOST,
    output: Output = None,
    name: Annotated[str, typer.Option(help="What to call the system in tables.")] = "",
    html: Html = None,
    as_json: AsJson = False,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Run judged sets through the pipeline that serves, and measure.

    Documents are indexed once, into a cache in the data folder, by their content and the settings.
    Each set's result, with its run, is written below --output as DATASET-SPLIT. The exit code is 1
    if no query of a set found anything.
    """
    with reported():
        if html:
            need_packages()
        if url and (changed or config or models or clients > 1):
            what = "--set, --config, --models and --clients are for what runs here, not a service"
            raise InputError(what, mend="leave them out, or leave --url out")
        changes = read_changes(changed or [])
        flags = {"data": data, "models": models, **changes.settings}
        settings = configure(flags, file=config).settings
        usual = system_name(profile or settings.profile, config, changes, dates, entities)
        plan = RunPlan(
            profile=profile or ("" if url else settings.profile),
            changes=changes.profile,
            depth=depth,
            measures=measures_of(measures, depth),
            name=name or ("" if url else usual),
            clients=clients,
            dates=dates,
            entities=entities,
        )
        sets = read_sets(datasets)
        folder = output or default_output(settings, plan.name or "service")
        with progress_bar(hidden=as_json) as progress:
            bars = RunBars(progress)
            if url:
                results = run_there(url, key_env, sets, plan, folder, bars)
            else:
                results = run_here(settings, sets, plan, folder, bars)
        if html:
            write_page(html, run_page(results))
    show_summary(summary(results), folder, as_json=as_json)
    if any(not any(row.documents for row in result.rows) for result in results):
        raise typer.Exit(EXIT_NOTHING)
