"""Where a search's lexical half runs while its query is encoded and the graph is searched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

Result = TypeVar("Result")


class Beside:
    """A thread of its own for the half of a search, while a core is free for it: both are native
    code that releases Python's lock. Once there are as many searches as cores, each does all of its
    work in its own thread, for more threads would only wait for each other.
    """

    def __init__(self, cores: int | None = None) -> None:
        self._cores = _cores() if cores is None else cores
        self._threads = ThreadPoolExecutor(self._cores, thread_name_prefix="lexical")
        self._searches = 0
        self._lock = Lock()

    @contextmanager
    def search(self) -> Iterator[None]:
        """Around each search, so that they are counted."""
        with self._lock:
            self._searches += 1
        try:
            yield
        finally:
            with self._lock:
                self._searches -= 1

    def begin(self, work: Callable[[], Result]) -> Callable[[], Result]:
        """What gives `work()`, begun by now where a core is free."""
        return self._threads.submit(work).result if self._searches < self._cores else work

    def close(self) -> None:
        """Waits for what runs."""
        self._threads.shutdown()


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
