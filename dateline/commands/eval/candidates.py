"""`dateline eval candidates`: what a reranker would be given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dateline.commands.options import Kept, Models, console, reported, settings_for
from dateline.measuring.evaluate import candidates_of
from dateline.shown.progress import Bar, progress_bar


def candidates(
    dataset: Annotated[
        str, typer.Argument(help="A folder with queries and qrels, and perhaps :split.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .jsonl.gz.")],
    profile: Annotated[str, typer.Option(help="Ranking profile; one that does not rerank.")] = (
        "hybrid"
    ),
    depth: Annotated[int, typer.Option(min=1, max=1000, help="Candidates of each query.")] = 50,
    titles: Annotated[
        int, typer.Option(min=0, help="Ask this many of the corpus's own titles instead.")
    ] = 0,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Write what a reranker would be given for each query, with judgements: to train one.

    The recipe that reads these files is `python -P -m training.rerank.distil`.
    """
    with reported():
        settings = settings_for(data=data, models=models)
        with progress_bar() as progress:
            task = progress.add_task("queries", total=None, rate="")

            def said(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            count = candidates_of(
                settings,
                dataset,
                output,
                profile=profile,
                depth=depth,
                titles=titles,
                observer=Bar(progress),
                said=said,
            )
    console.print(f"{count:,} lists in {output}")
