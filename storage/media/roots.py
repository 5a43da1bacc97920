"""Below which folders and stores an archive's originals lie: what was named to ingest, and nothing
else, is served.

One JSON file in the archive's folder; added to by each ingest of media, read by each service.
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
    """The roots of the archive in `folder`. Any number of processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._known: tuple[object, tuple[str, ...]] = (None, ())

    def read(self) -> tuple[str, ...]:
        """The files, folders and stores' URLs so far; none where they can't be read."""
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
        """Adds roots; durable when it returns. Raises StorageError."""
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
        """Nothing is open."""

    def _recorded(self) -> tuple[str, ...]:
        """As `read`, but what can't be read is an error: it would be written over."""
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
