"""A small file for what must not be lost when the disk is full: changes of state.

The file has its whole size from the beginning, so an entry takes no new room (on a file system that
overwrites in place). Each entry is on the disk when `append` returns, and every process of the
archive sees it at its next look at `sequence`, which is a read of shared memory.

    0       8        16       24         32              4096
    magic   epoch    taken    sequence   0 …             entries …
    entry:  length, CRC-32 of all that follows, epoch, the bytes

All numbers are little-endian. Entries of another epoch are what is left of earlier ones. `taken` is
how many of this epoch are in the record by now; when all are, a new epoch begins at the start.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import CorruptError, StorageFullError
from storage.embedded.integrity import sync_folder

FILE = "status.journal"
SIZE = 1 << 20
_MAGIC = b"dateline"
_HEADER = struct.Struct("<8sQQQ")
_ENTRY = struct.Struct("<IIQ")
_BODY = 4096
_SEQUENCE_AT = 24


@dataclass(frozen=True, slots=True)
class Entries:
    """What stands in a journal at a `sequence`: the entries of an epoch up to number `end`."""

    sequence: int
    epoch: int
    end: int
    data: tuple[bytes, ...]


class Journal:
    """The journal in `folder`, made where there is none. Safe to use from any number of threads and
    processes. Raises OSError where the disk does not let it be made or read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        if not self.path.exists():
            _make(self.path)
        self._lock = threading.Lock()
        self._file = os.open(self.path, os.O_RDWR)
        try:
            if os.fstat(self._file).st_size != SIZE or os.pread(self._file, 8, 0) != _MAGIC:
                raise CorruptError(
                    "this is no journal of changes of state",
                    where=str(self.path),
                    mend="move it away and start again",
                )
            self._shared = mmap.mmap(self._file, _BODY, access=mmap.ACCESS_READ)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def sequence(self) -> int:
        """A number that is another one whenever entries came or went."""
        (number,) = struct.unpack_from("<Q", self._shared, _SEQUENCE_AT)
        return int(number)

    def read(self) -> Entries:
        """The entries that are not taken."""
        while True:
            sequence = self.sequence
            _, epoch, taken, _ = self._header()
            found = [data for _, data in self._walk(epoch)]
            if self.sequence == sequence:
                return Entries(sequence, epoch, len(found), tuple(found[taken:]))

    def append(self, entries: Sequence[bytes]) -> None:
        """Adds entries, all or none; durable when it returns. Raises StorageFullError where they
        don't fit, OSError where the disk fails.
        """
        with self._alone():
            _, epoch, _, sequence = self._header()
            end = max((end for end, _ in self._walk(epoch)), default=_BODY)
            data = b"".join(_framed(epoch, entry) for entry in entries)
            if end + len(data) > SIZE:
                raise StorageFullError(
                    "the journal of changes of state is full",
                    where=str(self.path),
                    mend="free space on this file system",
                )
            try:
                _write(self._file, data, end)
                os.fdatasync(self._file)
            except OSError:
                os.pwrite(self._file, bytes(_ENTRY.size), end)  # it must not come up later
                raise
            self._put_header(epoch, self._header()[2], sequence + 1)

    def take(self, entries: Entries) -> None:
        """Takes what was read: it is in the record. Durable when it returns. Raises OSError."""
        with self._alone():
            _, epoch, taken, sequence = self._header()
            if epoch != entries.epoch or taken >= entries.end:
                return  # another process was quicker
            taken = entries.end
            if taken == sum(1 for _ in self._walk(epoch)):
                epoch, taken = epoch + 1, 0
            self._put_header(epoch, taken, sequence + 1)
            os.fdatasync(self._file)

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        if not self._shared.closed:
            self._shared.close()
            os.close(self._file)

    def _header(self) -> tuple[bytes, int, int, int]:
        magic, epoch, taken, sequence = _HEADER.unpack_from(self._shared)
        return magic, epoch, taken, sequence

    def _put_header(self, epoch: int, taken: int, sequence: int) -> None:
        os.pwrite(self._file, _HEADER.pack(_MAGIC, epoch, taken, sequence), 0)

    def _walk(self, epoch: int) -> Iterator[tuple[int, bytes]]:
        """Where each entry of the epoch ends, and its bytes; up to the first that is not whole."""
        data = os.pread(self._file, SIZE - _BODY, _BODY)
        place = 0
        while place + _ENTRY.size <= len(data):
            length, crc, of_epoch = _ENTRY.unpack_from(data, place)
            end = place + _ENTRY.size + length
            whole = length > 0 and end <= len(data) and of_epoch == epoch
            if not whole or zlib.crc32(data[place + 8 : end]) != crc:
                return
            yield _BODY + end, data[place + _ENTRY.size : end]
            place = end

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Alone among threads and processes."""
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)


def _framed(epoch: int, entry: bytes) -> bytes:
    tail = struct.pack("<Q", epoch) + entry
    return struct.pack("<II", len(entry), zlib.crc32(tail)) + tail


def _write(file: int, data: bytes, place: int) -> None:
    while data:
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written


def _make(path: Path) -> None:
    """The file appears whole or not at all; zeros are written, so that it has all its blocks."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as stream:
            stream.write(_HEADER.pack(_MAGIC, 1, 0, 1).ljust(SIZE, b"\0"))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:  # another process was quicker
            return
        sync_folder(path.parent)
    finally:
        fresh.unlink(missing_ok=True)
