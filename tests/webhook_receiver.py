"""Receivers of webhooks over real sockets: good ones, and hostile ones."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

PATIENCE_S = 120.0
Answering = Callable[[socket.socket, threading.Event], None]


@dataclass(frozen=True)
class Received:
    """One message as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def name(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Answers every request with `answer`; `looked` is called with each before the answer."""

    answer: Answering
    looked: Callable[[Received], None] = lambda _: None
    received: list[Received] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def wait(self, count: int) -> list[Received]:
        """What was received, once there are `count` different messages."""
        with self._changed:
            there = self._changed.wait_for(
                lambda: len({one.name for one in self.received}) >= count, PATIENCE_S
            )
            assert there, f"{len(self.received)} of {count}"
            return [*self.received]

    def serve(self, connection: socket.socket) -> None:
        """Reads requests from one connection until it ends."""
        with connection:
            left = b""
            while not self.ended.is_set():
                try:
                    request, left = _read(connection, left)
                except OSError:
                    return
                if request is None:
                    return
                self.looked(request)
                with self._changed:
                    self.received.append(request)
                    self._changed.notify_all()
                try:
                    self.answer(connection, self.ended)
                except OSError:
                    return


def _read(connection: socket.socket, left: bytes) -> tuple[Received | None, bytes]:
    while b"\r\n\r\n" not in left:
        more = connection.recv(65536)
        if not more:
            return None, b""
        left += more
    head, _, rest = left.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    length = int(headers.get("content-length", 0))
    while len(rest) < length:
        rest += connection.recv(65536)
    return Received(first.split(" ")[1], headers, rest[:length]), rest[length:]


def status(code: int, *headers: str) -> Answering:
    """Answers with a status and no body."""
    lines = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {code} X", "content-length: 0", *headers))
    sent = f"{lines}\r\n".encode()
    return lambda connection, _: connection.sendall(sent)


def silent(connection: socket.socket, ended: threading.Event) -> None:
    """Answers nothing."""
    ended.wait(PATIENCE_S)


def dripping(connection: socket.socket, ended: threading.Event) -> None:
    """Sends a byte of a header now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-long: ")
    while not ended.wait(0.05):
        connection.sendall(b"x")


def endless(connection: socket.socket, ended: threading.Event) -> None:
    """Says 200, and sends a body that never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not ended.is_set():
        connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")


def unfinished(connection: socket.socket, ended: threading.Event) -> None:
    """Says 200, and never sends the body that it promised."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
    ended.wait(PATIENCE_S)


def huge_head(connection: socket.socket, ended: threading.Event) -> None:
    """Sends a header without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-long: ")
    while not ended.is_set():
        connection.sendall(b"x" * 65536)


def rubbish(connection: socket.socket, ended: threading.Event) -> None:
    """Speaks another protocol."""
    connection.sendall(b"220 mail.example ESMTP\r\n")
    ended.wait(PATIENCE_S)


def cut(connection: socket.socket, ended: threading.Event) -> None:
    """Closes the connection without an answer."""
    connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def receiver(
    answer: Answering, looked: Callable[[Received], None] = lambda _: None
) -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    found = Receiver(answer, looked)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found.port = listening.getsockname()[1]
        threads: list[threading.Thread] = []
        open_: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                if found.ended.is_set():
                    connection.close()
                    return
                open_.append(connection)
                threads.append(threading.Thread(target=found.serve, args=(connection,)))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield found
        finally:
            found.ended.set()
            socket.create_connection(("127.0.0.1", found.port)).close()
            accepting.join(PATIENCE_S)
            for connection in open_:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
            for thread in threads:
                thread.join(PATIENCE_S)
