"""HTTP exchanges within a limit of time and size, however slowly the other side sends.

A client's own timeouts are for each read, so a service that sends a byte now and then, in the head
or in the body, would hold us forever. Here a timer shuts the socket of an exchange that takes too
long, so every exchange has its own connection. Redirects are not followed, because a picture goes
to the named service only. Bodies are not unpacked, so few bytes can't become many.
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
    """One request and its answer. `late` or `long` says why it was cut off."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self.late = False
        self.long = False
        self.most_bytes = most_bytes
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def start(self) -> None:
        """Start the time."""
        self._timer.start()

    def end(self) -> None:
        """Stop the time."""
        self._timer.cancel()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take httpcore's events, to learn which socket was opened."""
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
                # Not ssl's own shutdown, which must not run beside a read.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_RUNNING: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


@contextmanager
def bounded(seconds: float, most_bytes: int) -> Iterator[Exchange]:
    """Limits the request that is made inside, through a client of `bounded_client`."""
    exchange = Exchange(seconds, most_bytes)
    token = _RUNNING.set(exchange)
    exchange.start()
    try:
        yield exchange
    finally:
        exchange.end()
        _RUNNING.reset(token)


def bounded_client(seconds: float, *, anonymous: bool = False) -> httpx.Client:
    """Return a client whose requests obey `bounded`; a single read waits `seconds` at most. An
    `anonymous` client sends no key.
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
    """A body that ends with an error if it grows too long."""

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
