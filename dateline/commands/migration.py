"""`dateline migration`: to another model, other index settings or OpenSearch, without a pause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from typing import Annotated, Any

import orjson
import typer

from dateline.build.migration import Moving, opened_migration
from dateline.commands.options import AsJson, Data, archive_settings, console, escape, reported
from dateline.measuring.migration_evaluation import Verdict, evaluate_migration
from dateline.shown.progress import EmbedBars, progress_bar

app = typer.Typer(
    no_args_is_help=True,
    help="Move to another model, to other index settings or to OpenSearch while searches go on.\n\n"
    "start, step, evaluate, flip and clean in this order; each can be run again after a crash.",
)


@contextmanager
def _moving(data: Any) -> Iterator[Moving]:
    with reported(), opened_migration(archive_settings(data=data)) as moving:
        yield moving


@app.command()
def start(
    data: Data = None,
    again: Annotated[
        bool, typer.Option("--again", help="Even where the index is as it should be.")
    ] = False,
) -> None:
    """Make the next index beside the one that is served."""
    with _moving(data) as moving:
        found = moving.start(again=again)
        _say(f"{found.source or 'the embedded engine'} moves to {found.target}")


@app.command()
def step(data: Data = None) -> None:
    """Embed what lacks the next model's vectors, and bring the next index up to the record.

    Can be interrupted and run again at any time: it goes on from there.
    """
    with _moving(data) as moving:
        with progress_bar(hidden=False) as progress:
            task = progress.add_task("index", rate="")

            def told(done: int, all_: int) -> None:
                rate = f"{done:,} of {all_:,} changes"
                progress.update(task, completed=done, total=all_, rate=rate)

            name, covered = moving.catch_up(EmbedBars(progress).advance, told)
        _say(f"{name} covers {covered.share:.2%} of {covered.wanted:,} items")


@app.command()
def status(data: Data = None, as_json: AsJson = False) -> None:
    """Say how far the migration is."""
    with _moving(data) as moving:
        migration = moving.mover.find()
        if migration is None:
            console.print_json("null") if as_json else _say("no migration is under way")
            return
        index = moving.mover.opened(migration)
        covered = moving.mover.coverage(index)
        told = {
            "phase": migration.phase,
            "source": migration.source,
            "target": migration.target,
            "served": moving.mover.served(),
            "items": covered.wanted,
            "covered": covered.share,
            "behind": covered.behind,
            "verdict": migration.verdict,
        }
    if as_json:
        console.print_json(orjson.dumps(told).decode())
        return
    for name, value in told.items():
        _say(f"{name:<8} {value if name != 'covered' else f'{value:.2%}'}")


@app.command()
def evaluate(
    sets: Annotated[
        list[str] | None, typer.Argument(help="Judged sets whose documents the archive has.")
    ] = None,
    data: Data = None,
) -> None:
    """Ask the next index what the served one is asked, and note how it compares."""
    with _moving(data) as moving:
        verdict = evaluate_migration(moving, sets or [])
    _say_verdict(verdict)
    raise typer.Exit(0 if verdict.passed else 1)


@app.command()
def flip(
    data: Data = None,
    unevaluated: Annotated[
        bool, typer.Option("--unevaluated", help="Whatever an evaluation says.")
    ] = False,
) -> None:
    """Let searches go to the next index, all at once."""
    with _moving(data) as moving:
        found = moving.flip(unevaluated=unevaluated)
        _say(f"{found.target} is served")
        if not found.source:
            _say('now set engine = "opensearch" and restart the services, one after the other')


@app.command()
def rollback(data: Data = None) -> None:
    """Let searches go back to the index before, which is brought up to the record first."""
    with _moving(data) as moving:
        migration = moving.mover.state()
        if migration.source:
            before = moving.mover.opened(migration, migration.source)
            with progress_bar(hidden=False) as progress:
                moving.embed(before.spaces, EmbedBars(progress).advance)
        found = moving.mover.roll_back(migration, moving.settings.migration_coverage)
        _say(f"{found.source} is served")


@app.command()
def clean(
    data: Data = None,
    abandon: Annotated[
        bool,
        typer.Option("--abandon", help="Give up a migration that has not flipped, or is back."),
    ] = False,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Seconds after the flip or rollback for services to follow it."),
    ] = 40.0,
) -> None:
    """Remove the index that is not served and the vectors of its encoder: no way back after it."""
    with _moving(data) as moving:
        migration = moving.mover.state()
        gone = moving.mover.removable(migration, abandon=abandon)
        left = wait - moving.mover.since_move(migration)
        if gone and left > 0:
            _say(f"{gone} is kept for {left:.0f} s more: searches may be under way in it")
            sleep(left)
        forgotten = moving.mover.clean(migration, abandon=abandon)
        _say(f"{moving.mover.served() or 'the embedded engine'} is served, nothing is beside it")
        if forgotten:
            _say(f"vectors of another encoder removed from {forgotten:,} versions")


def _say(text: str) -> None:
    console.print(escape(text))


def _say_verdict(verdict: Verdict) -> None:
    for each in verdict.sets:
        change = each.following - each.served
        _say(
            f"{each.name}: nDCG@10 {each.served:.4f} served, {each.following:.4f} next"
            f" ({change:+.4f}), {each.queries} queries"
        )
    if verdict.sampled:
        _say(
            f"{verdict.sampled} sampled queries: {verdict.overlap:.0%} of the best 10 are the same"
        )
    _say("passed" if verdict.passed else "not passed")
