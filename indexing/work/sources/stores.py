"""Files in stores: S3 and other stores that fsspec reads, one by one and of limited size.

A file to decode is copied into a spool folder, because decoders seek. The spool is bounded: a fetch
waits until there is room. The digest is computed from the bytes as they come.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError, LimitError, MediaError, SettingsError, StorageFullError
from core.media import is_url
from indexing.work.sources.listing import ending, stamp_of

_PIECE = 2**20
_ALLOWED = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "adl", "memory"})
_NO_SPACE = 28


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that can be opened here, the sha256 of its bytes in hex, their number, and a stamp
    that changes with them.
    """

    path: Path
    digest: str
    size: int
    stamp: str


class FileStores:
    """`indexing.work.sources.listing.Store` over fsspec. Only stores of objects are allowed: a
    location in a manifest must not make this machine ask any host on the network, or read a file of
    its own.
    """

    def walk(self, url: str) -> Iterator[tuple[str, str, int]]:
        """Yield address, stamp and size of every file at or below `url`."""
        scheme = url.partition("://")[0]
        try:
            system, path = _system(url)
            found = system.find(path, detail=True)
        except FileNotFoundError:
            found = {}
        except Exception as error:  # each library behind fsspec has its own
            raise InputError(
                f"can't be read: {error}",
                where=url,
                mend="check the address, and that this machine may read there",
            ) from error
        if not found:
            raise InputError("there is nothing", where=url, mend="check the address")
        # Folder by folder: a file's sidecars come with it.
        for name in sorted(found, key=lambda name: (name.rpartition("/")[0], name)):
            info = found[name]
            yield f"{scheme}://{name.lstrip('/')}", _stamp(info), int(info.get("size") or 0)

    def read(self, url: str, most: int) -> bytes:
        """Return the first `most` bytes of a file."""
        try:
            system, path = _system(url)
            data: bytes = system.cat_file(path, end=most)
        except OSError:
            raise
        except Exception as error:  # each library behind fsspec has its own
            raise OSError(str(error)) from error
        return data

    def stamp(self, url: str) -> tuple[str, int]:
        """Return a stamp that changes with a file, and its size. Raises OSError."""
        system, path = _system(url)
        info = system.info(path)
        return _stamp(info), int(info.get("size") or 0)

    def stream(self, url: str) -> Any:
        """Return a file to be read from its start. Raises OSError."""
        system, path = _system(url)
        return system.open(path, "rb", block_size=4 * _PIECE, cache_type="readahead")


class Spool:
    """Brings files to a decoder. Thread-safe; `room` limits the bytes of all copies at the same
    time, `largest` those of one file.
    """

    def __init__(self, folder: Path, stores: FileStores, *, room: int, largest: int) -> None:
        self._folder = folder
        self._stores = stores
        self._room = room
        self._largest = largest
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def fetched(self, location: str) -> Iterator[Fetched]:
        """Yield the file at a path, or until the end of the block a copy of a file in a store.
        Raises MediaError if it can't be read and LimitError if it is too large.
        """
        if not is_url(location):
            yield self._local(Path(location))
            return
        stamp, size = self._looked_up(location)
        with self._reserved(size):
            path = self._folder / f"{os.urandom(8).hex()}{ending(location)}"
            try:
                digest = self._copy(location, path, size)
                yield Fetched(path, digest, size, stamp)
            finally:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove copies that a killed process left behind."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                path.unlink(missing_ok=True)

    def _local(self, path: Path) -> Fetched:
        try:
            with path.open("rb") as stream:
                size, stamp = os.fstat(stream.fileno()).st_size, stamp_of(path)
                if size > self._largest:
                    raise _too_large(str(path), size, self._largest)
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                return Fetched(path, digest, size, stamp)
        except OSError as error:
            raise _unreadable(str(path), error) from error

    def stamp(self, location: str) -> str:
        """Return the present stamp of a file's bytes. Raises MediaError."""
        try:
            if is_url(location):
                return self._stores.stamp(location)[0]
            return stamp_of(Path(location))
        except OSError as error:
            raise _unreadable(location, error) from error

    def _looked_up(self, location: str) -> tuple[str, int]:
        try:
            stamp, size = self._stores.stamp(location)
        except OSError as error:
            raise _unreadable(location, error) from error
        if size > min(self._largest, self._room):
            raise _too_large(location, size, min(self._largest, self._room))
        return stamp, size

    def _copy(self, location: str, path: Path, size: int) -> str:
        digest, written = hashlib.sha256(), 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._stores.stream(location) as source, path.open("xb") as copy:
                while piece := source.read(_PIECE):
                    written += len(piece)
                    if written > size:  # it grew, and the room was reserved for less
                        raise MediaError("changed while it was read", where=location)
                    digest.update(piece)
                    copy.write(piece)
        except OSError as error:
            if error.errno == _NO_SPACE:
                raise StorageFullError(
                    "no space left for a copy", where=str(self._folder), mend="free space"
                ) from error
            raise _unreadable(location, error) from error
        return digest.hexdigest()

    @contextmanager
    def _reserved(self, size: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._used + size <= self._room)
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


def _system(url: str) -> tuple[Any, str]:
    scheme = url.partition("://")[0].lower()
    if scheme not in _ALLOWED:
        raise InputError(
            f"{scheme}:// is no store that files are read from",
            where=url[:200],
            mend=f"use a path, or one of {', '.join(sorted(_ALLOWED))}",
        )
    return _opened(url)


def _opened(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]
    except ImportError as error:
        raise SettingsError(
            "files in stores need fsspec", mend="pip install 'dateline-search[media]'"
        ) from error
    try:
        # Listings are not kept: an old one may name files that no longer exist.
        system, path = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise SettingsError(
            f"this store needs a library that is not installed: {error}",
            where=url[:200],
            mend="for S3: pip install 'dateline-search[s3]'",
        ) from error
    return system, str(path)


def _stamp(info: Any) -> str:
    """Return the store's own version of a file if there is one, else its time."""
    for name in ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "mtime", "created"):
        if info.get(name):
            return f"{info.get('size')}:{str(info[name]).strip(chr(34))}"
    return ""


def _too_large(where: str, size: int, most: int) -> LimitError:
    return LimitError(
        f"{size:,} bytes are more than the {most:,} allowed",
        where=where,
        mend="raise media_max_bytes",
    )


def _unreadable(where: str, error: OSError) -> MediaError:
    return MediaError(
        f"can't be read: {error.strerror or error}", where=where, mend="is it there, and readable?"
    )
