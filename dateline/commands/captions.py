"""`dateline captions`: batches of captions, which cost less and come within a day."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from core.errors import ModelError, UnavailableError
from dateline.commands.options import (
    EXIT_REFUSED,
    AsJson,
    Data,
    archive_settings,
    console,
    errors,
    escape,
    reported,
)
from indexing.work.sources.packages import need_packages

if TYPE_CHECKING:
    from dateline.build.media.caption_batches import OpenedBatches
    from indexing.work.caption_batches import BatchReport

app = typer.Typer(no_args_is_help=True, help="Captions in batches: see the setting caption_mode.")

_LOOK_S = 60.0


@app.command("submit")
def submit(as_json: AsJson = False, data: Data = None) -> None:
    """Send the pictures and shots that wait, up to the day's spend cap.

    Pictures whose rights forbid it are not sent. Exit code 1: something was not sent; the output
    says why.
    """
    with _opened(data) as opened:
        report = opened.batches.submit()
    _show(report, as_json, f"{report.stills:,} sent in {report.batches:,} batches")


@app.command("collect")
def collect(
    wait: Annotated[
        bool, typer.Option("--wait", help="Look again and again until every batch has ended.")
    ] = False,
    every: Annotated[
        float, typer.Option(help="Seconds between two looks of --wait.", min=0.1)
    ] = _LOOK_S,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Fetch the captions that have come; workers put them into the archive then.

    Exit code 1: a batch could not be fetched, or a picture got no caption.
    """
    with _opened(data) as opened:
        report = opened.batches.collect()
        while wait and report.open:
            time.sleep(every)
            report = _sum(report, opened.batches.collect())
    said = (
        f"{report.captions:,} captions of {report.batches:,} batches, {report.open:,} go on; "
        f"{report.applied:,} items are applied again by `dateline worker`"
    )
    _show(report, as_json, said)


@app.command("status")
def status(as_json: AsJson = False, data: Data = None) -> None:
    """Show what today has cost; in batches also what waits and which batches are under way."""
    with reported():
        need_packages()
        from dateline.build.media.captions import open_book

        settings = archive_settings(data=data)
        counts, batches = dict[str, int](), dict[str, str]()
        if settings.caption_mode == "batch":
            with _opened(data) as opened:
                counts, batches = dict(opened.waiting.count()), dict(_batches(opened))
        with closing(open_book(settings)) as book:
            spent = book.spent(datetime.now(UTC).date().isoformat())
    cap = settings.caption_daily_spend
    if as_json:
        tree = {**counts, "batches": batches, "spent_today": spent, "daily_spend": cap}
        console.print_json(orjson.dumps(tree).decode())
        return
    for name, count in counts.items():
        console.print(f"{name:9} {count:,}")
    for batch, how in batches.items():
        console.print(f"batch {escape(batch)} {escape(how)}")
    console.print(f"spent today {spent}" + (f" of {cap}" if cap is not None else ", without a cap"))


@app.command("release", no_args_is_help=True)
def release(
    batch: Annotated[str, typer.Argument(help="A batch's name, see `dateline captions status`.")],
    data: Data = None,
) -> None:
    """Give up a batch that the provider no longer knows: its pictures are sent again."""
    with _opened(data) as opened:
        count = opened.batches.release(batch)
    console.print(f"{count:,} wait again; `dateline captions submit` sends them")


@contextmanager
def _opened(data: Data) -> Iterator[OpenedBatches]:
    with reported():
        need_packages()
        from api.metrics import Metrics
        from dateline.build.media.caption_batches import opened_batches
        from dateline.serving.telemetry import telemetry

        settings = archive_settings(data=data)
        metrics = Metrics()
        with telemetry(settings) as told, opened_batches(settings, metrics.captioned) as opened:
            told.tell_metrics(metrics.of_captions)
            yield opened
            told.last_metrics()


def _batches(opened: OpenedBatches) -> Iterator[tuple[str, str]]:
    """Return the batches under way with their state at the provider, and the packets that it has
    not taken yet.
    """
    packed = (still.packet for still in opened.waiting.under_way() if not still.batch)
    yield from ((packet, "not handed in yet") for packet in dict.fromkeys(packed))
    sent = (still.batch for still in opened.waiting.under_way() if still.batch)
    for batch in dict.fromkeys(sent):
        try:
            yield batch, opened.captioner.poll(batch).status
        except (UnavailableError, ModelError) as error:
            yield batch, str(error)


def _sum(before: BatchReport, now: BatchReport) -> BatchReport:
    """Return the report of the second look, with what the first one did."""
    now.batches += before.batches
    now.captions += before.captions
    now.applied += before.applied
    now.reasons.update(before.reasons)
    return now


def _show(report: BatchReport, as_json: bool, said: str) -> None:
    tree = {
        "batches": report.batches,
        "stills": report.stills,
        "captions": report.captions,
        "applied": report.applied,
        "open": report.open,
        "reasons": dict(report.reasons),
        "troubles": report.troubles,
    }
    if as_json:
        console.print_json(orjson.dumps(tree).decode())
    else:
        console.print(said)
        for what, count in report.reasons.items():
            console.print(f"  [yellow]note:[/] {count:,} x {escape(what)}")
        for trouble in report.troubles:
            errors.print(f"  [red]failed:[/] {escape(trouble)}")
    if report.reasons or report.troubles:
        raise typer.Exit(EXIT_REFUSED)
