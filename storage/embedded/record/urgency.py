"""Tells the processes of an archive that a change of state waits for SQLite's lock.

SQLite gives its write lock to whoever asks at the right moment. A process that writes one
transaction after another would keep it from one that asks now and then. So who is urgent holds a
shared flock on a file beside the record, and before each ordinary transaction a process stands back
until nobody does. The system takes the flock from a process that ends.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "urgent.lock"
_LOOK_S = 0.001
_PATIENCE_S = 1.0  # an ordinary write goes on after that, however many urgent ones come


class Urgency:
    """One per process and archive; called by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._stream = (folder / FILE).open("a+b")

    @contextmanager
    def announced(self) -> Iterator[None]:
        """While an urgent write waits and is done."""
        fcntl.flock(self._stream, fcntl.LOCK_SH)  # held by others for microseconds only
        try:
            yield
        finally:
            fcntl.flock(self._stream, fcntl.LOCK_UN)

    def give_way(self) -> None:
        """Returns when no process is urgent, or after a second."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            try:
                fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOOK_S)
                continue
            fcntl.flock(self._stream, fcntl.LOCK_UN)
            return

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()
