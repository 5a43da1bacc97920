"""`dateline ingest`: documents into the archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from dateline.build import build_service
from dateline.options import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    AsJson,
    Data,
    Models,
    console,
    errors,
    escape,
    exit_code,
    reported,
    settings_for,
    show_error,
)
from indexing import ingest as ingesting
from indexing.report import IngestReport

_SHOWN = 20


class Bar:
    """An ingest's progress on the error stream: bytes for the bar, documents for the rate."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("ingest", total=None, rate="")

    def advance(self, progress: ingesting.Progress) -> None:
        """See `indexing.ingest.Observer`."""
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


def progress_bar(*, hidden: bool = False) -> Progress:
    """A bar with a rate and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=errors,
        disable=hidden,
    )


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(help="ninjs files, JSONL of them (.gz too), folders, or BEIR folders."),
    ],
    products: Annotated[
        str,
        typer.Option(
            help="Product codes, by commas, that these items belong to besides their own."
        ),
    ] = "",
    strict: Annotated[bool, typer.Option(help="Stop at the first bad document.")] = False,
    as_json: AsJson = False,
    data: Data = None,
    models: Models = None,
) -> None:
    """Take documents into the archive; what is known already is passed over.

    An item that belongs to no product is seen by nobody. Exit code 1: some documents were rejected
    or refused; they are listed, and the rest went on.
    """
    codes = tuple(code.strip() for code in products.split(",") if code.strip())
    options = ingesting.IngestOptions(products=codes, strict=strict)
    with reported():
        service = build_service(settings_for(data=data, models=models))
        try:
            with progress_bar(hidden=as_json) as progress:
                report = service.ingest.run(paths, options, Bar(progress))
            service.engine.catch_up()
        finally:
            service.close()
    if as_json:
        console.print_json(orjson.dumps(report.as_dict()).decode())
    else:
        _show(report)
    raise typer.Exit(_exit(report))


def _exit(report: IngestReport) -> int:
    if report.interrupted:
        return EXIT_INTERRUPTED
    if report.stopped_by is not None:
        return exit_code(report.stopped_by)
    return 0 if report.ok else EXIT_REFUSED


def _show(report: IngestReport) -> None:
    figures = report.as_dict()
    counted = (
        "read created superseded updated unchanged stale conflict rejected passages".split()  # noqa: SIM905
    )
    parts = [f"{figures[name]:,} {name}" for name in counted if figures[name] or name == "read"]
    rate = f"{figures['seconds']:.1f} s, {figures['passages_per_second']:,.0f} passages/s"
    console.print(", ".join(parts) + f" in {rate}")
    for what, count in figures["warnings"].items():
        console.print(f"  [yellow]note:[/] {count:,} x {escape(what)}")
    if figures["unknown_members"]:
        names = ", ".join(f"{name} ({n:,})" for name, n in figures["unknown_members"].items())
        console.print(f"  kept, not part of ninjs: {escape(names)}")
    rows = [*figures["rejections"], *figures["refused"]]
    for row in rows[:_SHOWN]:
        errors.print("  [red]refused:[/] " + escape(_line(row)))
    if len(rows) > _SHOWN:
        errors.print(f"  … and {len(rows) - _SHOWN:,} more; --json lists up to 1,000")
    if report.stopped_by is not None:
        show_error(report.stopped_by)


def _line(row: dict[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in row.items() if value not in ("", None))
