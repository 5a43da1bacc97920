"""Sends the frames of a live source as they come. Runs in the child.

A pipe and a growing file come as a handle. Sources over HTTP (HLS, a broadcast stream) are fetched
by the parent, address by address, and come as handles too: this process has no network. It speaks
RTSP and RTMP itself, through the one door that its parent has opened for it (door.py).
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import av
from av.container import InputContainer

from indexing.media.cage.limits import CageLimits, Refusal
from indexing.media.cage.wire import Message, Work, receive, send
from indexing.media.inside.live import LiveReading, Requests
from indexing.media.inside.open import LENIENT, check_sizes, open_source, options_of

_LOOK_S = 0.05
_ENDLESS = {"probesize": "1000000", "analyzeduration": "1000000"}
# The library would make persistent connections itself, without the callback.
_HLS = {
    "http_persistent": "0",
    "http_multiple": "0",
    "format_whitelist": "hls,mpegts,mov,mp4,aac,flv",
}
_DOOR = {
    "rtsp": {
        "protocol_whitelist": "rtsp,rtp,tcp",
        "rtsp_transport": "tcp",
        "format_whitelist": "rtsp",
    },
    "rtmp": {"protocol_whitelist": "rtmp,tcp", "format_whitelist": "flv,live_flv"},
}


def over(line: socket.socket) -> Work:
    """Return the work that reads live sources and asks the parent over `line` for addresses."""

    def live(handle: int, asked: Mapping[str, Any], limits: CageLimits) -> Iterator[Message]:
        requests = Requests(line)
        with _open(line, handle, asked, limits, requests) as container:
            yield from LiveReading(container, asked, limits, requests).messages()

    return live


class Pipe:
    """The bytes of a handle from here on; without seeking."""

    def __init__(self, handle: int, line: socket.socket) -> None:
        self._handle = handle
        self._waiting = select.poll()
        self._waiting.register(handle, select.POLLIN)
        self._waiting.register(line, getattr(select, "POLLRDHUP", 0))  # a hang-up always counts

    def read(self, count: int) -> bytes:
        """Return at most `count` bytes, as soon as there are any; none at the end, or if the parent
        at the other end of `line` is gone.
        """
        ready = [handle for handle, _ in self._waiting.poll()]
        return os.read(self._handle, count) if self._handle in ready else b""


class GrowingFile(Pipe):
    """A file that is still being written: it ends when it has not grown for `grown_s`, and then
    stays ended, however often a demuxer asks.
    """

    def __init__(self, handle: int, line: socket.socket, grown_s: float) -> None:
        super().__init__(handle, line)
        self._grown_s = grown_s
        self._over = False

    def read(self, count: int) -> bytes:
        """Return at most `count` bytes, waiting for them at the end of the file."""
        until = time.monotonic() + self._grown_s
        while not self._over:
            if data := super().read(count):
                return data
            self._over = time.monotonic() >= until
            time.sleep(_LOOK_S)
        return b""


class Fetched(Pipe):
    """Bytes that the parent fetched; closed with the container that reads them."""

    def close(self) -> None:
        """Tell the parent that no more is needed."""
        os.close(self._handle)


class Fetcher:
    """Opens addresses by asking the parent, who may refuse."""

    def __init__(self, line: socket.socket, requests: Requests) -> None:
        self._line = line
        self._requests = requests

    def open(self, url: str, flags: int, options: Mapping[str, str]) -> Fetched:
        """Return the bytes behind an address. Raises OSError."""
        head = {
            "say": "fetch",
            "url": url[:4096],
            "start": int(options.get("offset") or 0),
            "end": int(options.get("end_offset") or 0),
        }
        send(self._line, Message(head))
        while "do" in (answer := receive(self._line, handles=1)).head:
            self._requests.keep(answer.head)
        if answer.handle is None:
            raise OSError(str(answer.head.get("what", "")))
        return Fetched(answer.handle, self._line)


def _open(
    line: socket.socket,
    handle: int,
    asked: Mapping[str, Any],
    limits: CageLimits,
    requests: Requests,
) -> InputContainer:
    way = asked["way"]
    if way == "pipe":
        return open_source(Pipe(handle, line), limits, _ENDLESS)
    if way == "growing":
        return open_source(GrowingFile(handle, line, asked["grown_s"]), limits, _ENDLESS)
    options = {**options_of(limits), **_ENDLESS}
    if way == "fetch":
        options |= {"protocol_whitelist": "http,https"} | (_HLS if asked["hls"] else {})
        return _open_address(asked["url"], options, limits, Fetcher(line, requests).open)
    return _open_address(asked["url"], {**options, **_DOOR[way], **asked["options"]}, limits, None)


def _open_address(
    url: str, options: Mapping[str, str], limits: CageLimits, io_open: Callable[..., Any] | None
) -> InputContainer:
    try:
        container: InputContainer = av.open(
            url, "r", options=dict(options), io_open=io_open, **LENIENT
        )
    except MemoryError:
        raise
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Refusal(f"the source can't be read: {reason}") from error
    check_sizes(container, limits)
    return container
