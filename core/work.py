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
    TRANSCRIBE = "transcribe"
    LOOK = "look"
    READ_TEXT = "read_text"
    EMBED = "embed"
    APPLY = "apply"
    DONE = "done"


STAGES = (
    Stage.DECODE,
    Stage.SHOTS,
    Stage.DESCRIBE,
    Stage.TRANSCRIBE,
    Stage.LOOK,
    Stage.READ_TEXT,
    Stage.EMBED,
    Stage.APPLY,
)
MODEL_STAGES = STAGES[STAGES.index(Stage.SHOTS) : STAGES.index(Stage.APPLY)]

READ = "read"  # the queue for reading sources; each other queue has the name of its stage
OPERATE = "operate"  # the queue of jobs without assets, such as an evaluation
NO_CHUNK = -1  # the chunk of an order for a job as a whole
INGEST = "ingest"  # the kind of a job with assets; each other kind is an operation


class AssetState(StrEnum):
    """The state of an asset at its stage."""

    WAITING = "waiting"
    DEAD = "dead"  # a dead letter: its last try failed
    DROPPED = "dropped"  # a dead letter that a person gave up
    DONE = "done"


class JobState(StrEnum):
    """The state of a job. `FINISHED` says that no asset of it waits; dead letters may be left. Only
    an operation fails as a whole.
    """

    RUNNING = "running"
    PAUSED = "paused"
    CANCELED = "canceled"
    FINISHED = "finished"
    FAILED = "failed"


class Priority(IntEnum):
    """The priority of a chunk in its queue; the lower number goes first."""

    WIRE = 1
    BACKFILL = 10


@dataclass(frozen=True, slots=True)
class Job:
    """A job: an ingest, or an operation, which has another `kind` and no assets.

    `request` is the request, as values for JSON. `read` says that all assets of its sources are
    known. `trouble` is what holds it up at the moment, or why an operation failed, or "". Times are
    seconds since 1970, 0 for not yet. `result` is what an operation returned, as values for JSON.
    """

    id: str
    request: Mapping[str, Any]
    priority: int
    state: JobState
    created: float
    ended: float = 0.0
    read: bool = False
    trouble: str = ""
    kind: str = INGEST
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundAsset:
    """A media file that a source found: its place, a `stamp` that changes when the file does, what
    is said of it outside the file (members of ninjs), and its products.
    """

    location: str
    stamp: str
    size: int
    sidecar: Mapping[str, Any] | None = None
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tracked:
    """An asset of a job on its way.

    `attempts` counts the failed tries at its stage; `cause` is why the last one failed, or what is
    left undone. `crashes` counts the workers that ended while they worked on this asset alone.
    `made` counts what was computed, by kind, without what the ledger had.
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
        """The asset's name on the command line."""
        return f"{self.job}:{self.number}"


@dataclass(frozen=True, slots=True)
class Order:
    """A piece of work that a worker has leased: a stage for a chunk, a job's sources to read
    (`queue` is READ), or an operation (OPERATE).

    `holder` names the lease, so that a worker that lost it changes nothing any more. `taken` counts
    the leases since one of them was completed, this one included. `trace` is the place of whoever
    ordered it, as a header `traceparent`, or "".
    """

    id: int
    job: str
    chunk: int
    queue: str
    holder: str
    taken: int = 1
    trace: str = ""

    @property
    def stage(self) -> Stage:
        """The stage to do for the chunk; only for an order of a chunk."""
        return Stage(self.queue)


@dataclass(frozen=True, slots=True)
class WaitingStill:
    """A still that waits for a caption from a batch.

    `job`, `number` and `location` are its asset's. `key` is the key of the caption in the ledger;
    `still`, `similarity` and `space` are as in `indexing.work.stages.preparing`. `uri` is the
    item's, `terms` the digest of the model and the prompt that it waits for ("" if an earlier
    version noted neither). `tries` counts batches that gave no answer; `packet` names the stills
    that are sent together, and `batch` the provider's batch of them, "" for not yet. `id` is 0
    until it is recorded.
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
        """The number of assets found so far."""
        return sum(self.standing.values())

    def waiting(self) -> int:
        """Return the number of assets that still wait for a stage."""
        return sum(n for (_, state), n in self.standing.items() if state is AssetState.WAITING)

    def dead(self) -> int:
        """Return the number of dead letters."""
        return sum(n for (_, state), n in self.standing.items() if state is AssetState.DEAD)

    def past(self, stage: Stage) -> int:
        """Return the number of assets beyond `stage`."""
        order = (*STAGES, Stage.DONE)
        later = order[order.index(stage) + 1 :]
        return sum(n for (at, _), n in self.standing.items() if at in later)
