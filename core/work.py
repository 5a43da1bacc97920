"""The types of durable ingest: jobs, chunks, assets on their way, and what became of them.

A job is one ingest. Its assets are cut into chunks, and each chunk goes through the stages in
order. An asset fails alone: it is tried again, and after its last try it is a dead letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any


class Stage(StrEnum):
    """What is done with an asset, in this order; a stage without work for an asset is skipped."""

    DECODE = "decode"
    SHOTS = "shots"
    DESCRIBE = "describe"
    EMBED = "embed"
    APPLY = "apply"
    DONE = "done"


STAGES = (Stage.DECODE, Stage.SHOTS, Stage.DESCRIBE, Stage.EMBED, Stage.APPLY)
MODEL_STAGES = (Stage.SHOTS, Stage.DESCRIBE, Stage.EMBED)

READ = "read"  # the queue of what reads sources; the other queues are called as their stages are
NO_CHUNK = -1  # of an order that reads


class AssetState(StrEnum):
    """How an asset stands at its stage."""

    WAITING = "waiting"
    DEAD = "dead"  # its last try failed: a dead letter
    DROPPED = "dropped"  # a dead letter that a person gave up
    DONE = "done"


class JobState(StrEnum):
    """How a job stands. `FINISHED` says that nothing of it waits; dead letters may be left."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELED = "canceled"
    FINISHED = "finished"


class Priority(IntEnum):
    """Which chunk a queue hands out first: the lower number."""

    WIRE = 1
    BACKFILL = 10


@dataclass(frozen=True, slots=True)
class Job:
    """One ingest. `request` is what was asked for, ready for JSON; `read` says that every asset of
    its sources is known. `trouble` is what holds it up just now, "" for nothing. Times are seconds
    since 1970, 0 for not yet.
    """

    id: str
    request: Mapping[str, Any]
    priority: int
    state: JobState
    created: float
    ended: float = 0.0
    read: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class FoundAsset:
    """A media file that a source gave: where it lies, what tells that it is unchanged (`stamp`),
    what is said of it outside of it (members of ninjs), and the products it is for.
    """

    location: str
    stamp: str
    size: int
    sidecar: Mapping[str, Any] | None = None
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tracked:
    """An asset of a job on its way. `attempts` are the failed tries at its stage, `cause` why the
    last one failed or what is left undone, `crashes` how often a worker ended while it worked on
    this alone. `made` counts what was computed, by kind: what the ledger knew is not counted.
    """

    job: str
    number: int
    chunk: int
    found: FoundAsset
    digest: str = ""
    stage: Stage = Stage.DECODE
    state: AssetState = AssetState.WAITING
    attempts: int = 0
    crashes: int = 0
    cause: str = ""
    updated: float = 0.0
    made: Mapping[str, int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Its name on the command line."""
        return f"{self.job}:{self.number}"


@dataclass(frozen=True, slots=True)
class Order:
    """One piece of work that a worker has leased: a stage for a chunk, or a job's sources to read
    (`queue` is READ). `holder` names the lease, so that who lost it changes nothing any more.
    `taken` counts the leases since one of them came to its end, this one included.
    """

    id: int
    job: str
    chunk: int
    queue: str
    holder: str
    taken: int = 1

    @property
    def stage(self) -> Stage:
        """What is to be done with the chunk; of an order that does not read."""
        return Stage(self.queue)


@dataclass(frozen=True, slots=True)
class WaitingStill:
    """A still that waits for a caption from a batch, and the asset (`job`, `number`, `location`)
    that it is of. `key` is what the caption is remembered under; `still`, `similarity` and `space`
    as in `indexing.work.stages.preparing`. `uri` is the item's, `terms` the digest of the model
    and the prompt that it waits for ("" where an earlier version noted neither). `tries` are
    batches that gave no answer; `packet` names the stills that are sent together, and `batch` what
    the provider made of them, "" for not yet. `id` is 0 until it is kept.
    """

    key: str
    location: str
    job: str
    number: int
    still: str
    similarity: str
    space: str
    context: str
    language: str
    may_leave: bool
    uri: str = ""
    terms: str = ""
    tries: int = 0
    packet: str = ""
    batch: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How far a job is: `standing` counts assets by (stage, state), `made` sums what was computed
    by kind, such as decoded, captioned, embedded.
    """

    standing: Mapping[tuple[Stage, AssetState], int]
    made: Mapping[str, int]

    @property
    def found(self) -> int:
        """Assets that are known by now."""
        return sum(self.standing.values())

    def waiting(self) -> int:
        """Assets that some stage still has to do."""
        return sum(n for (_, state), n in self.standing.items() if state is AssetState.WAITING)

    def dead(self) -> int:
        """Dead letters."""
        return sum(n for (_, state), n in self.standing.items() if state is AssetState.DEAD)

    def past(self, stage: Stage) -> int:
        """Assets that have left `stage` behind."""
        order = (*STAGES, Stage.DONE)
        later = order[order.index(stage) + 1 :]
        return sum(n for (at, _), n in self.standing.items() if at in later)
