"""A server of Adobe's RTMP 1.0 for tests: one live stream for one viewer after the other."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO

from tests.live_viewers import Feed, Viewers, fed

_CHUNK = 60_000  # bytes of a message that we send in one piece
_HANDSHAKE = 1536
_VIDEO, _DATA, _COMMAND = 9, 18, 20


class RtmpServer(Viewers):
    """Sends what is in FLV; `said` has the commands of all viewers."""

    def __init__(self, feed: Feed, context: ssl.SSLContext | None = None) -> None:
        self._feed = feed
        self.said = b""
        super().__init__("rtmps" if context else "rtmp", "live/camera", self._speak, context)

    def _speak(self, viewer: socket.socket) -> None:
        with viewer.makefile("rb") as stream:
            hello = _exactly(stream, 1 + _HANDSHAKE)
            viewer.sendall(b"\x03" + bytes(_HANDSHAKE) + hello[1:])
            _exactly(stream, _HANDSHAKE)
            for body in _commands(stream):
                self.said += body
                if self._answer(viewer, *_named(body)):
                    break
        viewer.shutdown(socket.SHUT_WR)
        while viewer.recv(65536):  # what is not read would take back what was sent
            pass

    def _answer(self, viewer: socket.socket, name: str, number: float) -> bool:
        """Answers a command; whether it was the last that is needed."""
        if name == "connect":
            _send(viewer, 2, 5, struct.pack(">I", 5_000_000))
            _send(viewer, 2, 6, struct.pack(">IB", 5_000_000, 2))
            _send(viewer, 2, 1, struct.pack(">I", _CHUNK))
            said = {"level": "status", "code": "NetConnection.Connect.Success"}
            _send(viewer, 3, _COMMAND, _amf("_result", number, {}, said))
        elif name == "createStream":
            _send(viewer, 3, _COMMAND, _amf("_result", number, None, 1.0))
        elif name == "play":
            _send(viewer, 2, 4, struct.pack(">HI", 0, 1))
            said = {"level": "status", "code": "NetStream.Play.Start"}
            _send(viewer, 5, _COMMAND, _amf("onStatus", 0.0, None, said), stream=1)
            self.viewers += 1
            with fed(self._feed) as stream, suppress(EOFError):
                _play(viewer, stream)
            return True
        return False


def _play(viewer: socket.socket, stream: IO[bytes]) -> None:
    """The tags of an FLV (its specification, annex E), until there is no whole one any more."""
    _exactly(stream, 13)
    while True:
        head = _exactly(stream, 11)
        body = _exactly(stream, int.from_bytes(head[1:4], "big"))
        _exactly(stream, 4)
        stamp = int.from_bytes(head[7:8] + head[4:7], "big")
        if head[0] in (_VIDEO, _DATA):
            _send(viewer, 6, head[0], body, stream=1, stamp=stamp)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _named(body: bytes) -> tuple[str, float]:
    """The name and the number of a command (AMF 0)."""
    end = 3 + int.from_bytes(body[1:3], "big")
    return body[3:end].decode(), struct.unpack(">d", body[end + 1 : end + 9])[0]


def _commands(stream: IO[bytes]) -> Iterator[bytes]:
    """The body of each command (section 5.3.1: chunks)."""
    size = 128
    heads: dict[int, tuple[int, int]] = {}  # length and type of the last message of a chunk stream
    bodies: dict[int, bytes] = {}
    while True:
        first = _exactly(stream, 1)[0]
        channel = first & 63
        head = _exactly(stream, (11, 7, 3, 0)[first >> 6])
        if len(head) >= 7:
            heads[channel] = int.from_bytes(head[3:6], "big"), head[6]
        length, kind = heads[channel]
        body = bodies.pop(channel, b"")
        body += _exactly(stream, min(size, length - len(body)))
        if len(body) < length:
            bodies[channel] = body
        elif kind == 1:
            size = int.from_bytes(body, "big")
        elif kind == _COMMAND:
            yield body


def _send(
    viewer: socket.socket, channel: int, kind: int, body: bytes, *, stream: int = 0, stamp: int = 0
) -> None:
    head = bytes([channel]) + stamp.to_bytes(3, "big") + len(body).to_bytes(3, "big")
    viewer.sendall(head + bytes([kind]) + stream.to_bytes(4, "little") + body)


def _amf(*values: str | float | Mapping[str, str] | None) -> bytes:
    return b"".join(_amf_value(value) for value in values)


def _amf_value(value: str | float | Mapping[str, str] | None) -> bytes:
    if value is None:
        return b"\5"
    if isinstance(value, str):
        return b"\2" + _amf_text(value)
    if isinstance(value, float):
        return b"\0" + struct.pack(">d", value)
    pairs = b"".join(_amf_text(key) + _amf_value(each) for key, each in value.items())
    return b"\3" + pairs + b"\0\0\t"


def _amf_text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()
