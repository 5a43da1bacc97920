"""The messages of parent and child: a head in JSON, a body of bytes, perhaps a file handle.

    magic "DLM1" | length of head, 4 bytes | length of body, 4 bytes | head | body

Both sides limit both lengths, and nothing is unpickled: the parent treats the child as hostile,
because it reads hostile files.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeAlias

from indexing.media.cage.limits import CageLimits

MAGIC = b"DLM1"
MAX_HEAD = 2**20
MAX_BODY = 2**26
_LENGTHS = struct.Struct(">4sII")


class WireError(Exception):
    """The message is not of this protocol, or exceeds its limits."""


class SilenceError(Exception):
    """No message came before the deadline."""


class HungUpError(Exception):
    """The other side is gone."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `handle` is a file descriptor that now belongs to the receiver."""

    head: Mapping[str, Any]
    body: bytes = b""
    handle: int | None = None


# The answers of a child to an open file and a request's head.
Work: TypeAlias = Callable[[int, Mapping[str, Any], CageLimits], Iterator[Message]]


def send(line: socket.socket, message: Message, within_s: float | None = None) -> None:
    """Send all of it; wait while the other side doesn't read, `within_s` for each
    part.

    Raises WireError, SilenceError, HungUpError.
    """
    head = json.dumps(message.head, allow_nan=False).encode()
    if len(head) > MAX_HEAD or len(message.body) > MAX_BODY:
        raise WireError(f"a message of {len(head)} + {len(message.body)} bytes is too long")
    _allow(line, within_s)
    start = _LENGTHS.pack(MAGIC, len(head), len(message.body)) + head
    try:
        sent = 0
        if message.handle is not None:
            sent = socket.send_fds(line, [start], [message.handle])
        line.sendall(start[sent:])
        if message.body:
            line.sendall(message.body)
    except TimeoutError as error:
        raise SilenceError from error
    except OSError as error:
        raise HungUpError from error


def receive(line: socket.socket, within_s: float | None = None, *, handles: int = 0) -> Message:
    """Return the next message, complete within `within_s` seconds; at most `handles` file handles.

    Raises WireError, SilenceError, HungUpError.
    """
    until = None if within_s is None else monotonic() + within_s
    start, handle = _first(line, until, handles)
    try:
        magic, head_length, body_length = _LENGTHS.unpack(start)
        if magic != MAGIC or head_length > MAX_HEAD or body_length > MAX_BODY:
            raise WireError("what came does not begin as a message, or is too long")
        head = _parse(_read(line, head_length, until))
        return Message(head, _read(line, body_length, until), handle)
    except BaseException:
        if handle is not None:
            os.close(handle)
        raise


def _first(line: socket.socket, until: float | None, handles: int) -> tuple[bytes, int | None]:
    """Return the lengths, and the file handle that came with them."""
    _wait(line, until)
    try:
        if not handles:
            return _read(line, _LENGTHS.size, until), None
        data, received, flags, _ = socket.recv_fds(line, _LENGTHS.size, handles)
    except TimeoutError as error:
        raise SilenceError from error
    except OSError as error:
        raise HungUpError from error
    if not data:
        raise HungUpError
    for surplus in received[1:]:
        os.close(surplus)
    handle = received[0] if received else None
    if flags & socket.MSG_CTRUNC:
        raise WireError("more file handles came than were asked for")
    return data + _read(line, _LENGTHS.size - len(data), until), handle


def _read(line: socket.socket, count: int, until: float | None) -> bytes:
    data = bytearray(count)
    view, got = memoryview(data), 0
    while got < count:
        _wait(line, until)
        try:
            some = line.recv_into(view[got:])
        except TimeoutError as error:
            raise SilenceError from error
        except OSError as error:
            raise HungUpError from error
        if not some:
            raise HungUpError
        got += some
    return bytes(data)


def _wait(line: socket.socket, until: float | None) -> None:
    """Wait for data; a sender of single bytes must not hold the line beyond one deadline."""
    left = None if until is None else until - monotonic()
    if left is not None and left <= 0:
        raise SilenceError
    _allow(line, left)


def _allow(line: socket.socket, seconds: float | None) -> None:
    if seconds != line.gettimeout():  # a child always waits, and may not change it
        line.settimeout(seconds)


def _parse(data: bytes) -> Mapping[str, Any]:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError("a head that is no JSON") from error
    if not isinstance(tree, dict):
        raise WireError("a head that is no object")
    return tree
