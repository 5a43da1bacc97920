"""`dateline eval machine-judge`: a language model's grades, held against people's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dateline.commands.options import Kept, Models, console, escape, reported, settings_for
from dateline.measuring.evaluate import open_indexed
from dateline.measuring.judging import document_text
from dateline.measuring.run_sets import key_in
from dateline.shown.progress import Steps, progress_bar
from eval.judging.grades import Grades
from eval.judging.machine import Ask, Trust, asking, grade_by, of_people, open_endpoint, trust
from eval.judging.pool import Pooled, read_pool
from eval.judging.sitting import scale_of
from eval.sets.beir import MACHINE_JUDGEMENTS
from eval.sets.datasets import read_to_judge


def machine_judge(
    folder: Annotated[Path, typer.Argument(help="Folder that people have judged.")],
    url: Annotated[str, typer.Option(help="Of OpenAI's protocol, such as https://host/v1.")],
    model: Annotated[str, typer.Option(help="The model's name there.")],
    key_env: Annotated[str, typer.Option(help="Variable that has the service's key.")] = "",
    depth: Annotated[
        int, typer.Option(min=1, help="Look at a system's bias over so many of its hits.")
    ] = 10,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Grade only what people have graded.")
    ] = False,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Hold a language model's grades against people's, and let it grade the rest of a pool.

    First it grades what people have graded, 100 pairs at least, and the command tells how far it
    agrees with them and whom it favours. Documents are sent to the service at --url. The grades are
    kept apart, in machine-judgements.jsonl: `dateline eval run FOLDER:machine` measures by them
    alone, FOLDER:test+machine by people's where there are some, and FOLDER:test by people's alone.
    """
    with reported():
        endpoint = open_endpoint(url, model, key_in(key_env))
        judged = read_to_judge(folder)
        pool, kept = read_pool(folder, judged.queries), Grades(folder, MACHINE_JUDGEMENTS)
        people = of_people(Grades(folder), pool)
        settings = settings_for(data=data, models=models)
        with progress_bar() as progress, open_indexed(settings, judged) as service:
            text_of = partial(document_text, service, judged)
            ask = asking(endpoint, judged.queries, text_of, *scale_of(folder))
            grade = partial(_grade, Steps(progress), ask, kept, model)
            grade("graded by people", [each for each in pool if each.pair in people])
            found = trust(pool, kept.of(model), people, depth)
            if not check_only:
                grade("graded by nobody", [each for each in pool if each.pair not in people])
        _tell(found, folder, model, len(kept.all()))


def _grade(
    steps: Steps, ask: Ask, kept: Grades, model: str, what: str, pairs: Sequence[Pooled]
) -> None:
    for done, _ in enumerate(grade_by(ask, pairs, kept, model), start=1):
        steps.said(what, done, len(pairs))


def _tell(found: Trust, folder: Path, model: str, grades: int) -> None:
    kappa = "is not defined" if found.kappa is None else f"{found.kappa:.2f}"
    console.print(
        f"over {found.pairs:,} pairs that people graded: weighted kappa {kappa}, "
        f"{found.same:.0%} the same grade, {found.higher:+.2f} grades on average"
    )
    for each in found.biases:
        note = " [yellow]it favours or slights this system[/]" if each.low * each.high > 0 else ""
        console.print(
            f"  {escape(each.system)}: {each.difference:+.2f} grades "
            f"({each.low:+.2f} to {each.high:+.2f}) beyond that, over {each.pairs:,} pairs{note}"
        )
    name = escape(str(folder))
    console.print(f"{grades:,} grades of {escape(model)}: dateline eval run {name}:test+machine")
