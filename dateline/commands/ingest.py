"""`dateline ingest`: documents, photos and videos into the archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from core.errors import InputError
from core.work import Priority
from dateline import media_ingest
from dateline.aws.surroundings import part_of
from dateline.build.service import Service, build_service
from dateline.commands.options import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    AsJson,
    Data,
    Models,
    console,
    exit_code,
    interrupted_by_sigterm,
    reported,
    settings_for,
)
from dateline.settings import Settings
from dateline.shown.ingest_output import (
    show_first,
    show_media_without_product,
    show_passed_over,
    show_report,
)
from dateline.shown.progress import Bar, progress_bar
from indexing import ingest as ingesting
from indexing.formats.mapping import RowMapping
from indexing.formats.mapping import read as read_mapping
from indexing.report import IngestReport

_WHOLE = "1/1"


class PriorityName(StrEnum):
    """The names of the priorities."""

    WIRE = "wire"
    BACKFILL = "backfill"


def ingest(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="ninjs, NewsML-G2, NITF, RSS and Atom files, JSONL of ninjs (.gz too), BEIR "
            "folders, texts, PDFs, photos, videos, folders of all that, and stores' URLs such as "
            "s3://bucket/folder.",
            show_default=False,
        ),
    ] = None,
    products: Annotated[
        str,
        typer.Option(
            help="Product codes, by commas, that these items belong to besides their own."
        ),
    ] = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad document.")
    ] = False,
    manifest: Annotated[
        list[str] | None,
        typer.Option(
            help="List of photos and videos, CSV or JSONL with a column location. Repeatable."
        ),
    ] = None,
    shard: Annotated[
        str,
        typer.Option(
            help="Only this part of it all, such as 3/16; array: that of this job of a Batch array."
        ),
    ] = _WHOLE,
    priority: Annotated[
        PriorityName,
        typer.Option(help="Of photos and videos that wait, those of the wire go first."),
    ] = PriorityName.BACKFILL,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave photos and videos to `dateline worker`.")
    ] = False,
    watch: Annotated[
        Path | None,
        typer.Option(
            help="Ingest what is put into this folder, and nothing else, until interrupted."
        ),
    ] = None,
    queue: Annotated[
        str,
        typer.Option(
            help="Ingest the photos and videos that S3 tells this queue of SQS (its URL) about, "
            "and nothing else, until interrupted."
        ),
    ] = "",
    mapping: Annotated[
        Path | None,
        typer.Option(
            help="TOML file that says which column or path is which member: takes CSV, TSV, "
            "Parquet and JSON of other schemas."
        ),
    ] = None,
    texts: Annotated[
        bool,
        typer.Option("--texts", help="Take .txt and .pdf of folders, too, each as an item."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what the first documents become; record nothing."),
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
    models: Models = None,
) -> None:
    """Take documents, photos and videos into the archive; what it knows already is skipped.

    For example: `dateline ingest wire.jsonl photos/ --products news`. Other formats, and a mapping
    for tables: docs/formats.md; try it with --dry-run.

    Nobody finds an item that belongs to no product: name some with --products, or set
    default_products. Exit code 1: something was rejected, refused or failed; it is listed, and the
    rest went on. Photos and videos are done durably: after an interruption the same command goes on
    (`dateline jobs` lists what is under way).
    """
    codes = tuple(code.strip() for code in products.split(",") if code.strip())
    with reported(), interrupted_by_sigterm():
        settings = settings_for(data=data, models=models)
        rows = None if mapping is None else read_mapping(mapping)
        if watch is not None or queue:
            _check_alone(
                "--queue" if queue else "--watch",
                {
                    "--watch": queue and watch,
                    "PATHS": paths,
                    "--manifest": manifest,
                    "--shard": shard != _WHOLE,
                    "--detach": detach,
                    "--strict": strict,
                    "--dry-run": dry_run,
                    "--json": as_json,
                },
            )
            if queue:
                raise typer.Exit(_follow(settings, queue, codes, priority))
            assert watch is not None
            raise typer.Exit(_watch(settings, watch, codes, priority, rows, texts=texts))
        part = part_of(shard)
        parts = media_ingest.split(paths or (), manifest or (), codes, part)
        if parts.request is not None and not (codes or settings.default_products):
            show_media_without_product()
        options = ingesting.IngestOptions(
            products=codes,
            strict=strict,
            passed_over=media_ingest.left_to_media(part),
            mapping=rows,
            texts=texts,
        )
        if dry_run:
            sources = options.sources(parts.documents, lambda: datetime.now(UTC))
            raise typer.Exit(show_first(sources, as_json=as_json))
        run = _Run(settings, parts, options, Priority[priority.name], as_json=as_json)
        raise typer.Exit(run.detached() if detach else run.attached())


class _Run:
    """One call of the command: its documents, then its photos and videos."""

    def __init__(
        self,
        settings: Settings,
        parts: media_ingest.Split,
        options: ingesting.IngestOptions,
        priority: Priority,
        *,
        as_json: bool,
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._options = options
        self._priority = priority
        self._as_json = as_json

    def attached(self) -> int:
        """Ingest everything in this process; return the exit code."""
        service = build_service(self._settings)
        try:
            report = self._documents(service)
            media = None if self._ended(report) else self._media(service)
            service.engine.catch_up()
        finally:
            service.close()
        if media is None:
            return self._told(report, None, 0)
        return self._told(report, media.tree, media.code)

    def detached(self) -> int:
        """Ingest the documents here and order the rest; return the exit code."""
        report = None
        if self._parts.documents:
            service = build_service(self._settings)
            try:
                report = self._documents(service)
                service.engine.catch_up()
            finally:
                service.close()
        if self._ended(report) or self._parts.request is None:
            return self._told(report, None, 0)
        job = media_ingest.order(self._settings, self._parts.request, self._priority)
        if not self._as_json:
            console.print(f"job {job.id} is ordered; `dateline worker` carries it out")
        return self._told(report, {"job": job.id, "state": str(job.state)}, 0)

    def _documents(self, service: Service) -> IngestReport | None:
        if not self._parts.documents:
            return None
        options = replace(self._options, spaces=service.vector_spaces())
        with progress_bar(hidden=self._as_json) as progress:
            report = service.ingest.run(self._parts.documents, options, Bar(progress))
        if self._as_json:
            return report
        if report.read or self._parts.request is None:
            show_report(report)
        else:  # a folder of photos and videos
            show_passed_over(report.ignored)
        return report

    def _media(self, service: Service) -> media_ingest.MediaResult | None:
        if self._parts.request is None:
            return None
        return media_ingest.carry_out(
            self._settings,
            service,
            self._parts.request,
            self._priority,
            as_json=self._as_json,
        )

    def _ended(self, report: IngestReport | None) -> bool:
        return report is not None and (report.interrupted or report.stopped_by is not None)

    def _told(self, report: IngestReport | None, media: Mapping[str, Any] | None, code: int) -> int:
        if self._as_json:
            tree = {} if report is None else report.as_dict()
            if media is not None:
                tree["media"] = media
            console.print_json(orjson.dumps(tree).decode())
        return max(0 if report is None else _exit(report), code)


def _check_alone(option: str, named: Mapping[str, object]) -> None:
    """Raise InputError for an option that does not go together with a live source."""
    besides = ", ".join(name for name, value in named.items() if value)
    if besides:
        what = f"{option} goes without {besides}"
        raise InputError(what, mend="follow it alone, and ingest the rest by another command")


def _follow(
    settings: Settings, queue: str, products: tuple[str, ...], priority: PriorityName
) -> int:
    service = build_service(settings)
    try:
        media_ingest.follow_queue(settings, service, queue, products, Priority[priority.name])
    finally:
        service.close()
    return EXIT_INTERRUPTED


def _watch(
    settings: Settings,
    folder: Path,
    products: tuple[str, ...],
    priority: PriorityName,
    mapping: RowMapping | None,
    *,
    texts: bool,
) -> int:
    service = build_service(settings)
    try:
        chosen = Priority[priority.name]
        media_ingest.watch(settings, service, folder, products, chosen, mapping, texts=texts)
    finally:
        service.close()
    return EXIT_INTERRUPTED


def _exit(report: IngestReport) -> int:
    if report.interrupted:
        return EXIT_INTERRUPTED
    if report.stopped_by is not None:
        return exit_code(report.stopped_by)
    return 0 if report.ok else EXIT_REFUSED
