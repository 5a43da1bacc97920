"""Orders ingests for a person, halts them, and deals with failed files."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from core.errors import InputError, NotFoundError
from core.media import is_url
from core.ports.work import Jobs
from core.work import INGEST, AssetState, FoundAsset, Job, JobState, Priority, Stage, Tracked
from indexing.media.metadata.sidecars import overlaid
from indexing.sources import Rejected
from indexing.work.progress import progress_since_start
from indexing.work.request import Request, request_of
from indexing.work.sources.listing import Store, absolute, is_media, look_at, look_in_store

_PAGE = 500  # dead letters that are dealt with at a time
_HALTED = (JobState.PAUSED, JobState.CANCELED)
_COUNTS = ("found", "done", "failed", "dropped")
_PROGRESS = (*_COUNTS, "sources_read", "stages", "seconds_left")
_GIVEN_UP = (AssetState.DEAD, AssetState.DROPPED)


class JobDesk:
    """Jobs and the orders of a person for them; it does no work. `store` reads URLs."""

    def __init__(self, jobs: Jobs, store: Store) -> None:
        self.jobs = jobs
        self._store = store

    def start(self, request: Request, priority: Priority, *, reads: bool = True) -> Job:
        """Order an ingest; if one with the same request is running, it continues instead. If
        `reads` is false, its sources are not read: the caller adds its assets.
        """
        # Marked, so that an ingest of the same sources never continues this job.
        asked = request.as_dict() if reads else {**request.as_dict(), "watched": True}
        if reads:
            for job in self.jobs.jobs():
                same = job.request == asked and job.priority == priority
                if job.state is JobState.RUNNING and same:
                    return job
        now = time.time()
        job = Job(_new_id(), asked, priority, JobState.RUNNING, now, read=not reads)
        self.jobs.create(job)
        return job

    def order(self, job_id: str, kind: str, request: Mapping[str, Any]) -> Job:
        """Order an ingest or an operation under a name that the caller gives. The same name and
        request are the same job, and an operation that failed is tried again. Raises ConflictError.
        """
        job = Job(job_id, request, Priority.BACKFILL, JobState.RUNNING, time.time(), kind=kind)
        return self.jobs.order(job)

    def told(self, job_id: str) -> Mapping[str, Any]:
        """Return a job's state and result, as values for JSON. The `digest` of a job that finished
        is of its result; an ingest's result has a digest of the files. Raises NotFoundError.
        """
        job = self.jobs.job(job_id)
        is_over = job.state is JobState.FINISHED
        if job.kind != INGEST:
            progress, result = {}, job.result
        else:
            at = progress_since_start(job, self.jobs.counts(job_id), time.time()).as_dict()
            progress = {name: at[name] for name in _PROGRESS}
            counts = {name: at[name] for name in _COUNTS}
            result = {**counts, "content": self.jobs.content(job_id)} if is_over else {}
        return {
            "id": job.id,
            "kind": job.kind,
            "state": str(job.state),
            "trouble": job.trouble,
            "created": job.created,
            "ended": job.ended,
            "request": job.request,
            "progress": progress,
            "result": result,
            "digest": hashlib.sha256(_text(result)).hexdigest() if is_over else "",
        }

    def follow(self, request: Request, priority: Priority) -> Job:
        """Return the job that takes what a live source tells: the one with the same request that
        nobody cancelled, else a new one. So a file that is told twice belongs to one job.
        """
        asked = {**request.as_dict(), "watched": True}
        for job in self.jobs.jobs():
            if job.request == asked and job.state is not JobState.CANCELED:
                return job
        return self.start(request, priority, reads=False)

    def pause(self, job_id: str) -> Job:
        """Halt a job: work in progress ends with the present asset."""
        return self._halt(job_id, JobState.PAUSED)

    def cancel(self, job_id: str) -> Job:
        """End a job. What was applied stays, and `resume` would continue with the rest."""
        return self._halt(job_id, JobState.CANCELED)

    def resume(self, job_id: str) -> Job:
        """Go on with a halted job. Raises InputError for another job."""
        job = self.jobs.job(job_id)
        if job.state not in _HALTED:
            raise InputError(
                f"the job is {job.state}", where=job_id, mend="only halted ones resume"
            )
        if job.kind != INGEST and job.state is JobState.CANCELED:
            mend = "order it under another name"
            raise InputError("an operation that was cancelled is over", where=job_id, mend=mend)
        return self.jobs.change(job_id, state=JobState.RUNNING, trouble="", ended=0.0)

    def replay(self, job_id: str, numbers: Sequence[int] = ()) -> int:
        """Try dead letters again, those of `numbers` or all; return how many. Sidecars of a file
        are read again, and as long as they can't be read, the file stays a dead letter.
        """
        job = self.jobs.job(job_id)
        again = [self._revived(asset, job) for asset in self._dead(job_id, numbers)]
        self.jobs.update(again)
        return sum(asset.state is AssetState.WAITING for asset in again)

    def again(
        self, job_id: str, numbers: Collection[int], stage: Stage
    ) -> tuple[int, frozenset[int]]:
        """Order finished assets to go through the stages from `stage` on again; return how many.
        Also return the numbers of assets that nothing will be done for: dead letters, and all if
        the job was cancelled or no longer exists.
        """
        try:
            job = self.jobs.job(job_id)
        except NotFoundError:
            return 0, frozenset(numbers)
        if job.state is JobState.CANCELED:
            return 0, frozenset(numbers)
        found = [self.jobs.asset(job_id, number) for number in sorted(numbers)]
        ready = [
            replace(asset, stage=stage, state=AssetState.WAITING, attempts=0, crashes=0)
            for asset in found
            if asset.state is AssetState.DONE
        ]
        self.jobs.update(ready)
        return len(ready), frozenset(asset.number for asset in found if asset.state in _GIVEN_UP)

    def prune(self, ended_before: float, *, with_dead: bool = False) -> tuple[str, ...]:
        """Forget jobs that ended before then, and their orders; return their names. What they
        computed and applied stays, so that the same ingest computes nothing again.
        """
        names = self.jobs.over(ended_before, with_dead=with_dead)
        return tuple(name for name in names if self.jobs.delete(name, ended_before))

    def move(self, job_id: str, number: int, location: str) -> None:
        """Set the new place of a dead letter's file. Raises InputError."""
        (asset,) = self._dead(job_id, [number])
        place = absolute(location)
        if not is_media(place) or not (is_url(place) or Path(place).is_file()):
            raise InputError("no media file", where=location)
        found = replace(asset.found, location=place, stamp="", size=0)
        self.jobs.update([replace(asset, found=found, digest="")])

    def drop(self, job_id: str, numbers: Sequence[int]) -> int:
        """Give dead letters up; return how many."""
        given_up = [
            replace(asset, state=AssetState.DROPPED) for asset in self._dead(job_id, numbers)
        ]
        self.jobs.update(given_up)
        return len(given_up)

    def _halt(self, job_id: str, state: JobState) -> Job:
        job = self.jobs.job(job_id)
        if job.state is JobState.FINISHED:
            raise InputError("the job is finished", where=job_id)
        ended = time.time() if state is JobState.CANCELED else 0.0
        return self.jobs.change(job_id, state=state, ended=ended)

    def _dead(self, job_id: str, numbers: Sequence[int]) -> Iterable[Tracked]:
        """Return the dead letters among `numbers`, or all. Raises InputError for another asset."""
        if not numbers:
            return self._all_dead(job_id)
        found = [self.jobs.asset(job_id, number) for number in numbers]
        for asset in found:
            if asset.state is not AssetState.DEAD:
                raise InputError(f"is {asset.state}, and no dead letter", where=asset.id)
        return found

    def _all_dead(self, job_id: str) -> Iterable[Tracked]:
        after = -1
        while page := self.jobs.find(job_id, [AssetState.DEAD], after, _PAGE):
            yield from page
            after = page[-1].number

    def _revived(self, asset: Tracked, job: Job) -> Tracked:
        """Return a dead letter that waits for another try; without a file it stays a dead
        letter.
        """
        found = _looked_at(asset.found, request_of(job.request), self._store)
        if isinstance(found, str):
            return replace(asset, cause=found)
        return replace(asset, found=found, state=AssetState.WAITING, attempts=0, crashes=0)


