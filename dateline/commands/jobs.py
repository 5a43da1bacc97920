"""`dateline jobs`: jobs, their state, and what failed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.table import Column, Table

from core.errors import InputError
from core.work import AssetState, Job, Tracked
from dateline.commands.options import (
    AsJson,
    Data,
    console,
    escape,
    no_archive,
    reported,
    settings_for,
)
from indexing.work.sources.packages import need_packages

if TYPE_CHECKING:
    from dateline.build.media.desk import Desk

app = typer.Typer(no_args_is_help=True, help="Show and control ingests of photos and videos.")

JobId = Annotated[str, typer.Argument(help="A job's name, see `dateline jobs list`.")]
AssetIds = Annotated[
    list[str], typer.Argument(help="Assets as JOB:NUMBER, or a job's name for all of it.")
]
_SHOWN = 100
_SPAN = re.compile(r"([0-9]{1,5})([dhm])", re.ASCII)
_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0}


@app.command("list")
def list_(as_json: AsJson = False, data: Data = None) -> None:
    """List every ingest and operation, the newest first."""
    from indexing.work.progress import progress_since_start

    with _opened(data) as desk:
        found = [
            progress_since_start(job, desk.jobs.counts(job.id), time.time())
            for job in desk.jobs.jobs()
        ]
    if as_json:
        console.print_json(orjson.dumps([at.as_dict() for at in found]).decode())
        return
    table = Table(
        Column("job", no_wrap=True), "state", "created", "found", "done", "failed", "left"
    )
    for at in found:
        tree = at.as_dict()
        left = "" if tree["seconds_left"] in (None, 0) else f"{tree['seconds_left']:,.0f} s"
        counts = (f"{tree[name]:,}" for name in ("found", "done", "failed"))
        state = str(at.job.state) + (" (waits)" if at.job.trouble else "")
        table.add_row(at.job.id, state, _when(at.job.created), *counts, left)
    console.print(table)


@app.command("show", no_args_is_help=True)
def show(
    name: Annotated[str, typer.Argument(help="A job, or one of its assets as JOB:NUMBER.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show the state of an ingest or operation, or of one photo or video of an ingest."""
    from indexing.work.progress import progress_since_start

    with _opened(data) as desk:
        job, numbers = _named(name)
        if numbers:
            tree = _asset_tree(desk.jobs.asset(job, numbers[0]))
        else:
            found = desk.jobs.job(job)
            at = progress_since_start(found, desk.jobs.counts(job), time.time())
            tree = {
                **at.as_dict(),
                "created": _when(found.created),
                "remarks": dict(desk.jobs.remarks(job)),
                "result": dict(found.result),
            }
    if as_json:
        console.print_json(orjson.dumps(tree).decode())
        return
    for key, value in tree.items():
        console.print(f"{key:13} {escape(_text(value))}")


