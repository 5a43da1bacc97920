"""What a search does beside its encoder and its graph: the lexical half, and its hits' cosines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

Result = TypeVar("Result")


class Beside:
    """A thread of its own for part of a search, while a core is free for it: both are native code
    that releases Python's lock. Once there are as many searches as cores, each does all of its
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

    def begin(self, work: Callable[[], Result]) -> Callable[[], Result] | None:
        """What waits for `work()`, which has begun; None where no core is free for it."""
        return self._threads.submit(work).result if self._searches < self._cores else None

    def close(self) -> None:
        """Waits for what runs."""
        self._threads.shutdown()


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
