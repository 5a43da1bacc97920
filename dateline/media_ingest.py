"""The photos and videos of an ingest: ordered, and carried out here or left to workers.

Modules that need the extra [media] are imported where they are used: documents need none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError, UnavailableError
from core.media import is_url
from core.work import AssetState, Job, JobState, Priority
from dateline.build.media.stills import remember_roots
from dateline.commands.options import EXIT_INTERRUPTED, EXIT_REFUSED, console, errors
from dateline.settings import Settings
from dateline.shown.ingest_output import show_report
from indexing.formats.mapping import RowMapping
from indexing.ingest import IngestOptions
from indexing.sources import is_document
from indexing.work.request import Request, Shard
from indexing.work.sources.listing import absolute, is_media, seen_at, speaks_of_media
from indexing.work.sources.packages import need_packages
from indexing.work.sources.s3_events import found_in
from indexing.work.sources.watching import WatchedFolder, media_meant

if TYPE_CHECKING:
    from dateline.build.media.work import Worker
    from dateline.build.service import Service
    from indexing.work.progress import JobProgress
    from indexing.work.sources.sqs import EventQueue, QueueMessage

_LISTED = 1_000  # dead letters in JSON
_AFTER_FAILURE_S = 5.0  # before a queue is asked again


@dataclass(frozen=True, slots=True)
class Split:
    """The paths of an ingest: documents, and the request for media. A folder may be both."""

    documents: tuple[Path, ...]
    request: Request | None


@dataclass(frozen=True, slots=True)
class MediaResult:
    """The result of the media part, ready for JSON, and an exit code."""

    tree: Mapping[str, Any]
    code: int


def split(
    paths: Sequence[str], manifests: Sequence[str], products: tuple[str, ...], shard: Shard
) -> Split:
    """Split the paths into documents and media. Raises InputError for a path that does not exist,
    or if none is named.
    """
    if not paths and not manifests:
        raise InputError("nothing to ingest", mend="name files, folders or a manifest")
    local = [Path(path) for path in paths if not is_url(path)]
    for path in local:
        if not path.exists():
            raise InputError("no such file or folder", where=str(path), mend="check the path")
    for listed in manifests:
        if not is_url(listed) and not Path(listed).is_file():
            raise InputError("there is no such manifest", where=listed, mend="name a CSV or JSONL")
    for url in filter(is_url, (*paths, *manifests)):
        if not url.partition("://")[2].strip("/"):
            raise InputError("no bucket is named", where=url, mend="write s3://bucket/folder")
    documents = tuple(path for path in local if path.is_dir() or not _goes_with_media(path))
    media = tuple(absolute(path) for path in paths if is_url(path) or _has_media(Path(path)))
    if not (documents or media or manifests):
        what = "it only describes the file beside it"
        raise InputError(what, where=paths[0], mend="name the photo or the video itself")
    request = Request(media, tuple(absolute(path) for path in manifests), products, shard)
    return Split(documents, request if media or manifests else None)


def left_to_media(shard: Shard) -> Any:
    """Return a test of files in folders: whether a file is not a document of this ingest."""

    def passed_over(path: Path) -> bool:
        is_ours = shard.has(absolute(str(path)))
        return is_media(path.name) or speaks_of_media(path) or not is_ours

    return passed_over


def order(settings: Settings, request: Request, priority: Priority) -> Job:
    """Order the media of an ingest; workers carry the order out."""
    need_packages()
    from dateline.build.media.desk import open_desk

    remember_roots(settings, request.paths, request.manifests)
    desk = open_desk(settings)
    try:
        return desk.desk.start(request, priority)
    finally:
        desk.close()


def carry_out(
    settings: Settings, service: Service, request: Request, priority: Priority, *, as_json: bool
) -> MediaResult:
    """Order the media of an ingest, and work until they are done or a signal comes."""
    need_packages()
    from dateline.build.media.work import build_worker
    from dateline.shown.work_progress import (
        StageBars,
        follow,
        show_result,
        stage_progress,
        stopping_on_signals,
    )

    remember_roots(settings, request.paths, request.manifests)
    worker = build_worker(settings, service)
    try:
        with stopping_on_signals(worker):
            job = worker.desk.desk.start(request, priority)
            with stage_progress(hidden=as_json) as progress:
                at = follow(worker, job, StageBars(progress))
            if worker.queues.stopping:
                errors.print(f"job {job.id} goes on with the same command, or `dateline worker`")
        jobs = worker.desk.jobs
        if not as_json:
            show_result(at, jobs, console)
        dead = jobs.find(job.id, [AssetState.DEAD], limit=_LISTED)
        failures = [
            {"asset": a.id, "file": a.found.location, "stage": str(a.stage), "cause": a.cause}
            for a in dead
        ]
        remarks = dict(jobs.remarks(job.id))
        return MediaResult({**at.as_dict(), "remarks": remarks, "failures": failures}, _code(at))
    finally:
        worker.close()


def watch(
    settings: Settings,
    service: Service,
    folder: Path,
    products: tuple[str, ...],
    priority: Priority,
    mapping: RowMapping | None = None,
    *,
    texts: bool = False,
) -> None:
    """Ingest the files that are put into a folder, until a signal comes. Documents are ingested at
    once; photos and videos are ordered and worked on here. Unreadable files are reported.
    """
    need_packages()
    from dateline.build.media.work import build_worker
    from dateline.shown.work_progress import stopping_on_signals

    watched = WatchedFolder(Path(absolute(str(folder))))
    passed_over = left_to_media(Shard())
    options = IngestOptions(
        products=products, passed_over=passed_over, mapping=mapping, texts=texts
    )
    worker = build_worker(settings, service)
    try:
        request = Request((absolute(str(folder)),), (), products)
        remember_roots(settings, request.paths, ())
        job = worker.desk.desk.start(request, priority, reads=False)
        with stopping_on_signals(worker):
            errors.print(f"watching {folder} as job {job.id}")
            for paths in watched.settled(worker.queues.stopped):
                _take(worker, service, job, paths, options)
        worker.desk.jobs.change(job.id, read=True)  # this ends the job if nothing waits
    finally:
        worker.close()


def follow_queue(
    settings: Settings,
    service: Service,
    url: str,
    products: tuple[str, ...],
    priority: Priority,
) -> None:
    """Ingest the photos and videos of which S3 tells a queue, until a signal comes. A message is
    removed once its files are ordered, which lasts; one that can't be read stays in the queue.
    """
    need_packages()
    from dateline.build.media.work import build_worker
    from dateline.shown.work_progress import stopping_on_signals
    from indexing.work.sources.sqs import EventQueue

    worker = build_worker(settings, service)
    try:
        queue = EventQueue(url)
        job = worker.desk.desk.follow(Request((url,), (), products), priority)
        with stopping_on_signals(worker):
            errors.print(f"following the queue as job {job.id}")
            _tell_terms(queue)
            while not worker.queues.stopping:
                _take_messages(worker, job, queue, products)
        queue.close()
    finally:
        worker.close()


def _tell_terms(queue: EventQueue) -> None:
    """Say if a message that can't be read would come again and again."""
    with suppress(UnavailableError):  # told where messages are asked for
        if not queue.terms.has_dead_letters:
            what = "the queue has no redrive policy: what can't be read comes again until it is old"
            errors.print(f"[yellow]note:[/] {what}")


