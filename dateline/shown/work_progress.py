"""Shows an ingest of media: a line for each stage while it runs, and its results at the end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)

from core.ports.work import Jobs
from core.work import STAGES, AssetState, Job, JobState, Stage
from dateline.commands.options import errors, escape
from indexing.work.progress import JobProgress, Speedometer

if TYPE_CHECKING:
    from dateline.build.media.work import Worker

_LOOK_S = 0.25
_SHOWN = 20
_COUNTED = ("decoded", "shots", "captioned", "shared", "embedded", "written")


class StageBars:
    """A bar for each stage on the error stream, with its rate and the time that is left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[Stage, TaskID] = {
            stage: progress.add_task(str(stage), total=None, rate="") for stage in STAGES
        }

    def show(self, at: JobProgress) -> None:
        """Draw the progress."""
        left = "" if at.left_s is None else f", {_span(at.left_s)} left"
        more = "" if at.job.read else "+"
        for stage, task in self._tasks.items():
            own = at.stages[stage]
            self._progress.update(
                task,
                completed=own.done,
                total=at.counts.found or None,
                rate=f"{more} {own.rate:,.1f}/s{left if stage is STAGES[-1] else ''}",
            )


def stage_progress(*, hidden: bool = False) -> Progress:
    """Return the frame of the bars."""
    return Progress(
        TextColumn("{task.description:8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        console=errors,
        disable=hidden,
    )


def follow(worker: Worker, job: Job, bars: StageBars | None) -> JobProgress:
    """Wait until a job has ended or the worker must stop; return the job's progress then."""
    meter = Speedometer()
    told = ""
    while True:
        now = worker.desk.jobs.job(job.id)
        at = meter.look(now, worker.desk.jobs.counts(job.id), time.monotonic())
        if bars is not None:
            bars.show(at)
        if now.trouble != told:
            told = now.trouble
            if told:
                errors.print(f"  [yellow]waiting:[/] {escape(told)}")
        if now.state is not JobState.RUNNING or worker.queues.wait(_LOOK_S):
            return at


@contextmanager
def stopping_on_signals(worker: Worker) -> Iterator[None]:
    """Make Ctrl-C and SIGTERM stop the worker: work in progress ends, the rest stays ordered. A
    second signal ends the process at once.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if worker.queues.stopping:
            signal.default_int_handler(number, frame)
        errors.print("stopping; what is under way ends first, the rest stays ordered")
        worker.stop()

    with handled(stop):
        yield


@contextmanager
def handled(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have `stop` called for Ctrl-C and SIGTERM meanwhile."""
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_result(at: JobProgress, jobs: Jobs, console: Console) -> None:
    """Print one line of counts, and the dead letters."""
    counts = at.counts
    made = ", ".join(f"{counts.made.get(name, 0):,} {name}" for name in _COUNTED)
    console.print(f"job {at.job.id} {at.job.state}: {counts.found:,} found, {made}")
    for what, count in jobs.remarks(at.job.id).items():
        console.print(f"  [yellow]note:[/] {count:,} x {escape(what)}")
    dead = jobs.find(at.job.id, [AssetState.DEAD], limit=_SHOWN)
    for asset in dead:
        where, why = escape(asset.found.location), escape(asset.cause)
        errors.print(f"  [red]failed:[/] {asset.id} at {asset.stage}, {where}: {why}")
    if counts.dead() > len(dead):
        errors.print(f"  … and {counts.dead() - len(dead):,} more: `dateline jobs failed`")
    if at.job.trouble:
        errors.print(f"  [red]error:[/] {escape(at.job.trouble)}")


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
