"""The read stage: reads a job's sources and orders their chunks, up to a limit ahead of the work.

It may be begun again at any time, after a crash or a pause: files that the job knows already are
skipped, because a file belongs to a job once. A request names the assets under its paths and in its
manifests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from core.errors import InputError, StorageError
from core.media import is_url
from core.ports.work import Jobs, Orders
from core.tracing import Trace, Value
from core.work import FoundAsset, Job, JobState, Order
from indexing.sources import Rejected
from indexing.work.request import Request, request_of
from indexing.work.sources import manifests
from indexing.work.sources.listing import Found, Store, in_folder, in_store
from indexing.work.stages.chunks import Wait
from indexing.work.stages.stage import Stop


def find(request: Request, store: Store) -> Iterator[Found]:
    """Yield the media under the request's paths and in its manifests, up to its share.

    An unreadable row of a manifest or sidecar is Rejected; the rest goes on.
    """
    for path in request.paths:
        found = (
            in_store(path, request.products, store)
            if is_url(path)
            else in_folder(Path(path), request.products)
        )
        yield from (entry for entry in found if _is_ours(entry, request))
    for path in request.manifests:
        entries = manifests.rows(path, request.products, store)
        yield from (entry for entry in entries if _is_ours(entry, request))


def _is_ours(entry: Found, request: Request) -> bool:
    place = entry.location if isinstance(entry, FoundAsset) else f"{entry.file}:{entry.line}"
    return request.shard.has(place)


log = logging.getLogger(__name__)

CHUNK = 32
AHEAD = 32  # chunks that may wait for any stage
_LOOK_S = 0.2
_RETRY_S = 2.0  # after the database could not be written


class Reading:
    """Reads the sources of jobs. `wait` ends early when the process must stop."""

    def __init__(
        self,
        jobs: Jobs,
        orders: Orders,
        store: Store,
        wait: Wait,
        *,
        chunk: int = CHUNK,
        ahead: int = AHEAD,
    ) -> None:
        self._jobs = jobs
        self._orders = orders
        self._store = store
        self._wait = wait
        self._chunk = chunk
        self._ahead = ahead

    def run(self, order: Order, stop: Stop) -> None:
        """Make chunks of all files in a job's sources. An unreadable source is noted as the job's
        trouble. If the process must stop, or a person halts the job, the order is given back.
        """
        job = self._jobs.job(order.job)
        trouble, pause_s, is_whole = "", 0.0, False
        try:
            is_whole = job.state is JobState.RUNNING and self._read(job, stop)
        except (InputError, OSError) as error:
            trouble, is_whole = f"not all was read: {error}", True
        except StorageError as error:
            log.warning("job %s: %s", order.job, error)
            pause_s = _RETRY_S
        if is_whole:
            self._orders.complete_reading(order, trouble)
        else:
            self._orders.release(order, pause_s)

    def _read(self, job: Job, stop: Stop) -> bool:
        """Return whether the sources were read to their end."""
        found = find(request_of(job.request), self._store)
        for part in chunks_of(found, self._chunk):
            if not self._has_room(job.id, stop):
                return False
            self.add(job, part)
        return True

    def add(self, job: Job, part: Sequence[Found]) -> None:
        """Make a chunk of the found files, and order it; a rejected one is a dead letter."""
        order_found(self._jobs, job, part)

    def feed(self, job: Job, found: Sequence[Found], stop: Stop) -> bool:
        """Order files that the caller found for a job, as soon as there is room. Return whether all
        are ordered: not if the process must stop, or a person halts the job.
        """
        for part in chunks_of(found, self._chunk):
            if not self._has_room(job.id, stop):
                return False
            self.add(job, part)
        return True

    def _has_room(self, job_id: str, stop: Stop) -> bool:
        """Wait until the stages have caught up; return False if the job is halted meanwhile."""
        while self._jobs.open_chunks(job_id) >= self._ahead:
            if stop() or self._wait(_LOOK_S):
                return False
            if self._jobs.job(job_id).state is not JobState.RUNNING:
                return False
        return not stop()


def order_found(jobs: Jobs, job: Job, part: Sequence[Found]) -> None:
    """Make a chunk of the files of `part` that the job does not know, and order it; a rejected one
    is a dead letter.
    """
    products = request_of(job.request).products
    assets = [e if isinstance(e, FoundAsset) else _in_place_of(e, products) for e in part]
    reasons = {_place(e): e.reason for e in part if isinstance(e, Rejected)}
    told: dict[str, Value] = {"dateline.job": job.id, "dateline.assets": len(assets)}
    with Trace("order", told, kind="producer"):  # of these assets, until they can be found
        jobs.add(job.id, assets, reasons)


def chunks_of(found: Iterable[Found], size: int) -> Iterator[list[Found]]:
    """Yield parts of `size`, then the rest."""
    part: list[Found] = []
    for entry in found:
        part.append(entry)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _in_place_of(entry: Rejected, products: tuple[str, ...]) -> FoundAsset:
    """Return an asset for an unreadable entry, so that it is listed, and can be mended."""
    return FoundAsset(_place(entry), "", 0, None, products)


def _place(entry: Rejected) -> str:
    return f"{entry.file}:{entry.line}" if entry.line else entry.file
