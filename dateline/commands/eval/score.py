"""`dateline eval score`: a run that was made elsewhere, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dateline.commands.options import AsJson, Html, Measures, reported, write_page
from dateline.measuring.run_sets import folder_name
from dateline.shown.eval_table import show_summary
from eval.report import run_page
from eval.runs.measures import DEFAULT_MEASURES, VIEWS, names_of
from eval.runs.results import write_result
from eval.runs.run_files import score_run
from eval.runs.run_summary import summary
from eval.sets.datasets import read_judged_set


def score(
    run: Annotated[Path, typer.Argument(help="A run in TREC's six columns, perhaps .gz.")],
    dataset: Annotated[str, typer.Argument(help="The judged set, perhaps with :split.")],
    measures: Measures = "",
    depth: Annotated[
        int, typer.Option(min=0, help="Cut each list there; 0 leaves them as they are.")
    ] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the result; none without it.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="What to call the system in tables.", show_default="the file's name")
    ] = "",
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Measure a TREC run of any system, as `dateline eval run` measures its own.

    A list is ordered by its scores, equal ones by document id, descending, as trec_eval does. A
    document that the corpus lacks is an error: the run is over another version of it.
    """
    with reported():
        judged = read_judged_set(dataset)
        wanted = (*(names_of(measures) or DEFAULT_MEASURES), *VIEWS)
        found = score_run(run, judged, wanted, depth=depth, name=name)
        if output:
            write_result(found, output / folder_name(judged))
        if html:
            write_page(html, run_page([found]))
    show_summary(summary([found]), output, as_json=as_json)
