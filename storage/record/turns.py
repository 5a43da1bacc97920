"""Whose turn it is to write: one thread at a time, and a change of state before everything else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from core.errors import StorageError

Work = TypeVar("Work")
Done = TypeVar("Done")


def in_short_turns(
    works: Sequence[Work], take_turn: Callable[[Sequence[Work]], Sequence[Done]]
) -> tuple[Done, ...]:
    """What became of the first of `works`: of all, unless a later transaction failed. `take_turn`
    does at least one of those it is given in one transaction. Raises what the first one fails with.
    """
    done: list[Done] = []
    while len(done) < len(works):
        try:
            done += take_turn(works[len(done) :])
        except StorageError:
            if not done:
                raise
            break
    return tuple(done)


class Turns:
    """A lock with two lines. Nobody in the ordinary line gets it while anybody waits in the urgent
    one; bulks write in short transactions, so an urgent write waits for one of these at most.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self.waiting = 0
        self._urgent = 0  # of these

    @contextmanager
    def taken(self, *, urgent: bool) -> Iterator[None]:
        """With the lock."""
        with self._changed:
            self.waiting += 1
            self._urgent += urgent
            try:
                self._changed.wait_for(lambda: self._is_free(urgent=urgent))
                self._taken = True
            finally:
                self.waiting -= 1
                self._urgent -= urgent
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()

    def _is_free(self, *, urgent: bool) -> bool:
        return not self._taken and (urgent or not self._urgent)
