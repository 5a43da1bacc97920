"""Byte ranges of a file in requests: RFC 9110, section 14 (Range, If-Range, Content-Range)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from api.problems import RangeError

_ONE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)
_LONGEST = 1000  # characters of the header


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` up to `end` of a file; `partial` says that only a part was asked for."""

    start: int
    end: int
    partial: bool

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.end - self.start


def asked_range(header: str, size: int) -> ByteRange:
    """Return the bytes that a Range header asks for, of a file of `size` bytes; the whole file
    without a header, or if its unit is not bytes, as the RFC says.

    Raises RangeError if no byte of the range is in the file, and for several ranges: while a
    multipart answer is sent, the guard would have to check each part again.
    """
    whole = ByteRange(0, size, partial=False)
    if not header.strip() or not header.strip().lower().startswith("bytes="):
        return whole
    found = _ONE.fullmatch(header.strip()[:_LONGEST])
    if found is None:
        raise _refused("one range of bytes is served at once", size)
    first, last = found.groups()
    if not first and not last:
        raise _refused("the range has no end", size)
    if not first:  # a suffix: the last bytes
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
    if last and first and int(last) < int(first):
        raise _refused("the range ends before it begins", size)
    if start >= end:
        raise _refused("the file has no such bytes", size)
    return ByteRange(start, end, partial=True)


def same_version(if_range: str, etag: str) -> bool:
    """Return whether a range may be answered: If-Range is absent, or names this very version. A
    date never matches, because two versions may be of the same second.
    """
    return not if_range.strip() or if_range.strip() == etag


def unchanged(if_none_match: str, etag: str) -> bool:
    """Return whether the client has this version already (If-None-Match, weak comparison)."""
    listed = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return etag in listed or "*" in listed


def _refused(what: str, size: int) -> RangeError:
    return RangeError(what, mend=f"ask for one range within bytes 0-{max(0, size - 1)}")
