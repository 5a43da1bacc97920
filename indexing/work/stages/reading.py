"""The read stage: goes through a job's sources and orders their chunks, no further ahead than is
wanted.

It may be begun again at any time, after a crash as after a pause: what the job knows already is
passed over, since a file belongs to a job once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

from core.errors import InputError, StorageError
from core.work import FoundAsset, Job, JobState, Stage, first_trail
from core.work_ports import Jobs, WorkOrders
from indexing.sources import Rejected
from indexing.work.request import request_of
from indexing.work.sources.finding import find
from indexing.work.sources.listing import Found, Store
from indexing.work.stages.chunks import Wait, ready_orders
from indexing.work.stages.stage import Stop

log = logging.getLogger(__name__)

CHUNK = 32
AHEAD = 32  # chunks that may wait for any stage
_LOOK_S = 0.2


class Reading:
    """Reads the sources of jobs. `wait` ends early when the process is to stop."""

    def __init__(
        self,
        jobs: Jobs,
        orders: WorkOrders,
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

    def run(self, job_id: str, stop: Stop) -> bool:
        """Orders every chunk of a job; whether its sources were gone through to the end (or a
        person halted the job). A source that can't be read is the job's trouble.
        """
        job = self._jobs.job(job_id)
        if job.read or job.state is not JobState.RUNNING:
            return True
        try:
            return self._read(job, stop)
        except (InputError, OSError) as error:
            self._jobs.change(job_id, read=True, trouble=f"not all was read: {error}")
            self._jobs.finish(job_id)
        except StorageError as error:
            log.warning("job %s: %s", job_id, error)
            self._wait(2.0)
            return False
        return True

    def _read(self, job: Job, stop: Stop) -> bool:
        self._give_known(job)
        found = find(request_of(job.request), self._store)
        for part in chunks_of(found, self._chunk):
            if not self._has_room(job.id, stop):
                return not stop()
            self.add(job, part)
        self._jobs.change(job.id, read=True)
        self._jobs.finish(job.id)
        return True

    def add(self, job: Job, part: Sequence[Found]) -> None:
        """Makes a chunk of what was found, and orders it; what was rejected is a dead letter."""
        products = request_of(job.request).products
        assets = [e if isinstance(e, FoundAsset) else _in_place_of(e, products) for e in part]
        trail = first_trail(job.epoch, Stage.DECODE)
        reasons = {_place(e): e.reason for e in part if isinstance(e, Rejected)}
        chunk = self._jobs.add(job.id, assets, trail, reasons)
        if chunk is None:
            return
        # A job ends where nothing waits, also one whose folder is still watched.
        if self._jobs.job(job.id).state is JobState.FINISHED:
            self._jobs.change(job.id, state=JobState.RUNNING, ended=0.0)
        self._orders.give(job, chunk, Stage.DECODE, trail)

    def feed(self, job: Job, found: Sequence[Found], stop: Stop) -> None:
        """Orders what somebody else found for a job, as soon as there is room."""
        for part in chunks_of(found, self._chunk):
            if not self._has_room(job.id, stop):
                return
            self.add(job, part)

    def _give_known(self, job: Job) -> None:
        """A process that ended between making a chunk and ordering it left it without an order."""
        awaited = self._jobs.awaited(job.id)  # first: what ends then is found there or nowhere
        for chunk, stage, trail in ready_orders(awaited, self._orders.under_way(job.id)):
            self._orders.give(job, chunk, stage, trail)

    def _has_room(self, job_id: str, stop: Stop) -> bool:
        """Waits until the stages have caught up; False where the job is halted meanwhile."""
        while self._jobs.open_chunks(job_id) >= self._ahead:
            if stop() or self._wait(_LOOK_S):
                return False
            if self._jobs.job(job_id).state is not JobState.RUNNING:
                return False
        return not stop()


def chunks_of(found: Iterable[Found], size: int) -> Iterator[list[Found]]:
    """Parts of `size`, and what is left."""
    part: list[Found] = []
    for entry in found:
        part.append(entry)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _in_place_of(entry: Rejected, products: tuple[str, ...]) -> FoundAsset:
    """What stands for something that could not be read, so that it is listed, and may be mended."""
    return FoundAsset(_place(entry), "", 0, None, products)


def _place(entry: Rejected) -> str:
    return f"{entry.file}:{entry.line}" if entry.line else entry.file
