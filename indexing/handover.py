"""A bounded queue between two threads that either side can end.

`queue.Queue` can't say "no more is coming", "I failed" or "I stopped listening".
`reading_ahead` uses it to read a file's frames in one thread while the model works in another.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from core.media import FrameBatch, Gap

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
        """Hand `value` over, waiting for room; False if the taker has cancelled."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._values) < self._size or self._cancelled)
            if self._cancelled:
                return False
            self._values.append(value)
            self._changed.notify_all()
            return True

    def close(self, failure: BaseException | None = None) -> None:
        """End the queue: the taker gets the remaining values, then `failure` is raised there."""
        with self._changed:
            self._closed = True
            self._failure = failure
            self._changed.notify_all()

    def cancel(self) -> None:
        """Stop taking: waiting values are dropped and `put` returns False from now on."""
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


_END_S = 2.0  # a batch takes some milliseconds
_WAITING = 8  # batches that are read ahead: two megabytes, more than one of a file's windows


@contextmanager
def read_ahead(frames: Iterable[FrameBatch | Gap]) -> Iterator[Iterable[FrameBatch | Gap]]:
    """Yield all of `frames`, in order. An error of reading is raised after the frames before it.
    When this ends, `frames` is read no further; a decoder that hangs is not waited for.
    """
    waiting: Handover[FrameBatch | Gap] = Handover(_WAITING)
    reading = (frames, waiting)
    thread = threading.Thread(target=_read, args=reading, name="frames ahead", daemon=True)
    thread.start()
    try:
        yield waiting
    finally:
        waiting.cancel()
        thread.join(_END_S)


def _read(frames: Iterable[FrameBatch | Gap], waiting: Handover[FrameBatch | Gap]) -> None:
    """The thread: reads until the end, or until nobody takes frames."""
    try:
        for each in frames:
            if not waiting.put(each):
                return
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        waiting.close(error)
    else:
        waiting.close()
