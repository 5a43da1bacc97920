"""The lock by which one process owns the projections; the others read and follow them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


class Ownership:
    """An advisory lock on a file, held until `release` or the end of the process (flock(2))."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[str] | None = None

    @property
    def held(self) -> bool:
        """Whether this process owns the projections."""
        return self._stream is not None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; return whether this process has it."""
        if self._stream is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        stream = self._path.open("a+")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.close()
            return False
        stream.seek(0)
        stream.truncate()
        stream.write(str(os.getpid()))
        stream.flush()
        self._stream = stream
        return True

    def owner(self) -> str:
        """Return the id of the process that last took the lock, "" if none did."""
        try:
            return self._path.read_text().strip()
        except OSError:
            return ""

    def release(self) -> None:
        """Release the lock."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
