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

# Signs stay what they are: trails are kept.
SIGNS: Mapping[Stage, str] = {
    Stage.DECODE: "0",
    Stage.DESCRIBE: "1",
    Stage.APPLY: "2",
    Stage.DONE: "3",
    Stage.SHOTS: "4",
    Stage.EMBED: "5",
}


def first_trail(epoch: int, stage: Stage) -> str:
    """The trail of a job's first order for a chunk at a stage. What follows an order adds a sign
    to its trail, so that each trail is the name of one order.
    """
    return f"{epoch}.{SIGNS[stage]}"


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
    since 1970, 0 for not yet. `epoch` counts how often its orders were given out anew.
    """

    id: str
    request: Mapping[str, Any]
    priority: int
    state: JobState
    created: float
    ended: float = 0.0
    read: bool = False
    trouble: str = ""
    epoch: int = 0


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
    last one failed or what is left undone, `crashes` how often a worker ended in the middle of it.
    `made` counts what was computed, by kind: what the ledger knew is not counted. `trail` names the
    order that it waits for.
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
    trail: str = ""

    @property
    def id(self) -> str:
        """Its name on the command line."""
        return f"{self.job}:{self.number}"


@dataclass(frozen=True, slots=True)
class Awaited:
    """An order that assets of a chunk wait for, and the fewest and the most failed tries of one."""

    stage: Stage
    trail: str
    least_attempts: int
    most_attempts: int


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
