"""The listening socket: how many clients may be connected, and for how long without a request.

A connection costs a file handle and some memory. So their number is limited, in all and for one
address. If it is reached, the connection whose client has been waited for longest is closed for a
new one: so half-sent requests, however many, keep nobody out.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import resource
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import monotonic

from core.errors import SettingsError

_log = logging.getLogger("dateline.connections")
_NO_HANDLES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_HANDLES = Path("/proc/self/fd")
_MANY = 64  # handles that a service is assumed to hold if they can't be counted


def _never(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Limits:
    """At most `connections` in all. If an address has `per_address` of them, and is not `exempt` as
    one of our proxies, a waiting one of its connections is closed for a new one.

    The other fields are the seconds that a client may leave a request's head, its body or an
    answer's rest waiting. The reader of bodies refuses a late one earlier, with a message
    (`api/access/bodies.py`).
    """

    connections: int = 2000
    per_address: int = 500
    exempt: Callable[[str], bool] = _never
    head_seconds: float = 10.0
    body_seconds: float = 75.0
    unread_seconds: float = 30.0


class Connection(socket.socket):
    """An accepted socket. Its client has been waited for since `waits_since` and must act before
    `due`, both by the monotonic clock.
    """

    def __init__(self, accepted: socket.socket, peer: str, gone: Callable[[int], None]) -> None:
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        super().__init__(family, kind, protocol, fileno=accepted.detach())
        self.peer = peer
        self.waits_since = self.due = inf
        self._gone = gone

    def wait(self, seconds: float) -> None:
        """Give the client the given seconds to send the next bytes, or to take its answer."""
        self.waits_since = monotonic()
        self.due = self.waits_since + seconds

    def serve(self) -> None:
        """Stop the time while a request is answered."""
        self.waits_since = self.due = inf

    def drop(self) -> None:
        """Close the connection; its reader or writer notices."""
        self.serve()  # so that it is closed only once
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it and give its place back."""
        if self.fileno() >= 0:
            self._gone(self.fileno())
        super().close()


class Listener(socket.socket):
    """Accepts within `limits`; takes over the `bound` socket. While it is `leaving`, each answer is
    the last one of its connection.
    """

    def __init__(self, bound: socket.socket, limits: Limits) -> None:
        family, kind, protocol = bound.family, bound.type, bound.proto
        super().__init__(family, kind, protocol, fileno=bound.detach())
        self.limits = limits
        self.leaving = False
        self._open: dict[int, Connection] = {}  # by handle
        self._peers: Counter[str] = Counter()
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def accept(self) -> tuple[socket.socket, object]:
        """Return the next connection that gets a place. Raises BlockingIOError if there is none, or
        if the new one was refused.
        """
        try:
            accepted, address = super().accept()
        except OSError as error:
            if error.errno in _NO_HANDLES:
                self._turn_away()
                raise BlockingIOError(error.errno, "no handle for a connection") from error
            raise
        connection = Connection(accepted, peer_of(str(address[0])), self._forget)
        if not self._has_room(connection.peer):
            connection.close()
            _log.warning("connections are refused: requests that are answered have every place")
            raise BlockingIOError(errno.EAGAIN, "no place for a connection")
        self._open[connection.fileno()] = connection
        self._peers[connection.peer] += 1
        connection.wait(self.limits.head_seconds)
        return connection, address

    def connection(self, handle: int) -> Connection:
        """Return the connection over a file handle."""
        return self._open[handle]

    def drop_overdue(self) -> None:
        """Close every connection whose client is too late."""
        now = monotonic()
        for connection in [each for each in self._open.values() if each.due < now]:
            connection.drop()

    def close(self) -> None:
        """Accept nothing more; connections go on."""
        if self.fileno() >= 0 and self._spare >= 0:
            os.close(self._spare)
        super().close()

    def _has_room(self, peer: str) -> bool:
        """Return whether one more connection of this address has a place; if needed, close the one
        that has waited longest.
        """
        limits = self.limits
        crowded = self._peers[peer] >= limits.per_address and not limits.exempt(peer)
        if crowded and self._make_room(peer):
            return True
        return len(self._open) < limits.connections or self._make_room()

    def _make_room(self, peer: str = "") -> bool:
        of_peer = (each for each in self._open.values() if peer in ("", each.peer))
        longest = min(of_peer, key=lambda each: each.waits_since, default=None)
        if longest is None or longest.waits_since == inf:
            return False
        longest.drop()
        return True

    def _forget(self, handle: int) -> None:
        connection = self._open.pop(handle, None)
        if connection is not None:
            self._peers[connection.peer] -= 1
            if not self._peers[connection.peer]:
                del self._peers[connection.peer]

    def _turn_away(self) -> None:
        """Accept the next connection with the handle that is kept for this, and close it: if it
        stayed, the event loop would find it again and again.
        """
        _log.warning("connections are refused: no file handle is left")
        self._make_room()
        if self._spare >= 0:
            os.close(self._spare)
        with suppress(OSError):
            super().accept()[0].close()
        try:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # another thread was faster
            self._spare = -1


def peer_of(address: str) -> str:
    """Return what counts as one address: for IPv6 the network of one subscriber."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)


def places(wanted: int) -> int:
    """Return how many of `wanted` connections this process can have: at most half of the remaining
    file handles, as the service's own work needs some too. Raises its limit as far as allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(_HANDLES.iterdir())) if _HANDLES.is_dir() else _MANY
    needed = used + 2 * wanted
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
        soft = max(soft, allowed)
    left = wanted * 2 if soft == resource.RLIM_INFINITY else soft - used
    return max(1, min(wanted, left // 2))


def listen(host: str, port: int) -> socket.socket:
    """Return the bound socket. Raises SettingsError for an address that can't be had: so it fails
    before models are loaded.
    """
    try:
        listening = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=2048,
        )
        # Connections inherit this; without it a kept-alive answer waits 40 ms for the client's ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise SettingsError(
            f"can't listen on {host} port {port}: {error.strerror or error}",
            where="host and port",
            mend="choose another with --host and --port; port 0 takes a free one",
        ) from error
