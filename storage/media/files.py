"""Keeps thumbnails, stills and originals by their sha256, in a folder or behind an fsspec URL.

Paths are `ab/abcdef….jpg`: two characters make 256 folders, so that none grows too large. A file is
written beside its place, synced and then renamed. So, whenever the process or the power ends, a
name has whole and durable bytes or none.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from core.errors import InputError, NotFoundError, StorageError, StorageFullError

MAX_BYTES = 64 * 2**20
_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,8}")
_FULL = {28, 122}  # ENOSPC, EDQUOT


class FolderMediaStore:
    """`core.ports.media.MediaStore` in a folder, for any number of processes. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes, suffix: str) -> str:
        """Keep `data` durably; return its name. Raises StorageError."""
        name = _name_of(data, suffix)
        path = self._folder / name[:2] / name
        if path.exists():
            return name
        part = path.with_name(f".{name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(part, data)
            part.replace(path)
            _sync_names(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise _ours(error, self._folder) from error
        return name

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading. Raises NotFoundError, StorageError."""
        _check(name)
        try:
            return (self._folder / name[:2] / name).open("rb")
        except FileNotFoundError as error:
            raise _missing(name) from error
        except OSError as error:
            raise _ours(error, self._folder) from error


class RemoteMediaStore:
    """`core.ports.media.MediaStore` behind an fsspec URL such as s3://bucket/stills, for workers
    and services on several hosts. The store itself writes a file whole or not at all.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

        self._url = url
        self._system: Any
        self._system, self._root = url_to_fs(url)

    def put(self, data: bytes, suffix: str) -> str:
        """Keep `data`; return its name. Raises StorageError."""
        name = _name_of(data, suffix)
        path = self._path(name)
        try:
            if not self._system.exists(path):
                self._system.pipe_file(path, data)
        except OSError as error:
            raise StorageError(
                f"could not be written: {error}", where=self._url, mend="is it there, and writable?"
            ) from error
        return name

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading. Raises NotFoundError, StorageError."""
        _check(name)
        try:
            return cast("BinaryIO", self._system.open(self._path(name), "rb"))
        except FileNotFoundError as error:
            raise _missing(name) from error
        except Exception as error:  # errors of stores, such as botocore's, are not OSErrors
            raise StorageError("a still can't be read", where=self._root) from error

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name[:2]}/{name}"


def _name_of(data: bytes, suffix: str) -> str:
    if len(data) > MAX_BYTES:
        raise InputError(
            f"{len(data):,} bytes are too many for the media store",
            mend=f"it keeps at most {MAX_BYTES:,} in one file",
        )
    name = hashlib.sha256(data).hexdigest() + suffix
    _check(name)
    return name


def _check(name: str) -> None:
    """Raise NotFoundError for a name that could lead to another folder."""
    if _NAME.fullmatch(name) is None:
        raise _missing(name)


def _missing(name: str) -> NotFoundError:
    return NotFoundError("there is no such file in the media store", where=name[:80])


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_names(path: Path) -> None:
    """Make the new name durable, and the names of the two folders above, which may be new too. A
    folder that this user may not read existed before.
    """
    for folder in [*path.absolute().parents][:3]:
        with suppress(PermissionError):
            number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(number)
            finally:
                os.close(number)


def _ours(error: OSError, folder: Path) -> StorageError:
    if error.errno in _FULL:
        return StorageFullError(
            "no space left for stills",
            where=str(folder),
            mend="free space; then the work continues",
        )
    what = error.strerror or str(error)
    return StorageError(f"a still can't be kept or read: {what}", where=str(folder))
