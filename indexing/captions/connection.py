"""HTTP exchanges that end: within seconds, whatever the other side drips, and within bytes.

A client's own timeouts are for each read, so a service that sends a byte now and then, in the head
or in the body, would keep us for ever. Here a timer shuts the socket of an exchange that takes too
long; for that every exchange has a connection of its own. Redirects are not followed, since a
picture goes to the named service and nowhere else, and bodies are not unpacked, so that few bytes
never become many.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import httpx

CONNECT_SECONDS = 10.0
_OPENED = ("connect_tcp.complete", "start_tls.complete")


class Exchange:
    """One request and its answer. `late` and `long` say why it was cut off, if it was."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self.late = False
        self.long = False
        self.most_bytes = most_bytes
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def start(self) -> None:
        """The time runs from now on."""
        self._timer.start()

    def end(self) -> None:
        """The time no longer runs."""
        self._timer.cancel()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Is told by httpcore what happens, among it which socket was opened."""
        if not event.endswith(_OPENED):
            return
        with self._lock:
            self._socket = info["return_value"].get_extra_info("socket")
        if self.late:
            self._cut()

    def _cut(self) -> None:
        self.late = True
        with self._lock, suppress(OSError):
            if self._socket is not None:
                # Past ssl's own shutdown, which may not run beside a read.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_RUNNING: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


@contextmanager
def bounded(seconds: float, most_bytes: int) -> Iterator[Exchange]:
    """Bounds the request that is made inside, through a client of `bounded_client`."""
    exchange = Exchange(seconds, most_bytes)
    token = _RUNNING.set(exchange)
    exchange.start()
    try:
        yield exchange
    finally:
        exchange.end()
        _RUNNING.reset(token)


def bounded_client(seconds: float, *, anonymous: bool = False) -> httpx.Client:
    """A client whose requests obey `bounded`; a single read waits `seconds` at most. An
    `anonymous` one never says who asks.
    """
    before = [_watch, _unnamed] if anonymous else [_watch]
    return httpx.Client(
        timeout=httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=0),
        event_hooks={"request": before, "response": [_measure]},
        headers={"accept-encoding": "identity"},
        follow_redirects=False,
    )


def _watch(request: httpx.Request) -> None:
    if (exchange := _RUNNING.get()) is not None:
        request.extensions["trace"] = exchange.trace


def _unnamed(request: httpx.Request) -> None:
    request.headers.pop("authorization", None)


def _measure(response: httpx.Response) -> None:
    response.headers.pop("content-encoding", None)
    exchange = _RUNNING.get()
    if exchange is not None and isinstance(response.stream, httpx.SyncByteStream):
        response.stream = _Measured(response.stream, exchange)


class _Measured(httpx.SyncByteStream):
    """A body that ends with an error where it grows too long."""

    def __init__(self, stream: httpx.SyncByteStream, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._stream:
            size += len(chunk)
            if size > self._exchange.most_bytes:
                self._exchange.long = True
                raise httpx.ReadError(f"more than {self._exchange.most_bytes} bytes")
            yield chunk

    def close(self) -> None:
        self._stream.close()
