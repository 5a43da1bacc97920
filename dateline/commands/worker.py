"""`dateline worker`: carries out orders, beside a service or on a separate host."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from core.work import INGEST, OPERATE, Job, JobState
from dateline.build.service import build_service
from dateline.commands.options import (
    EXIT_INTERRUPTED,
    Data,
    Models,
    errors,
    note_new_archive,
    reported,
    settings_for,
)
from dateline.serving.log_lines import write_log
from dateline.serving.telemetry import Telemetry, telemetry
from dateline.settings import Settings
from indexing.work.sources.packages import need_packages

_LOOK_S = 0.5
_IDLE_S = 1.0  # without a running job


def worker(
    queues: Annotated[
        str,
        typer.Option(
            help="Queues to work on, by commas: read, decode, shots, describe, transcribe, "
            "read_text, embed, apply, operate; or models for all that ask a model."
        ),
    ] = "read,decode,models,apply,operate",
    until_done: Annotated[
        bool, typer.Option("--until-done", help="End when no job runs any more.")
    ] = False,
    data: Data = None,
    models: Models = None,
) -> None:
    """Carry out ordered ingests and operations until interrupted.

    Any number of workers may run: on one machine by default, on many hosts with the settings
    work_url and media_store. If a worker is killed, the next one does its work.
    """
    with reported():
        write_log(logging.WARNING)
        need_packages()
        from indexing.work.queues import queues_named

        names = queues_named(queues)
        settings = settings_for(data=data, models=models)
        if not settings.has_orders:
            note_new_archive(settings)
        with telemetry(settings) as told:
            interrupted = _work(settings, names, told, until_done=until_done)
    raise typer.Exit(EXIT_INTERRUPTED if interrupted else 0)


def _work(settings: Settings, names: Sequence[str], told: Telemetry, *, until_done: bool) -> bool:
    """Work on the queues; return whether a signal ended that."""
    from dateline.build.media.waiting import WithWork, Work
    from dateline.build.media.work import build_worker
    from dateline.shown.work_progress import stopping_on_signals

    service = build_service(settings)
    metrics, work = service.models.metrics, Work(settings)
    try:
        running = build_worker(settings, service, names)
        told.tell_metrics(lambda: metrics.collected(WithWork(service, work).status()))
        errors.print(f"working on {', '.join(names)}; Ctrl-C ends it")
        try:
            with stopping_on_signals(running):
                idle_since = time.monotonic()
                while not running.queues.wait(_LOOK_S):
                    jobs = running.desk.jobs.jobs()
                    if any(_is_for(job, names) for job in jobs):
                        idle_since = time.monotonic()
                    elif until_done and time.monotonic() - idle_since > _IDLE_S:
                        break
            interrupted = running.queues.stopping
        finally:
            running.close()
        service.engine.catch_up()
        told.last_metrics()
    finally:
        work.close()
        service.close()
    return interrupted


def _is_for(job: Job, queues: Sequence[str]) -> bool:
    """Return whether a job runs, and a worker on these queues may have to do with it."""
    return job.state is JobState.RUNNING and (job.kind == INGEST or OPERATE in queues)
