"""Reads a file's frames in a thread of its own while the model works on earlier ones."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from core.media import FrameBatch, Gap
from indexing.handover import Handover

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
