"""Names for processes that carry out orders.

A name has three parts: the host's name, the archive folder's and a number. The number's lock in
that folder is held as long as the process lives. So after a kill the next process of the folder has
the same name, and can take the orders that are leased to that name at once. Several folders of one
host may share a database of orders, and so may containers of one host name. So the folder's part
comes from a random text that is kept in it, and from its place on the disk, because a copy of a
folder is another folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
from pathlib import Path
from typing import IO

from core.errors import BusyError

_MOST = 256  # processes of a folder
_MARK = "folder.mark"


class ProcessName:
    """A name that no other living process has, until `release` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        host = f"{socket.gethostname()[:100]}-{_mark_of(folder)}"
        for number in range(_MOST):
            lock = _try_lock(folder / f"{number}.lock")
            if lock is not None:
                self.name, self._lock = f"{host}-{number}", lock
                return
        raise BusyError(f"{_MOST} workers run on this folder", where=str(folder))

    def release(self) -> None:
        """Give the name back."""
        self._lock.close()


def _mark_of(folder: Path) -> str:
    """Return a mark that no other folder has, as 8 hex digits; the same at every start."""
    with (folder / _MARK).open("a+", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # if two processes begin, one of them writes it
        stream.seek(0)
        mark = stream.read()
        if not mark:
            mark = os.urandom(16).hex()
            stream.write(mark)
            stream.flush()
            os.fsync(stream.fileno())
    found = folder.stat()
    parts = f"{mark}:{found.st_dev}:{found.st_ino}"
    return hashlib.sha256(parts.encode()).hexdigest()[:8]


def _try_lock(path: Path) -> IO[str] | None:
    stream = path.open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return None
    return stream
