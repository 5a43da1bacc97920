"""Wakes those who wait for transitions: one thread of the process looks, and nobody else.

A request that is held needs no thread and asks nothing. It leaves here what it reads and how to
wake it. When transitions come, all readers are compared with them at once: the items are read once,
and matched with all queries in one index.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from core.callers import Caller
from core.customers.transitions import Position
from core.query_tree import Node
from customers.feed import Feed
from storage.woken_thread import WokenThread

log = logging.getLogger(__name__)
_INTERVAL_S = 0.05  # between two looks, for transitions that another process made
_PAUSE_S = 1.0  # pause after a failure
_BATCH = 200


@dataclass(slots=True, eq=False)
class Waiting:
    """One reader that waits after `position`; `wake` is called once, from any thread."""

    caller: Caller
    tree: Node
    position: Position
    wake: Callable[[], object]
    woken: bool = False


class Readers:
    """The readers of a feed that wait in this process."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._lock = Lock()
        self._waiting: set[Waiting] = set()
        self._seen = feed.end = feed.log.last()
        self._closed = False
        self._thread = WokenThread("feed readers", _INTERVAL_S, self._step)
        self._thread.start()

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def look(self) -> None:
        """Note that there are new transitions."""
        self._thread.wake()

    def wait(
        self, caller: Caller, tree: Node, position: Position, wake: Callable[[], object]
    ) -> Waiting | None:
        """Register `wake`, which is called when there is a transition for the caller after a
        position; return None if there may be one already.
        """
        waiting = Waiting(caller, tree, position, wake)
        with self._lock:
            if self._closed or self._seen.n > position.n:
                return None
            self._waiting.add(waiting)
        return waiting

    def is_end(self, position: Position) -> bool:
        """Return whether this process has seen no transition after a position."""
        return position == self._seen

    def leave(self, waiting: Waiting) -> Position:
        """End the waiting; return the place up to which there was nothing for the reader."""
        with self._lock:
            self._waiting.discard(waiting)
        return waiting.position

    @property
    def closed(self) -> bool:
        """Whether the service ends, so that nobody should wait."""
        return self._closed

    def close(self) -> None:
        """Wake everybody and end the thread."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, set()
        for each in waiting:
            each.wake()
        self._thread.stop()

    def _step(self) -> None:
        try:
            while self._advance():
                pass
        except Exception:
            log.exception("readers of feeds could not be woken")
            self._thread.pause(_PAUSE_S)

    def _advance(self) -> bool:
        """Compare the readers with the next transitions; return whether there may be more."""
        last = self._feed.log.last()
        if last == self._seen:
            return False  # most looks end here, and cost nothing for each reader
        with self._lock:
            readers = [each for each in self._waiting if not each.woken]
            if not readers:
                self._seen = self._feed.end = last
        if not readers or last.n <= self._seen.n:
            return False
        batch = self._feed.log.after(self._seen.n, _BATCH, None)
        if not batch:
            return False
        concerned = self._feed.concerned(batch, [(each.caller, each.tree) for each in readers])
        end = Position(batch[-1].n, batch[-1].id)
        with self._lock:
            self._seen = self._feed.end = end
            for reader, told in zip(readers, concerned, strict=True):
                if told:
                    reader.woken = True
                elif reader.position.n < end.n:
                    reader.position = end
            gone = [each for each in readers if each.woken and each in self._waiting]
        for each in gone:
            each.wake()
        return len(batch) == _BATCH
