"""A TCP proxy on the loopback before one server, which a test lets hang or drip: real sockets, so
that whoever asks through it really waits.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CHUNK = 65_536
_POLL_S = 0.02

Matches = Callable[[bytes], bool]
Answers = Callable[[bytes, bytes], bytes | None]
_VERBS = (b"GET ", b"POST ", b"PUT ", b"DELETE ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


def _every(_: bytes) -> bool:
    return True


def _nothing(_line: bytes, _body: bytes) -> None:
    """Every request goes on to the server."""


@dataclass(slots=True)
class Proxy:
    """`url` leads through it. What a request that `concerns` it is answered is held back while it
    `hangs`, and comes byte by byte, one each `drip_s`, where that is above 0. `asked` are the first
    lines of all requests. A request for which `answers` gives JSON, by its first line and its body,
    is answered with that and does not reach the server.
    """

    url: str = ""
    hangs: bool = False
    drip_s: float = 0.0
    concerns: Matches = _every
    answers: Answers = _nothing
    asked: list[bytes] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def count(self, part: bytes) -> int:
        """How many requests had that in their first line."""
        return sum(part in line for line in self.asked)


@dataclass(slots=True)
class _Link:
    """One connection through the proxy, and the request on it whose answer is to come."""

    proxy: Proxy
    client: socket.socket
    server: socket.socket
    line: bytes = b""

    def forward(self) -> None:
        """Requests; a client's request begins in a packet of its own."""
        with suppress(OSError):
            while data := self.client.recv(_CHUNK):
                if data.startswith(_VERBS):
                    self.line = data.partition(b"\r\n")[0]
                    self.proxy.asked.append(self.line)
                    if self.proxy.answers is not _nothing:
                        data = self._whole(data)
                        given = self.proxy.answers(self.line, data.partition(b"\r\n\r\n")[2])
                        if given is not None:
                            self.client.sendall(_HEAD % len(given) + given)
                            continue
                self.server.sendall(data)
        self._end()

    def _whole(self, data: bytes) -> bytes:
        """The request that begins with `data`, to its end."""
        while b"\r\n\r\n" not in data:
            data += self.client.recv(_CHUNK)
        head, _, body = data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        missing = int(length[1]) - len(body) if length else 0
        while missing > 0:
            more = self.client.recv(_CHUNK)
            if not more:
                break
            data += more
            missing -= len(more)
        return data

    def backward(self) -> None:
        """Answers, with the faults."""
        with suppress(OSError):
            while data := self.server.recv(_CHUNK):
                concerned = self.proxy.concerns(self.line)
                while concerned and self.proxy.hangs and not self.proxy.over.wait(_POLL_S):
                    pass
                if concerned and self.proxy.drip_s:
                    self._drip(data)
                else:
                    self.client.sendall(data)
        self._end()

    def _drip(self, data: bytes) -> None:
        for place in range(len(data)):
            self.client.sendall(data[place : place + 1])
            if self.proxy.over.wait(self.proxy.drip_s):
                return

    def _end(self) -> None:
        for each in (self.client, self.server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_before(url: str) -> Iterator[Proxy]:
    """A proxy before the server at `url`, for as long as the body runs."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    place = (parts.hostname, parts.port or 80)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        proxy = Proxy(f"{parts.scheme}://127.0.0.1:{listener.getsockname()[1]}")
        opened: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    server = socket.create_connection(place)
                    for each in (client, server):
                        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    opened.extend((client, server))
                    link = _Link(proxy, client, server)
                    for work in (link.forward, link.backward):
                        threading.Thread(target=work, daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for each in opened:
                each.close()
