"""A bounded pool of threads for the synchronous core: the permit first, refusal fast."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

from core.errors import BusyError

Result = TypeVar("Result")


class WorkPool:
    """At most `threads` calls run and `waiting` more queue; the next is refused at once.

    The permit is held until the call has ended, also when its client has gone: a thread can't be
    stopped, and a permit given back early would let a crowd of impatient clients pile up work.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name = name
        self._permits = BoundedSemaphore(threads + waiting)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, work: Callable[[], Result]) -> Result:
        """The result of `work()`; raises BusyError where the queue is full."""
        if not self._permits.acquire(blocking=False):
            raise BusyError(
                f"Too many {self.name} at once; yours was not started.",
                where=self.name,
                mend="Try again in a second.",
            )
        try:
            future = self._executor.submit(work)
        except RuntimeError as stopped:  # the executor is shut down
            self._permits.release()
            raise BusyError("The service is stopping.", mend="Try again in a while.") from stopped
        future.add_done_callback(lambda _: self._permits.release())
        return await asyncio.wrap_future(future)

    def leave(self, work: Callable[[], object]) -> None:
        """Has `work()` done by and by; nobody waits for it, and nothing is refused."""
        try:
            future = self._executor.submit(work)
        except RuntimeError:  # the executor is shut down, and the process ends
            work()
            return
        future.add_done_callback(lambda done: work() if done.cancelled() else None)

    def close(self) -> None:
        """Waits for what runs and drops what waits."""
        self._executor.shutdown(wait=True, cancel_futures=True)
