"""A bounded queue between two threads that ends cleanly from either side.

`queue.Queue` has no way to say "no more is coming", "I failed" or "I stopped listening".
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """At most `size` values wait. One side puts and closes, the other iterates and may cancel."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False
        self._failure: BaseException | None = None

    def put(self, value: T) -> bool:
        """Hands `value` over, waiting for room; False where nobody takes values any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._values) < self._size or self._cancelled)
            if self._cancelled:
                return False
            self._values.append(value)
            self._changed.notify_all()
            return True

    def close(self, failure: BaseException | None = None) -> None:
        """No more is coming; the taker gets what waits, then `failure` is raised there."""
        with self._changed:
            self._closed = True
            self._failure = failure
            self._changed.notify_all()

    def cancel(self) -> None:
        """The taker stops: what waits is dropped and `put` says False from now on."""
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
