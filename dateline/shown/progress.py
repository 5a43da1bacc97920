"""Progress bars on the error stream, for work of several kinds."""

from __future__ import annotations

from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from dateline.commands.options import errors

if TYPE_CHECKING:
    from indexing import ingest as ingesting
    from indexing.embedding import Embedding

_EVERY_S = 0.1  # between two updates of a bar, so that a query or a timing does not wait for them


def progress_bar(*, hidden: bool = False) -> Progress:
    """Return a frame of bars with a rate and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=errors,
        disable=hidden,
    )


class Bar:
    """An ingest's progress on the error stream: bytes for the bar, documents for the rate."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("ingest", total=None, rate="")

    def advance(self, progress: ingesting.Progress) -> None:
        """Draw how far the ingest is."""
        seconds = max(progress.seconds, 1e-9)
        rate = (
            f"{progress.documents:,} documents, {progress.documents / seconds:,.0f}/s, "
            f"{progress.passages / seconds:,.0f} passages/s"
        )
        self._progress.update(
            self._task,
            completed=progress.done_bytes,
            total=progress.total_bytes or None,
            rate=rate,
        )


class Lazily:
    """The bar of an ingest. It appears with the first document that is taken in."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bar: Bar | None = None

    def advance(self, progress: Any) -> None:
        """Draw how far the ingest is."""
        self._bar = self._bar or Bar(self._progress)
        self._bar.advance(progress)


class RunBars:
    """A bar for each set's index and one for its queries, with the rate."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, tuple[TaskID, float]] = {}
        self._shown = 0.0

    def indexing(self, label: str) -> Lazily:
        """Return a bar that appears when something is indexed."""
        return Lazily(self._progress)

    def asked(self, label: str, done: int, total: int) -> None:
        """Draw how many queries have their answers."""
        now = monotonic()
        if label not in self._tasks:
            self._tasks[label] = (self._progress.add_task(label, total=total, rate=""), now)
        elif now - self._shown < _EVERY_S and done < total:
            return
        self._shown = now
        task, started = self._tasks[label]
        rate = f"{done:,} queries, {done / max(now - started, 1e-9):,.1f}/s"
        self._progress.update(task, completed=done, rate=rate)


class EmbedBars:
    """A bar for each vector field that lacks vectors, on the error stream."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def advance(self, so_far: Embedding) -> None:
        """Draw how far a field is."""
        if so_far.field not in self._tasks:
            self._tasks[so_far.field] = self._progress.add_task(f"embed {so_far.field}", rate="")
        rate = so_far.done / max(so_far.seconds, 1e-9)
        self._progress.update(
            self._tasks[so_far.field],
            completed=so_far.done,
            total=so_far.total,
            rate=f"{so_far.done:,} of {so_far.total:,} items, {rate:,.0f}/s",
        )


class SweepBar:
    """A bar for each step, with the time left; the rate is in per cent of the step a minute."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, tuple[TaskID, float]] = {}
        self._shown = 0.0

    def __call__(self, step: str, done: float, total: float) -> None:
        """Draw how far a step is."""
        now = monotonic()
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total, rate=""), now
        elif now - self._shown < _EVERY_S and done < total:
            return
        self._shown = now
        task, started = self._tasks[step]
        spent = now - started
        rate = f"{done / total / spent * 60:.1%} a minute" if total and spent > 1 else ""
        self._progress.update(task, completed=done, total=total, rate=rate)


class Steps:
    """A bar for each step, with a rate and the time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, tuple[TaskID, float]] = {}

    def said(self, what: str, done: int, total: int) -> None:
        """Draw that `done` of `total` of the step `what` are done."""
        if what not in self._tasks:
            task = self._progress.add_task(what, total=total, rate="")
            self._tasks[what] = task, perf_counter()
        task, started = self._tasks[what]
        rate = done / max(perf_counter() - started, 1e-9)
        self._progress.update(task, completed=done, rate=f"{done:,} of {total:,}, {rate:,.0f}/s")
