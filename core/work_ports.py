"""The ports of durable ingest: who keeps jobs, who leases work, who knows what looks alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

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
    """What was ordered and how it stands. Every method is one durable transaction, and whatever
    waits after it has its order.
    """

    def create(self, job: Job) -> None:
        """Records a new job, and orders that its sources be read, unless they are."""
        ...

    def job(self, job_id: str) -> Job:
        """Raises NotFoundError."""
        ...

    def jobs(self) -> tuple[Job, ...]:
        """Every job, the newest first."""
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
        """Changes what is named, ends the job where nothing of it waits then, and gives it as it
        stands. Nobody leases orders of a job that does not run.
        """
        ...

    def add(
        self, job_id: str, found: Sequence[FoundAsset], dead: Mapping[str, str] = ...
    ) -> int | None:
        """Makes a new chunk of those that the job doesn't know yet (the same place, stamp and
        sidecar), and orders its first stage; its number, or None where it knows them all. Those
        whose location is in `dead` are dead letters of that cause from the start.
        """
        ...

    def update(self, assets: Sequence[Tracked]) -> None:
        """Records how assets stand, and orders the stages that they wait for; a finished job whose
        assets wait again runs again.
        """
        ...

    def of_chunk(self, job_id: str, chunk: int) -> tuple[Tracked, ...]:
        """The chunk's assets in order."""
        ...

    def standing(self, job_id: str, chunk: int) -> tuple[Job, tuple[Tracked, ...]]:
        """The job and the chunk's assets in order, at one moment. Raises NotFoundError."""
        ...

    def over(self, ended_before: float, *, with_dead: bool = False) -> tuple[str, ...]:
        """Names of jobs that were finished or cancelled before then (seconds since 1970), those
        with dead letters only where that is wanted.
        """
        ...

    def delete(self, job_id: str, ended_before: float) -> bool:
        """Forgets a job, its assets and its orders; False where it is not over since before then
        (any more). What was computed is no part of it.
        """
        ...

    def open_chunks(self, job_id: str) -> int:
        """How many chunks have assets that wait."""
        ...

    def find(
        self, job_id: str, states: Collection[AssetState], after: int = -1, limit: int = 100
    ) -> tuple[Tracked, ...]:
        """Assets in one of `states`, by number, of those after number `after`."""
        ...

    def asset(self, job_id: str, number: int) -> Tracked:
        """Raises NotFoundError."""
        ...

    def remarks(self, job_id: str) -> Mapping[str, int]:
        """What is left undone of assets that are done, and of how many: at most 20 reasons."""
        ...

    def counts(self, job_id: str) -> JobCounts:
        """How many assets stand where, and what was computed."""
        ...


class Likenesses(Protocol):
    """Which pictures look nearly the same, by their perceptual hashes (PDQ, 256 bits in hex)."""

    def nearest(self, space: str, hashes: Sequence[str], within: int) -> tuple[str | None, ...]:
        """What is kept of the most similar picture of `space` at a Hamming distance of at most
        `within` bits, one entry per hash; None where there is none.
        """
        ...

    def add(self, space: str, kept: Mapping[str, str]) -> None:
        """Keeps something of pictures, by hash; a hash that is there keeps its first."""
        ...


class WaitingStills(Protocol):
    """Stills that wait for a batch of captions, one for each key and asset's place; every method is
    one durable transaction.
    """

    def replace(self, locations: Collection[str], stills: Sequence[WaitingStill]) -> None:
        """Of the assets at `locations`, makes `stills` all that waits. What was sent goes on, for
        the job and number that are named now.
        """
        ...

    def of_assets(self, locations: Collection[str]) -> tuple[WaitingStill, ...]:
        """All that is noted of the assets at `locations`, however far it is."""
        ...

    def unsent(self, after: int = 0, limit: int = 1000) -> tuple[WaitingStill, ...]:
        """Those in no packet, in the order in which they came, from id `after` on."""
        ...

    def under_way(self) -> tuple[WaitingStill, ...]:
        """Those in a packet, without an answer."""
        ...

    def pack(self, packet: str, keys: Collection[str]) -> None:
        """Puts those with these keys, and in no packet, into one."""
        ...

    def unpack(self, packet: str, keys: Collection[str], *, failed: bool = False) -> None:
        """Takes those with these keys out of a packet, to be sent again; `failed` counts a try."""
        ...

    def send(self, packet: str, batch: str) -> None:
        """Notes that a packet became a batch of the provider's."""
        ...

    def answer(self, packet: str, keys: Collection[str]) -> None:
        """Notes that those with these keys, in this packet or ("") in none, need nothing more."""
        ...

    def answered(self) -> tuple[WaitingStill, ...]:
        """Those with an answer, of assets of which nothing is under way."""
        ...

    def drop(self, ids: Collection[int]) -> None:
        """Forgets those."""
        ...

    def count(self) -> Mapping[str, int]:
        """How many keys are `unsent`, `sent` and `answered`."""
        ...


class Orders(Protocol):
    """Work that outlives every process, leased by whoever works on it. A lease that is not renewed
    ends by itself, and another worker gets the order. Every method is one durable transaction.
    """

    def lease(self, worker: str, room: Mapping[str, int]) -> tuple[Order, ...]:
        """Leases orders of running jobs to a worker, at most so many of each queue: of the lowest
        priority number first, then of the oldest.
        """
        ...

    def renew(self, orders: Collection[Order]) -> None:
        """Prolongs the leases of those that are not lost."""
        ...

    def release(self, order: Order, delay_s: float = 0.0) -> None:
        """Gives an order back as it is, to be taken after `delay_s`."""
        ...

    def release_all(self, worker: str) -> None:
        """Gives back what is leased to a worker of this name, which works on nothing any more."""
        ...

    def mark(self, order: Order, number: int) -> None:
        """Counts one more crash for an asset of the order's, until it is known better."""
        ...

    def record(self, order: Order, assets: Sequence[Tracked]) -> bool:
        """Records how assets stand after the order's stage, and orders what follows. The lease goes
        on. False, and nothing is changed, where it was lost.
        """
        ...

    def complete(self, order: Order, assets: Sequence[Tracked], delay_s: float = 0.0) -> bool:
        """As `record`, and ends the lease. Where assets still wait for this stage, the order stays
        and is to be taken after `delay_s`. The job ends where nothing of it waits.
        """
        ...

    def complete_reading(self, order: Order, trouble: str = "") -> bool:
        """Notes that all sources of a job were read, or as far as `trouble` let it."""
        ...
