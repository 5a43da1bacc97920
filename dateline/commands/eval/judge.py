"""`dateline eval judge`: people grade pairs of query and document, on a page of this machine."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from core.errors import InputError
from dateline.commands.options import Kept, Models, console, escape, reported, settings_for
from dateline.measuring import judging
from dateline.measuring.evaluate import open_indexed
from dateline.shown.progress import Lazily, Steps, progress_bar
from eval.judging.sitting import Sitting, sit
from eval.sets.datasets import read_to_judge


def judge(
    folder: Annotated[Path, typer.Argument(help="Folder with queries and judgements.")],
    judge: Annotated[str, typer.Option("--judge", help="Your name, as it is kept with a grade.")],
    begin: Annotated[
        str,
        typer.Option(
            "--from", metavar="SET", help="Begin the folder with this set's queries and grades."
        ),
    ] = "",
    profiles: Annotated[
        str,
        typer.Option(
            help="Profiles whose hits are pooled, by commas; they are added to a pool.",
            show_default="lexical, vector, hybrid and the setting profile",
        ),
    ] = "",
    depth: Annotated[int, typer.Option(min=1, max=100, help="Hits of each profile.")] = 10,
    overlap: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of what others graded that you grade too, to see agreement."
        ),
    ] = 0.2,
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="Decide where judges differ, seeing their grades.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0: a free one.")] = 0,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Grade the hits of several profiles, without knowing whose they are.

    The page shows a query and a document; the keys 0 to 3 grade and go on. Each grade is on disk
    at once, in judgements.jsonl in the folder, so you can stop at any time and go on later. Two
    judges give two names. FOLDER is a judged set then: `dateline eval run FOLDER`.
    """
    with reported():
        if not judge.strip():
            raise InputError("a judge needs a name", where="--judge", mend="give one")
        if begin:
            judging.begin(folder, begin)
        judged = read_to_judge(folder)
        settings = settings_for(data=data, models=models)
        names = tuple(name.strip() for name in profiles.split(",") if name.strip())
        with ExitStack() as opened:
            progress = opened.enter_context(progress_bar())
            service = opened.enter_context(open_indexed(settings, judged, Lazily(progress)))
            pool = judging.pool_of(service, judged, folder, names, depth, Steps(progress).said)
            progress.stop()
            share = 0.0 if adjudicate else overlap
            sitting = sit(judged, folder, pool, judge.strip(), share, adjudicates=adjudicate)
            _serve(sitting, partial(judging.shown, service, judged), port)
        _tell(folder, sitting)


def _serve(sitting: Sitting, show: Callable[[str], judging.Shown], port: int) -> None:
    from dateline.measuring.judging_app import build_judging_app, serve_until_told  # takes a second

    done = len(sitting.mine().keys() & {each.pair for each in sitting.pairs})
    console.print(f"{len(sitting.pairs):,} pairs, {done:,} graded by {escape(sitting.judge)}")
    key = secrets.token_urlsafe(16)
    serve_until_told(build_judging_app(sitting, show, key), port, key)


def _tell(folder: Path, sitting: Sitting) -> None:
    found, mine = sitting.agreement(), len(sitting.mine())
    console.print(f"{mine:,} grades of {escape(sitting.judge)} in {escape(str(folder))}")
    if found.pairs:
        alpha = "is not defined" if found.alpha is None else f"{found.alpha:.2f}"
        what = f"{found.pairs:,} pairs have several judges: ordinal alpha {alpha}"
        console.print(f"{what}, {found.same:.0%} of them with the same grade from all")
    console.print(f"measure with them: dateline eval run {escape(str(folder))}")
