"""Threads that help where work can be shared. Where none can be started, callers work alone."""

import threading
from collections.abc import Callable
from time import perf_counter

from core.priority import step_back
from core.threads import Threads

PAUSE = 1.0  # seconds without a new attempt after a thread could not be started


class SpareThreads:
    """At most `most` threads. Each starts when it is first needed and stays until `close`. Their
    priority is lower than that of the threads that they help (`step_back`).
    """

    def __init__(self, most: int, *, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._closed = False
        self._again = 0.0  # reading of perf_counter before which no thread is asked for
        self._pool = self._new_pool()
        self._begun = False  # whether the pool has a thread
        self._left: list[Threads] = []  # pools whose threads end after their work

    def start(self, work: Callable[[], None]) -> bool:
        """Return whether a thread does `work`, now or when it has finished other work. Where this
        is False, as after `close`, `work` is never done.
        """
        with self._lock:
            if self._most < 1 or self._closed or perf_counter() < self._again:
                return False
            order = [work]
            try:
                self._pool.submit(self._run, order)
            except RuntimeError:  # the system has no thread left
                order.clear()
                self._leave_pool()
                return False
            self._begun = True
            return True

    def close(self) -> None:
        """End the threads when they have finished the started work."""
        with self._lock:
            self._closed = True
        for pool in (*self._left, self._pool):
            pool.shutdown()

    def _new_pool(self) -> Threads:
        return Threads(max(1, self._most), thread_name_prefix=self._name, initializer=step_back)

    def _leave_pool(self) -> None:
        """Make a new pool. A pool that failed to start a thread has still queued the work, and
        counts busy threads as idle.
        """
        self._pool.shutdown(wait=False)
        if self._begun:
            self._left.append(self._pool)
        self._pool, self._begun = self._new_pool(), False
        self._again = perf_counter() + PAUSE

    def _run(self, order: list[Callable[[], None]]) -> None:
        with self._lock:  # `start` may be about to take the order back
            works = tuple(order)
        for work in works:
            work()
