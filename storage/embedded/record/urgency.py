"""Tells the processes of an archive that a change of state waits for SQLite's lock.

SQLite gives its write lock to any process that asks at the right moment. A process that writes one
transaction after another would keep the lock from a process that asks from time to time. So an
urgent process holds a shared flock on a file beside the record. Before each ordinary transaction a
process waits until nobody holds it. The system releases the flock of a process that ends.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "urgent.lock"
_LOOK_S = 0.001
_PATIENCE_S = 1.0  # then an ordinary write goes on, even if others are urgent


class Urgency:
    """The flock of one process and archive. One thread at a time may call it."""

    def __init__(self, folder: Path) -> None:
        self._stream = (folder / FILE).open("a+b")

    @contextmanager
    def announced(self) -> Iterator[None]:
        """Announce an urgent write while it waits and runs."""
        fcntl.flock(self._stream, fcntl.LOCK_SH)  # `give_way` holds it only for microseconds
        try:
            yield
        finally:
            fcntl.flock(self._stream, fcntl.LOCK_UN)

    def give_way(self) -> None:
        """Wait until no process is urgent, or for a second."""
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
        """Close the file."""
        self._stream.close()
