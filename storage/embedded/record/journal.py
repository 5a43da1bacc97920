"""A small file for changes of state, which must not be lost when the disk is full.

The file has its full size from the beginning, so an entry takes no new space (on a file system that
overwrites in place). Each entry is on the disk when `append` returns. Every process of the archive
sees it at its next look at `sequence`, which is a read of shared memory.

    0       8        16       24         32              4096
    magic   epoch    taken    sequence   0 …             entries …
    entry:  length, CRC-32 of all that follows, epoch, the bytes

All numbers are little-endian. Entries of another epoch are old and ignored. `taken` is how many
entries of this epoch are in the record; when all are, a new epoch begins at the start of the file.
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
    """The entries of a journal at a `sequence`: those of `epoch` up to number `end`."""

    sequence: int
    epoch: int
    end: int
    data: tuple[bytes, ...]


class Journal:
    """The journal in `folder`, made if there is none. Any number of threads and processes may use
    it. Raises OSError if the disk fails when it is made or read.
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
                    "this is not a journal of changes of state",
                    where=str(self.path),
                    mend="move it away and start again",
                )
            self._shared = mmap.mmap(self._file, _BODY, access=mmap.ACCESS_READ)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def sequence(self) -> int:
        """A number that changes whenever entries are added or taken."""
        (number,) = struct.unpack_from("<Q", self._shared, _SEQUENCE_AT)
        return int(number)

    def read(self) -> Entries:
        """Return the entries that are not taken."""
        while True:
            sequence = self.sequence
            _, epoch, taken, _ = self._header()
            found = [data for _, data in self._walk(epoch)]
            if self.sequence == sequence:
                return Entries(sequence, epoch, len(found), tuple(found[taken:]))

    def append(self, entries: Sequence[bytes]) -> None:
        """Add entries, all or none; durable when it returns. Raises StorageFullError if they do not
        fit, OSError if the disk fails.
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
                os.pwrite(self._file, bytes(_ENTRY.size), end)  # no part of it may appear later
                raise
            self._put_header(epoch, self._header()[2], sequence + 1)

    def take(self, entries: Entries) -> None:
        """Mark the entries that were read as taken, because they are in the record. Durable when it
        returns. Raises OSError.
        """
        with self._alone():
            _, epoch, taken, sequence = self._header()
            if epoch != entries.epoch or taken >= entries.end:
                return  # another process was faster
            taken = entries.end
            if taken == sum(1 for _ in self._walk(epoch)):
                epoch, taken = epoch + 1, 0
            self._put_header(epoch, taken, sequence + 1)
            os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if not self._shared.closed:
            self._shared.close()
            os.close(self._file)

    def _header(self) -> tuple[bytes, int, int, int]:
        magic, epoch, taken, sequence = _HEADER.unpack_from(self._shared)
        return magic, epoch, taken, sequence

    def _put_header(self, epoch: int, taken: int, sequence: int) -> None:
        os.pwrite(self._file, _HEADER.pack(_MAGIC, epoch, taken, sequence), 0)

    def _walk(self, epoch: int) -> Iterator[tuple[int, bytes]]:
        """Yield the end and the bytes of each entry of the epoch, up to the first damaged one."""
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
        """Hold the lock among threads and processes."""
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
    """Make the file, whole or not at all, filled with zeros so that it has all its blocks."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as stream:
            stream.write(_HEADER.pack(_MAGIC, 1, 0, 1).ljust(SIZE, b"\0"))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:  # another process was faster
            return
        sync_folder(path.parent)
    finally:
        fresh.unlink(missing_ok=True)
