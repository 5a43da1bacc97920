"""Cuts a stream of bytes into documents, and never holds more than one of them.

A stream has lines (JSON Lines), the elements of one JSON array, or one document. A document over
the limit is skipped in small pieces and reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_PIECE = 64 * 1024
_IN_STRING = re.compile(rb'["\\]')
_OUTSIDE = re.compile(rb'["\[\]{},]')
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes of one document and the line, from 1, where it starts; or the problem with it."""

    line: int
    data: bytes = b""
    problem: str = ""


def lines(stream: BinaryIO, limit: int) -> Iterator[Record]:
    """Yield one record per line that is not blank; a line of more than `limit` bytes is a
    problem.
    """
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) > limit and not line.endswith(b"\n"):
            _skip_line(stream)
            yield Record(number, problem=_too_large(limit))
        elif not line.isspace():
            yield Record(number, line)


def documents(stream: BinaryIO, limit: int) -> Iterator[Record]:
    """Yield the elements of a JSON array, or the whole stream if it is not an array."""
    head = stream.read(_PIECE)
    start = head.removeprefix(_BOM).lstrip()
    if start.startswith(b"["):
        yield from _Array(limit).elements(stream, head.removeprefix(_BOM))
        return
    data = head + stream.read(max(0, limit + 1 - len(head)))
    too_large = len(data) > limit
    yield Record(1, problem=_too_large(limit)) if too_large else Record(1, data)


def _skip_line(stream: BinaryIO) -> None:
    while piece := stream.readline(_PIECE):
        if piece.endswith(b"\n"):
            return


def _too_large(limit: int) -> str:
    return f"document too large: over {limit} bytes"


class _Array:
    """Finds where the elements of one JSON array begin and end. It understands only brackets,
    commas and strings; the reader of the elements checks their syntax.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._element = bytearray()
        self._size = 0
        self._blank = True
        self._start_line = 1
        self._line = 1
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def elements(self, stream: BinaryIO, piece: bytes) -> Iterator[Record]:
        """Yield one record per element; a problem for one that is too large and for an unclosed
        array.
        """
        while piece:
            position = 0
            while position < len(piece):
                end, is_border = self._advance(piece, position)
                self._keep(piece[position : end - is_border])
                if is_border and (record := self._cut(piece[end - 1 : end])):
                    yield record
                position = end
            piece = stream.read(_PIECE)
        if self._depth or not self._blank:
            problem = "malformed JSON: the array has no end"
            yield Record(self._line, problem=problem if self._depth else "text after the array")

    def _advance(self, piece: bytes, position: int) -> tuple[int, bool]:
        """Return where a step from `position` ends, and whether an element begins or ends there."""
        if self._escaped:
            self._escaped = False
            return position + 1, False
        match = (_IN_STRING if self._in_string else _OUTSIDE).search(piece, position)
        if match is None:
            return len(piece), False
        sign, end = match[0], match.end()
        if sign == b"\\":
            self._escaped = True
        elif sign == b'"':
            self._in_string = not self._in_string
        elif sign in b"[{":
            self._depth += 1
            return end, self._depth == 1
        elif sign in b"]}":
            self._depth -= 1
            return end, self._depth == 0
        elif self._depth == 1:
            return end, True
        return end, False

    def _keep(self, part: bytes) -> None:
        if self._blank:
            text = part.lstrip()
            self._line += part[: len(part) - len(text)].count(b"\n")
            self._start_line = self._line
            self._blank = not text
            part = text
        self._line += part.count(b"\n")
        self._size += len(part)
        if self._size <= self._limit:
            self._element += part
        else:
            self._element.clear()

    def _cut(self, border: bytes) -> Record | None:
        """Return the element that ends at `border`; None at the array's start and for an empty
        array.
        """
        blank, size, data = self._blank, self._size, bytes(self._element)
        self._element.clear()
        self._size, self._blank = 0, True
        if border in b"[{" or (blank and border in b"]}"):
            return None
        if size > self._limit:
            return Record(self._start_line, problem=_too_large(self._limit))
        return Record(self._start_line, data)
