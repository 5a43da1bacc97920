"""The ports of durable ingest: who keeps jobs, who hands out work, who knows what looks alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from core.work import (
    AssetState,
    Awaited,
    FoundAsset,
    Job,
    JobCounts,
    JobState,
    Stage,
    Tracked,
    WaitingStill,
)


class Jobs(Protocol):
    """What was ordered and how it stands; every method is one durable transaction."""

    def create(self, job: Job) -> None:
        """Records a new job."""
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
        next_epoch: bool = False,
    ) -> Job:
        """Changes what is named and gives the job as it stands then."""
        ...

    def add(
        self, job_id: str, found: Sequence[FoundAsset], trail: str, dead: Mapping[str, str] = ...
    ) -> int | None:
        """Makes a new chunk of those that the job doesn't know yet (the same place, stamp and
        sidecar), to wait for the order `trail`; its number, or None where it knows them all. Those
        whose location is in `dead` are dead letters of that cause from the start.
        """
        ...

    def retrail(self, job_id: str) -> Mapping[tuple[int, Stage], str]:
        """Makes everything that waits wait for the first order of its stage in the job's epoch;
        the trails by chunk and stage.
        """
        ...

    def update(self, assets: Sequence[Tracked], waiting_for: str = "") -> None:
        """Records how the assets stand: of those that still wait for the order `waiting_for`, where
        one is named, so that whoever carried it out too late changes nothing.
        """
        ...

    def mark(self, job_id: str, numbers: Sequence[int], waiting_for: str) -> None:
        """Counts one more crash for those that wait for this order, until it is known better."""
        ...

    def of_chunk(self, job_id: str, chunk: int) -> tuple[Tracked, ...]:
        """The chunk's assets in order."""
        ...

    def standing(self, job_id: str, chunk: int) -> tuple[Job, tuple[Tracked, ...]]:
        """The job and the chunk's assets in order, at one moment. Raises NotFoundError."""
        ...

    def following(self, job_id: str, chunk: int) -> tuple[Job, tuple[Awaited, ...]]:
        """The job and the orders that the chunk's assets wait for, at one moment. Raises
        NotFoundError.
        """
        ...

    def awaited(self, job_id: str) -> tuple[tuple[int, Stage, str], ...]:
        """The orders that assets wait for: chunk, stage and trail of each."""
        ...

    def over(self, ended_before: float, *, with_dead: bool = False) -> tuple[str, ...]:
        """Names of jobs that were finished or cancelled before then (seconds since 1970), those
        with dead letters only where that is wanted.
        """
        ...

    def delete(self, job_id: str, ended_before: float) -> bool:
        """Forgets a job and its assets; False where it is not over since before then (any more).
        What was computed is no part of it.
        """
        ...

    def open_chunks(self, job_id: str) -> int:
        """How many chunks have assets that wait."""
        ...

    def finish(self, job_id: str) -> bool:
        """Marks a running job as finished where it is read and nothing of it waits; whether it is
        finished now.
        """
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


class WorkOrders(Protocol):
    """Hands out work that outlives every process."""

    def give(self, job: Job, chunk: int, stage: Stage, trail: str, *, delay_s: float = 0.0) -> None:
        """Orders a stage for a chunk, once per `trail` however often it is called."""
        ...

    def give_reading(self, job: Job, trail: str) -> None:
        """Orders that a job's sources be gone through, once per `trail`."""
        ...

    def under_way(self, job_id: str) -> Collection[tuple[int, str]]:
        """Chunk and trail of each of a job's orders that a process began and did not end: it is
        worked on, or was left by a process that is no more and is not given out again yet.
        """
        ...

    def take_back(self, job_id: str) -> None:
        """Drops every order of a job that nobody works on yet."""
        ...

    def forget(self, job_id: str) -> int:
        """Deletes what is kept of a job's orders that have ended; of how many."""
        ...


class Beats(Protocol):
    """Which processes that work on orders are alive."""

    def beat(self, name: str) -> None:
        """Says that a process is alive now."""
        ...

    def silent(self, seconds: float) -> tuple[str, ...]:
        """Those that said nothing for so long."""
        ...

    def forget(self, name: str) -> None:
        """Drops a process that has ended, or whose orders others have."""
        ...
