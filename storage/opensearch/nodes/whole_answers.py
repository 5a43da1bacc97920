"""Connections to a node with a time limit for the whole answer.

A socket's own timeout applies only to the next packet. If a node or a proxy sends a byte from time
to time, a reader would wait without end. Here each packet may only take what is left of the time
for the answer, headers and body alike, with TLS and without.
"""

from __future__ import annotations

import http.client
import socket
from io import BufferedReader, RawIOBase
from time import monotonic
from typing import TYPE_CHECKING, Any

import opensearchpy as client
import urllib3.connection

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class _Limited(RawIOBase):
    """Reads from a socket for at most `seconds` from now; then reads raise TimeoutError."""

    def __init__(self, sock: socket.socket, raw: RawIOBase, seconds: float) -> None:
        self._sock = sock
        self._raw = raw
        self._until = monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        """Close the stream. The socket keeps its timeout: the client sets it for each request."""
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response that is read within the socket's timeout as a whole, from the sent request on."""

    def __init__(self, sock: socket.socket, *more: Any, **named: Any) -> None:
        super().__init__(sock, *more, **named)
        seconds = sock.gettimeout()
        if seconds is not None:
            packets = self.fp
            assert isinstance(packets, BufferedReader)
            self.fp = BufferedReader(_Limited(sock, packets.detach(), seconds))


class _Plain(urllib3.connection.HTTPConnection):
    response_class = _Response


class _Tls(urllib3.connection.HTTPSConnection):
    response_class = _Response


class NodeConnection(client.Urllib3HttpConnection):  # type: ignore[misc]
    """The client's connections to one node, with this time limit."""

    def _create_urllib3_pool(self) -> None:
        super()._create_urllib3_pool()
        self.pool.ConnectionCls = _Tls if self.use_ssl else _Plain
