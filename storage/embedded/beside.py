"""Runs the lexical search, and the cosines of its hits, beside the encoder and the graph."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from core.threads import Threads

Result = TypeVar("Result")


class Beside:
    """Gives a part of a search its own thread while a core is free: both parts are native code that
    releases Python's lock. With as many searches as cores, each search does all of its work in its
    own thread, because more threads would only wait for each other.
    """

    def __init__(self, cores: int | None = None) -> None:
        self._cores = _cores() if cores is None else cores
        self._threads = Threads(self._cores, thread_name_prefix="lexical")
        self._searches = 0
        self._lock = Lock()

    @contextmanager
    def search(self) -> Iterator[None]:
        """Count a search while it runs."""
        with self._lock:
            self._searches += 1
        try:
            yield
        finally:
            with self._lock:
                self._searches -= 1

    def begin(self, work: Callable[[], Result]) -> Callable[[], Result] | None:
        """Start `work()`; return a function that waits for its result. None: no core is free."""
        return self._threads.submit(work).result if self._searches < self._cores else None

    def close(self) -> None:
        """Wait for the work that runs."""
        self._threads.shutdown()


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
