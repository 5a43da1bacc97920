"""Connections to a node on which the time for an answer is that of the whole answer.

A socket's own timeout is for the next packet. A node that sends a byte now and then, or something
on the way to it that does, would be waited for without end. Here each packet may take what is left
of the time that the first one had, headers and body alike, with TLS and without.
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
    """What comes from a socket within so many seconds from now; then reads raise TimeoutError."""

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
        """The socket's timeout stays as it is: the client sets it again for each request."""
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """Read within the socket's timeout as a whole, from when the request has been sent."""

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
    """The client's connections to one node, of these kinds."""

    def _create_urllib3_pool(self) -> None:
        super()._create_urllib3_pool()
        self.pool.ConnectionCls = _Tls if self.use_ssl else _Plain
