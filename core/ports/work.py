"""The ports of durable ingest: jobs, leased orders, similar pictures, and stills that wait."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from core.work import (
    AssetState,
    FoundAsset,
    Job,
    JobCounts,
    JobState,
    Order,
    Tracked,
    WaitingStill,
)


class Jobs(Protocol):
    """The jobs and their state. Every method is one durable transaction, and after it every waiting
    asset has its order.
    """

    def create(self, job: Job) -> None:
        """Record a new job, and orders that its sources are read, unless they are read already."""
        ...

    def order(self, job: Job) -> Job:
        """Record and order a job, or return the one of that name and request, so that an order that
        is sent twice is one job. An operation that failed is ordered again. Raises ConflictError if
        another request has that name.
        """
        ...

    def content(self, job_id: str) -> str:
        """Return a digest, in hex, of the files that the job put into the archive."""
        ...

    def job(self, job_id: str) -> Job:
        """Return the job of that name; raises NotFoundError."""
        ...

    def jobs(self) -> tuple[Job, ...]:
        """Return every job, the newest first."""
        ...

    def change(
        self,
        job_id: str,
        *,
        state: JobState | None = None,
        read: bool | None = None,
        trouble: str | None = None,
        ended: float | None = None,
    ) -> Job:
        """Change the given fields, and end the job if nothing of it waits; return the job. Orders
        of a job that does not run can't be leased.
        """
        ...

    def add(
        self, job_id: str, found: Sequence[FoundAsset], dead: Mapping[str, str] = ...
    ) -> int | None:
        """Make a new chunk of the assets that the job does not know yet (by place, stamp and
        sidecar), and orders its first stage. Returns the chunk's number, or None if the job knows
        them all.

        Assets whose location is in `dead` are dead letters with that cause from the start.
        """
        ...

    def update(self, assets: Sequence[Tracked]) -> None:
        """Record the state of assets, and order the stages that they wait for. A finished job whose
        assets wait again runs again.
        """
        ...

    def of_chunk(self, job_id: str, chunk: int) -> tuple[Tracked, ...]:
        """Return the chunk's assets in order."""
        ...

    def standing(self, job_id: str, chunk: int) -> tuple[Job, tuple[Tracked, ...]]:
        """Return the job and the chunk's assets in order, at one moment. Raises NotFoundError."""
        ...

    def over(self, ended_before: float, *, with_dead: bool = False) -> tuple[str, ...]:
        """Return the names of jobs that finished or were cancelled before that time (seconds since
        1970); those with dead letters only `with_dead`.
        """
        ...

    def delete(self, job_id: str, ended_before: float) -> bool:
        """Delete a job, its assets and its orders; False if it had not ended before that time. What
        was computed stays.
        """
        ...

    def open_chunks(self, job_id: str) -> int:
        """Return the number of chunks with waiting assets."""
        ...

    def find(
        self, job_id: str, states: Collection[AssetState], after: int = -1, limit: int = 100
    ) -> tuple[Tracked, ...]:
        """Return assets in one of `states`, by number, from numbers above `after`."""
        ...

    def asset(self, job_id: str, number: int) -> Tracked:
        """Return the asset of that number; raises NotFoundError."""
        ...

    def remarks(self, job_id: str) -> Mapping[str, int]:
        """Return the reasons why something is left undone for assets that are done, and for how
        many assets: at most 20 reasons.
        """
        ...

    def counts(self, job_id: str) -> JobCounts:
        """Return the counts of assets by stage and state, and of what was computed."""
        ...


class Parts(Protocol):
    """Parts of a work that processes share, each leased by one of them at a time. A part whose
    lease ends is free again. Every method raises StorageError.
    """

    def divide(self, work: str, parts: Iterable[int]) -> None:
        """Add parts to a work; those that are there stay as they are."""
        ...

    def lease(self, work: str) -> int | None:
        """Lease the first free part; return it, or None if none is free."""
        ...

    def renew(self, work: str, part: int) -> None:
        """Prolong a lease, unless it was lost."""
        ...

    def give_back(self, work: str, part: int) -> None:
        """End the lease of a part that is not done, so that others take it; not if it was lost."""
        ...

    def end(self, work: str, part: int) -> None:
        """Note that a part is done, unless its lease was lost."""
        ...

    def left(self, work: str) -> int:
        """Return how many parts are not done."""
        ...


