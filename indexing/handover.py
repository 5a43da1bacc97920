"""A bounded queue between two threads that either side can end.

`queue.Queue` can't say "no more is coming", "I failed" or "I stopped listening".
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """Holds at most `size` values. One side puts and closes, the other iterates and may cancel."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False
        self._failure: BaseException | None = None

    def put(self, value: T) -> bool:
        """Hands `value` over, waiting for room; False if the taker has cancelled."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._values) < self._size or self._cancelled)
            if self._cancelled:
                return False
            self._values.append(value)
            self._changed.notify_all()
            return True

    def close(self, failure: BaseException | None = None) -> None:
        """Ends the queue: the taker gets the remaining values, then `failure` is raised there."""
        with self._changed:
            self._closed = True
            self._failure = failure
            self._changed.notify_all()

    def cancel(self) -> None:
        """Stops taking: waiting values are dropped and `put` returns False from now on."""
        with self._changed:
            self._cancelled = True
            self._values.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._values or self._closed or self._cancelled)
                if not self._values:
                    if self._failure is not None and not self._cancelled:
                        raise self._failure
                    return
                value = self._values.popleft()
                self._changed.notify_all()
            yield value
