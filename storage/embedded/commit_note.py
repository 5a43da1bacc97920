"""Notes which versions a commit of the lexical index holds; the process that commits writes it.

tantivy lists the documents of a commit only one by one. So before each commit the owner notes what
the last commit holds and what the next one will hold. tantivy's number of a commit (the opstamp in
meta.json, which rises with each commit and stays when segments are merged) tells a reader which of
the two it has opened.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
_HEAD = struct.Struct("<4sQqqQ")  # magic, stamp, applied twice, length of the bitmaps
_SUM = struct.Struct("<I")  # CRC-32 of all before it
_MAGIC = b"dlc1"


@dataclass(frozen=True, slots=True)
class Contents:
    """The versions that a commit holds (`held`, bool by seq, read-only): those that were visible at
    change number `applied` of the record or later.
    """

    held: Mask
    applied: int = 0


@dataclass(frozen=True, slots=True)
class CommitNote:
    """The commit numbered `stamp` holds `now`, and the one after it holds `later`."""

    stamp: int
    now: Contents
    later: Contents

    def of(self, stamp: int) -> Contents | None:
        """Return what the commit numbered `stamp` holds; None if it is older than the note."""
        if stamp < self.stamp:
            return None
        return self.now if stamp == self.stamp else self.later


def lacking(held: Mask, wanted: Mask) -> int:
    """Return how many of the `wanted` versions (bool by seq) are not `held`."""
    shared = min(len(held), len(wanted))
    missing = np.count_nonzero(wanted[:shared] & ~held[:shared])
    return int(missing + np.count_nonzero(wanted[shared:]))


def write_note(path: Path, note: CommitNote) -> None:
    """Replace the note at `path` as a whole. A power failure may bring back an older one."""
    size = max(len(note.now.held), len(note.later.held))
    head = _HEAD.pack(_MAGIC, note.stamp, note.now.applied, note.later.applied, size)
    bits = (np.packbits(_padded(one.held, size)) for one in (note.now, note.later))
    data = b"".join([head, *(one.tobytes() for one in bits)])
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.write_bytes(data + _SUM.pack(zlib.crc32(data)))
    fresh.replace(path)


def read_note(path: Path) -> CommitNote | None:
    """Return the note at `path`; None if there is none or it can't be read."""
    try:
        read = path.read_bytes()
    except FileNotFoundError:
        return None
    data, checksum = read[: -_SUM.size], read[-_SUM.size :]
    if len(data) < _HEAD.size or _SUM.pack(zlib.crc32(data)) != checksum:
        return None
    magic, stamp, now, later, size = _HEAD.unpack_from(data)
    width = -(-size // 8)
    if magic != _MAGIC or len(data) != _HEAD.size + 2 * width:
        return None
    bits = np.frombuffer(data, np.uint8, offset=_HEAD.size)
    return CommitNote(
        stamp, _contents(bits[:width], size, now), _contents(bits[width:], size, later)
    )


def note_mark(path: Path) -> bytes:
    """Return the head of the note, which differs from that of the note before; b"" if there is
    none. A time is not enough, because two notes may be written within one tick of the file system.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(_HEAD.size)
    except FileNotFoundError:
        return b""


def _contents(bits: npt.NDArray[np.uint8], size: int, applied: int) -> Contents:
    return Contents(np.unpackbits(bits, count=size).view(np.bool_), applied)


def _padded(mask: Mask, size: int) -> Mask:
    """Return the mask, padded with False up to `size` rows."""
    longer = np.zeros(size, np.bool_)
    longer[: len(mask)] = mask
    return longer