def _take_messages(worker: Worker, job: Job, queue: EventQueue, products: tuple[str, ...]) -> None:
    """Order the files of the next messages, and remove these. Without a queue, wait a moment."""
    try:
        done: list[QueueMessage] = []
        messages = queue.messages()
        with queue.held(messages):
            for message in messages:
                try:
                    found = found_in(message.body, products, worker.parts.stores)
                except InputError as error:
                    errors.print(f"[yellow]note:[/] a message was left in the queue: {error.what}")
                    continue
                if not worker.reading.feed(job, found, worker.queues.stopped.is_set):
                    worker.queues.wait(_AFTER_FAILURE_S)  # somebody paused the job: they come again
                    break
                done.append(message)
            queue.done(done)
    except UnavailableError as error:
        errors.print(f"  [yellow]waiting:[/] {error.what}")
        worker.queues.wait(_AFTER_FAILURE_S)


def _take(
    worker: Worker, service: Service, job: Job, paths: Sequence[Path], options: IngestOptions
) -> None:
    media = dict.fromkeys(meant for path in paths for meant in media_meant(path))
    found = [seen_at(path, options.products) for path in media if path.is_file()]
    worker.reading.feed(job, found, worker.queues.stopped.is_set)
    documents = documents_of(paths, options)
    if documents:
        show_report(service.ingest.run(documents, options))


def documents_of(paths: Sequence[Path], options: IngestOptions) -> list[Path]:
    """Return the files of a watched folder that are documents: none that describes media, and texts
    and PDFs only if the options say so.
    """
    return [
        path
        for path in paths
        if is_document(path, options.mapping, texts=options.texts) and not speaks_of_media(path)
    ]


def _code(at: JobProgress) -> int:
    if at.job.state is JobState.RUNNING:
        return EXIT_INTERRUPTED
    is_whole = at.job.state is JobState.FINISHED and not at.job.trouble
    return 0 if is_whole and not at.counts.dead() else EXIT_REFUSED


def _goes_with_media(path: Path) -> bool:
    """Return whether a named file is media, or a shot list or captions beside media. A document
    beside media is a document, too, if a person names it.
    """
    return is_media(path.name) or (path.suffix != ".json" and speaks_of_media(path))


def _has_media(path: Path) -> bool:
    """Return whether a path is, or a folder has, a photo, a video or a sound."""
    if not path.is_dir():
        return is_media(path.name)
    return any(is_media(found.name) and found.is_file() for found in path.rglob("*"))
