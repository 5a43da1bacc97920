"""What the serving of a model tells while it works: how long each stage took, and what it counted.

Whoever wants to know brings a `Watching`, which makes a watch for each model and task. So the room
of models knows no Prometheus, and its metrics know no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """The parts of a call's time. They follow each other and add up to nearly all of it.

    `QUEUE` ends when the first of a call's rows enters the model, `INFERENCE` when the last has
    come out: of a call with many batches it holds the others' batches in between.
    """

    TOKENISE = "tokenise"
    QUEUE = "queue"
    INFERENCE = "inference"


class Event(StrEnum):
    """What is counted. `WAITING` goes up and down: rows that entered or left the queue."""

    BATCH_ROWS = "batch_rows"
    BATCH_TOKENS = "batch_tokens"
    WAITING = "waiting"
    REFUSED = "refused"
    CACHE_HIT = "hit"
    CACHE_MISS = "miss"
    CACHE_EVICTED = "evicted"
    TRUNCATED = "truncated"


class ModelWatch(Protocol):
    """Is told of one model at one task, from any thread, and must take microseconds."""

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        """One call's `stage` lay between two readings of `time.perf_counter`."""
        ...

    def counted(self, event: Event, amount: int) -> None:
        """`event` happened, `amount` times or at this size."""
        ...


class Watching(Protocol):
    """Makes the watches."""

    def of(self, model: str, task: str) -> ModelWatch:
        """The watch of `model` at `task` (`query`, `passage`, `tag`, `score`)."""
        ...


class Unwatched:
    """Where nobody wants to know: a watch and a maker of watches that do nothing."""

    def of(self, model: str, task: str) -> ModelWatch:
        """Itself."""
        return self

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        """Does nothing."""

    def counted(self, event: Event, amount: int) -> None:
        """Does nothing."""


UNWATCHED = Unwatched()


@dataclass(frozen=True, slots=True)
class WatchedByAll:
    """Several makers of watches as one."""

    makers: Sequence[Watching]

    def of(self, model: str, task: str) -> ModelWatch:
        """A watch that tells each maker's."""
        return _Several(tuple(maker.of(model, task) for maker in self.makers))


@dataclass(frozen=True, slots=True)
class _Several:
    """Passes on to each of `watches`."""

    watches: tuple[ModelWatch, ...]

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        for watch in self.watches:
            watch.timed(stage, began, ended)

    def counted(self, event: Event, amount: int) -> None:
        for watch in self.watches:
            watch.counted(event, amount)
