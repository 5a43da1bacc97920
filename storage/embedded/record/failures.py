"""Turns SQLite's errors into ours, by their result codes (https://sqlite.org/rescode.html)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from core.errors import BusyError, CorruptError, DiskError, StorageError, StorageFullError

_RESTORE = "restore it with `dateline restore`"
_LEAST_FREE = 1 << 20  # bytes; SQLite says "disk I/O error" if its shared memory can't grow


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours: full, failed, busy, corrupt, or another one."""
    try:
        yield
    except orjson.JSONDecodeError as error:
        raise CorruptError(
            f"a recorded document can't be read: {error}", where=str(path), mend=_RESTORE
        ) from error
    except sqlite3.Error as error:
        raise _as_ours(error, path) from error


def _as_ours(error: sqlite3.Error, path: Path) -> StorageError:
    what, code = str(error), code_of(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path.parent)):
        return StorageFullError(
            "no space left to write; nothing of this batch was recorded",
            where=str(path.parent),
            mend="free space on this file system and send it again",
        )
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
        return DiskError(
            f"the disk failed: {what}",
            where=str(path),
            mend="look into the system's log for this disk. A write may be recorded or not: send it"
            " again, what is recorded stays as it is",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return BusyError("another process is writing", where=str(path), mend="try again")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return CorruptError(what, where=str(path), mend=_RESTORE)
    return StorageError(what, where=str(path), mend="see `dateline doctor`")


def code_of(error: sqlite3.Error) -> int:
    """Return the primary result code; 0 for errors of Python's own layer."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_full(folder: Path) -> bool:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize < _LEAST_FREE