@app.command("failed")
def failed(
    job: Annotated[str, typer.Argument(help="A job's name; every job if not named.")] = "",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List what failed after its last try: the dead letters, with their causes."""
    with _opened(data) as desk:
        jobs = [desk.jobs.job(job)] if job else list(desk.jobs.jobs())
        dead = [asset for each in jobs for asset in _dead(desk, each)]
    if as_json:
        console.print_json(orjson.dumps([_asset_tree(asset) for asset in dead]).decode())
        return
    for asset in dead[:_SHOWN]:
        console.print(f"{asset.id} [red]{asset.stage}[/] {escape(asset.found.location)}")
        console.print(f"  {escape(asset.cause)}")
    if len(dead) > _SHOWN:
        console.print(f"… and {len(dead) - _SHOWN:,} more; --json lists them")


@app.command("replay", no_args_is_help=True)
def replay(names: AssetIds, data: Data = None) -> None:
    """Try dead letters again, after what they failed for was mended."""
    with _opened(data) as desk:
        count = sum(desk.desk.replay(job, numbers) for job, numbers in _grouped(names).items())
    console.print(f"{count:,} are tried again; `dateline worker` carries it out")


@app.command("fix", no_args_is_help=True)
def fix(
    name: Annotated[str, typer.Argument(help="A dead letter as JOB:NUMBER.")],
    location: Annotated[str, typer.Option(help="Where its file lies now.")],
    data: Data = None,
) -> None:
    """Tell where the file of a dead letter is now, and try it again."""
    with _opened(data) as desk:
        job, numbers = _named(name)
        if not numbers:
            raise InputError("names no asset", where=name, mend="write JOB:NUMBER")
        desk.desk.move(job, numbers[0], location)
        count = desk.desk.replay(job, numbers)
    console.print(f"{count:,} is tried again; `dateline worker` carries it out")


@app.command("drop", no_args_is_help=True)
def drop(names: AssetIds, data: Data = None) -> None:
    """Give up dead letters: they are no longer listed."""
    with _opened(data) as desk:
        count = sum(desk.desk.drop(job, numbers) for job, numbers in _grouped(names).items())
    console.print(f"{count:,} given up")


@app.command("pause", no_args_is_help=True)
def pause(job: JobId, data: Data = None) -> None:
    """Pause an ingest; it finishes the photos and videos that are under way."""
    with _opened(data) as desk:
        _say(desk.desk.pause(job))


@app.command("resume", no_args_is_help=True)
def resume(job: JobId, data: Data = None) -> None:
    """Go on with an ingest that was paused or cancelled."""
    with _opened(data) as desk:
        _say(desk.desk.resume(job))


@app.command("cancel", no_args_is_help=True)
def cancel(job: JobId, data: Data = None) -> None:
    """End an ingest; what it has put into the archive stays there."""
    with _opened(data) as desk:
        _say(desk.desk.cancel(job))


@app.command("prune")
def prune(
    older_than: Annotated[
        str, typer.Option(help="Since when they have to be over: such as 30d, 12h.")
    ] = "30d",
    with_failed: Annotated[
        bool,
        typer.Option("--with-failed", help="Those with dead letters, too, which are lost then."),
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Forget ingests that finished or were cancelled that long ago.

    Their results stay in the ledger, and their items in the archive.
    """
    with _opened(data) as desk:
        names = desk.desk.prune(time.time() - _seconds(older_than), with_dead=with_failed)
    if as_json:
        console.print_json(orjson.dumps(names).decode())
    else:
        console.print(f"{len(names):,} forgotten")


@contextmanager
def _opened(data: Data) -> Iterator[Desk]:
    with reported():
        need_packages()
        from dateline.build.media.desk import open_desk

        settings = settings_for(data=data)
        if not settings.has_orders:
            raise no_archive(settings)
        desk = open_desk(settings)
        try:
            yield desk
        finally:
            desk.close()


def _named(name: str) -> tuple[str, list[int]]:
    job, colon, number = name.partition(":")
    if not colon:
        return job, []
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise InputError("names no asset", where=name, mend="write JOB:NUMBER")
    return job, [int(number)]


def _seconds(span: str) -> float:
    found = _SPAN.fullmatch(span)
    if found is None:
        mend = "write a number and d for days, h for hours or m for minutes, such as 30d"
        raise InputError(f"{span!r} is no span of time", where="--older-than", mend=mend)
    return int(found[1]) * _UNITS[found[2]]


def _grouped(names: list[str]) -> dict[str, list[int]]:
    """Return the assets' numbers by job; an empty list means the whole job."""
    found: dict[str, list[int]] = {}
    whole: set[str] = set()
    for name in names:
        job, numbers = _named(name)
        found.setdefault(job, []).extend(numbers)
        whole |= set() if numbers else {job}
    return {job: [] if job in whole else numbers for job, numbers in found.items()}


def _dead(desk: Desk, job: Job) -> Iterator[Tracked]:
    after = -1
    while page := desk.jobs.find(job.id, [AssetState.DEAD], after):
        yield from page
        after = page[-1].number


def _asset_tree(asset: Tracked) -> dict[str, Any]:
    return {
        "asset": asset.id,
        "location": asset.found.location,
        "stage": str(asset.stage),
        "state": str(asset.state),
        "attempts": asset.attempts,
        "cause": asset.cause,
        "updated": _when(asset.updated),
        "digest": asset.digest,
        "size": asset.found.size,
        "products": list(asset.found.products),
        "sidecar": asset.found.sidecar,
        **asset.made,
    }


def _say(job: Job) -> None:
    console.print(f"job {job.id} is {job.state}")


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