def _looked_at(found: FoundAsset, request: Request, store: Store) -> FoundAsset | str:
    """Return a file as it is now, or why it can't be read."""
    line_of, _, _ = found.location.rpartition(":")
    if line_of in request.manifests or not (is_url(found.location) or is_media(found.location)):
        return "it has no file of its own; mend its manifest and ingest that again"
    try:
        if is_url(found.location):
            if not request.paths:  # a manifest in a store names files of folders that none may list
                return replace(found, stamp="")
            seen = look_in_store(found.location, found.products, store, size=found.size)
        else:
            seen = look_at(Path(found.location), found.products)
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return seen.reason if isinstance(seen, Rejected) else _as_said(found, seen, request)


def _as_said(found: FoundAsset, seen: FoundAsset, request: Request) -> FoundAsset | str:
    """Return the file with its old and new sidecar. A manifest's row outweighs what is beside the
    file; an old sidecar of a file in a folder gives way to the present one.
    """
    if seen.sidecar is None:
        return replace(seen, sidecar=found.sidecar)
    if found.sidecar is None or not request.manifests:
        return seen
    if not request.paths:
        return replace(seen, sidecar=overlaid(found.sidecar, seen.sidecar))
    if _text(found.sidecar) == _text(seen.sidecar):
        return seen
    return (
        "what lies beside it is not what was said of it, and whether that was a manifest's row "
        "can't be told; ingest it again"
    )


def _text(tree: Mapping[str, Any]) -> bytes:
    return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)


def _new_id() -> str:
    """Return an id that sorts by time and is short enough to be typed."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + os.urandom(2).hex()