class Likenesses(Protocol):
    """Which pictures look nearly the same, by their perceptual hashes (PDQ, 256 bits in hex)."""

    def nearest(self, space: str, hashes: Sequence[str], within: int) -> tuple[str | None, ...]:
        """Return, for each hash, the value kept for the most similar picture of `space` within a
        Hamming distance of `within` bits; None if there is no such picture.
        """
        ...

    def add(self, space: str, kept: Mapping[str, str]) -> None:
        """Keep a value for each hash; a hash that is there keeps its first value."""
        ...


class WaitingStills(Protocol):
    """Stills that wait for a batch of captions, one for each key and asset's place. Every method is
    one durable transaction.
    """

    def replace(self, locations: Collection[str], stills: Sequence[WaitingStill]) -> None:
        """Make `stills` the only ones that wait for the assets at `locations`. Stills that were
        sent stay sent, for the job and number that are named now.
        """
        ...

    def of_assets(self, locations: Collection[str]) -> tuple[WaitingStill, ...]:
        """Return all stills of the assets at `locations`, in any state."""
        ...

    def unsent(self, after: int = 0, limit: int = 1000) -> tuple[WaitingStill, ...]:
        """Return the stills in no packet, in order of arrival, with ids above `after`."""
        ...

    def under_way(self) -> tuple[WaitingStill, ...]:
        """Return the stills in a packet that have no answer."""
        ...

    def pack(self, packet: str, keys: Collection[str]) -> None:
        """Put the stills with these keys that are in no packet into one."""
        ...

    def unpack(self, packet: str, keys: Collection[str], *, failed: bool = False) -> None:
        """Take the stills with these keys out of a packet, to be sent again; `failed` counts a
        try.
        """
        ...

    def send(self, packet: str, batch: str) -> None:
        """Record that a packet became a batch of the provider."""
        ...

    def answer(self, packet: str, keys: Collection[str]) -> None:
        """Record that the stills with these keys, in this packet or, for "", in no packet, need
        nothing more.
        """
        ...

    def answered(self) -> tuple[WaitingStill, ...]:
        """Return the stills with an answer, of assets without a still under way."""
        ...

    def drop(self, ids: Collection[int]) -> None:
        """Delete the stills with these ids."""
        ...

    def count(self) -> Mapping[str, int]:
        """Return the numbers of keys that are `unsent`, `sent` and `answered`."""
        ...


class Orders(Protocol):
    """Work that outlives every process and is leased by workers. A lease that is not renewed runs
    out, and another worker gets the order. Every method is one durable transaction.
    """

    def lease(self, worker: str, room: Mapping[str, int]) -> tuple[Order, ...]:
        """Lease orders of running jobs to a worker, at most as many of each queue as `room` says:
        those with the lowest priority number first, then the oldest.
        """
        ...

    def renew(self, orders: Collection[Order]) -> None:
        """Extends the leases that are not lost."""
        ...

    def release(self, order: Order, delay_s: float = 0.0) -> None:
        """Give an order back unchanged; it can be leased again after `delay_s`."""
        ...

    def release_all(self, worker: str) -> None:
        """Give back all leases of a worker of this name, which no longer works on anything."""
        ...

    def mark(self, order: Order, number: int) -> None:
        """Count one more crash for an asset of the order, until the outcome is known."""
        ...

    def record(self, order: Order, assets: Sequence[Tracked]) -> bool:
        """Record the state of assets after the order's stage, and order the next stages; the lease
        continues. Returns False, and changes nothing, if the lease was lost.
        """
        ...

    def complete(self, order: Order, assets: Sequence[Tracked], delay_s: float = 0.0) -> bool:
        """Do what `record` does, and end the lease. If assets still wait for this stage, the order
        stays and can be leased after `delay_s`. The job ends if nothing of it waits.
        """
        ...

    def complete_reading(self, order: Order, trouble: str = "") -> bool:
        """Record that all sources of a job were read, or that `trouble` stopped the reading."""
        ...

    def complete_operation(
        self, order: Order, result: Mapping[str, Any], trouble: str = ""
    ) -> bool:
        """Record what an operation returned, or the `trouble` that it failed for, and end its job.
        Returns False, and changes nothing, if the lease was lost.
        """
        ...
