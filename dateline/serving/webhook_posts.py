"""Posts to addresses that customers name: within limits of time and size, without redirects, and
only to addresses that were checked after the name was resolved.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import httpcore

from core.errors import InputError
from customers.webhooks.addresses import AddressRules
from customers.webhooks.retries import Answer

TOTAL_S = 10.0
MOST_READ = (
    16 * 1024
)  # bytes of an answer's body that are read, so that the connection can be used again
USER_AGENT = "dateline-webhooks/1"
_IDLE_S = 30.0
_MOST_IDLE = 64
Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, each once; none if it can't be resolved."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class WebhookPosts:
    """`customers.webhooks.ports.Post` over HTTP/1.1. Thread-safe; a call takes its thread until the
    receiver has answered, TOTAL_S at most beside the time to resolve its name.
    """

    def __init__(
        self,
        rules: AddressRules,
        *,
        resolved: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        total_s: float = TOTAL_S,
    ) -> None:
        self._rules = rules
        self._resolved = resolved
        self._total_s = total_s
        self._deadline = _Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=None,  # the threads are limited
            max_keepalive_connections=_MOST_IDLE,
            keepalive_expiry=_IDLE_S,
            network_backend=_CheckedNetwork(self._connect_to, self._deadline),
        )

    def check(self, url: str) -> None:
        """Raise AddressError, with the reason, for an address that may not be called. A name that
        can't be resolved now is refused too.
        """
        host, port = self._rules.check_url(url)
        self._connect_to(host, port)

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post the body once; return the answer, or why there is none."""
        began = time.monotonic()
        try:
            self._rules.check_url(url)
            self._deadline.begin(self._total_s)
            status, retry_after = self._posted(url, headers, body)
        except InputError as error:
            return Answer(0, error.what, seconds=time.monotonic() - began)
        except httpcore.TimeoutException:
            return Answer(0, "no answer in time", seconds=time.monotonic() - began)
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            why = f"no answer: {type(error).__name__}"
            return Answer(0, why, seconds=time.monotonic() - began)
        why = f"HTTP {status}"
        return Answer(status, why, retry_after, time.monotonic() - began)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _posted(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, float]:
        sent = {"user-agent": USER_AGENT, "content-length": str(len(body)), **headers}
        with self._pool.stream(
            "POST",
            url,
            headers=[(name.encode(), value.encode()) for name, value in sent.items()],
            content=body,
        ) as answer:
            status, said = answer.status, dict(answer.headers)
            self._read_some(answer)
        retry_after = said.get(b"retry-after", said.get(b"Retry-After", b"")).decode("latin-1")
        return status, float(retry_after) if retry_after.isdecimal() else 0.0

    def _read_some(self, answer: httpcore.Response) -> None:
        """Read a short body, so that the connection can be used again. The status is known: an
        error from here on costs only the connection.
        """
        read = 0
        try:
            for part in answer.iter_stream():
                read += len(part)
                if read > MOST_READ:
                    return
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
            return

    def _connect_to(self, host: str, port: int) -> str:
        """Return the checked address of a host. Raises AddressError."""
        return self._rules.check_resolved(host, self._resolved(host, port))


class _Deadline(threading.local):
    """The moment at which the post of this thread must be over."""

    until = 0.0

    def begin(self, seconds: float) -> None:
        """Begin a post."""
        self.until = time.monotonic() + seconds

    def left(self, seconds: float | None) -> float:
        """Return how long a step may take: `seconds` at most. Raises ReadTimeout at the end."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if seconds is None else min(left, seconds)


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to the address that the check returned, and to no other one. TLS still asks for the
    certificate of the host's name.
    """

    def __init__(self, address_of: Callable[[str, int], str], deadline: _Deadline) -> None:
        self._address_of = address_of
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, check, connect."""
        address = self._address_of(host, port)
        left = self._deadline.left(timeout)
        return _TimedStream(self._sockets.connect_tcp(address, port, left), self._deadline)


class _TimedStream(httpcore.NetworkStream):
    """A connection whose steps end together at the deadline, not each after its own time: else a
    receiver could hold a thread for ever with a byte now and then.
    """

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes."""
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all bytes."""
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Begin TLS."""
        left = self._deadline.left(timeout)
        return _TimedStream(
            self._stream.start_tls(ssl_context, server_hostname, left), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks about the connection."""
        return self._stream.get_extra_info(info)
