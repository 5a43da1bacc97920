"""Keeps the folders and stores of an archive's originals. Only what was named to an ingest is
served.

They are in one JSON file in the archive's folder. Each ingest of media adds to it, each service
reads it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from core.errors import StorageError

FILE = "media_roots.json"
MOST = 10_000


class MediaRoots:
    """The roots of the archive in `folder`, for any number of processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._known: tuple[object, tuple[str, ...]] = (None, ())

    def read(self) -> tuple[str, ...]:
        """Return the files, folders and stores' URLs so far; none if they can't be read."""
        try:
            stat = self._path.stat()
            stamp, known = (stat.st_ino, stat.st_mtime_ns, stat.st_size), self._known
            if known[0] != stamp:
                found = orjson.loads(self._path.read_bytes())
                roots = tuple(root for root in found if isinstance(root, str) and root)
                known = self._known = (stamp, roots)
        except (OSError, orjson.JSONDecodeError):
            return ()
        return known[1]

    def add(self, roots: Sequence[str]) -> None:
        """Add roots; durable when it returns. Raises StorageError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                known = self._recorded()
                every = tuple(dict.fromkeys((*known, *roots)))
                if len(every) > MOST:
                    raise StorageError(
                        f"originals lie in more than {MOST:,} places",
                        where=str(self._path),
                        mend="name folders to ingest in place of single files",
                    )
                if every != known:
                    self._write(orjson.dumps(every))
        except (OSError, orjson.JSONDecodeError) as error:
            raise StorageError(
                f"the places of originals can't be kept: {error}",
                where=str(self._path),
                mend="is the archive's folder writable?",
            ) from error

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _recorded(self) -> tuple[str, ...]:
        """Return the roots as `read`, but raise for a file that can't be read, because `add` would
        overwrite it.
        """
        if not self._path.exists():
            return ()
        orjson.loads(self._path.read_bytes())
        return self.read()

    def _write(self, data: bytes) -> None:
        part = self._path.with_suffix(".part")
        with part.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self._path)
