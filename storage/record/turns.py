"""Lets one thread write at a time, and changes of state before all other writes."""

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
    """Return the results of the first of `works`: of all, unless a later transaction failed. Each
    call of `take_turn` does at least one of the works in one transaction. Raises the error of the
    first transaction.
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
    """A lock with two queues. No ordinary writer gets it while an urgent one waits. Large writes
    are short transactions, so an urgent write waits for one of these at most.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self.waiting = 0
        self._urgent = 0  # urgent writes among those waiting

    @contextmanager
    def taken(self, *, urgent: bool) -> Iterator[None]:
        """Hold the lock."""
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
