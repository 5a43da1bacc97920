"""What a served model reports while it works: how long each stage took, and counts of events.

A `Watching` makes a watch for each model and task. So `inference` knows no Prometheus, and the
metrics know no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """The parts of a call's time. They follow each other and add up to nearly all of it.

    `QUEUE` ends when the first of a call's rows enters the model, `INFERENCE` when the last row
    comes out. So the inference of a call with many batches includes the batches of others in
    between.
    """

    TOKENISE = "tokenise"
    QUEUE = "queue"
    INFERENCE = "inference"


class Event(StrEnum):
    """What is counted. `WAITING` goes up and down, by the rows that enter or leave the queue."""

    BATCH_ROWS = "batch_rows"
    BATCH_TOKENS = "batch_tokens"
    WAITING = "waiting"
    REFUSED = "refused"
    CACHE_HIT = "hit"
    CACHE_MISS = "miss"
    CACHE_EVICTED = "evicted"
    TRUNCATED = "truncated"


class ModelWatch(Protocol):
    """Gets the reports of one model at one task, from any thread. It must return within
    microseconds.
    """

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        """One call's `stage` took from `began` to `ended`, readings of `time.perf_counter`."""
        ...

    def counted(self, event: Event, amount: int) -> None:
        """`event` happened `amount` times, or with the size `amount`."""
        ...


class Watching(Protocol):
    """Makes the watches."""

    def of(self, model: str, task: str) -> ModelWatch:
        """Return the watch of `model` at `task` (`query`, `passage`, `tag`, `score`)."""
        ...


class Unwatched:
    """A watch, and a maker of watches, that do nothing: for callers who want no reports."""

    def of(self, model: str, task: str) -> ModelWatch:
        """Return itself."""
        return self

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        """Do nothing."""

    def counted(self, event: Event, amount: int) -> None:
        """Do nothing."""


UNWATCHED = Unwatched()


@dataclass(frozen=True, slots=True)
class WatchedByAll:
    """Combines several makers of watches."""

    makers: Sequence[Watching]

    def of(self, model: str, task: str) -> ModelWatch:
        """Return a watch that passes each report on to a watch of every maker."""
        return _Several(tuple(maker.of(model, task) for maker in self.makers))


@dataclass(frozen=True, slots=True)
class _Several:
    """Passes each report on to all `watches`."""

    watches: tuple[ModelWatch, ...]

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        for watch in self.watches:
            watch.timed(stage, began, ended)

    def counted(self, event: Event, amount: int) -> None:
        for watch in self.watches:
            watch.counted(event, amount)
