"""Chooses the node of a cluster that gets a request.

The client keeps connections to each node, and for a while passes over a node that did not answer.
But it does not distinguish two cases, which this file does. If a node is away, another one gets the
request at once. If a node is there and itself waits for something, any other node would wait too,
so no node is passed over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any

import opensearchpy as client
from urllib3 import Timeout

from core.errors import BusyError
from storage.opensearch.nodes.whole_answers import NodeConnection

log = logging.getLogger(__name__)
_ELSEWHERE = frozenset({502, 503, 504})  # another node may answer such a request
_DOUBLINGS = 2  # how often the time for which a node is passed over may double
_MEND = "see that its nodes run"
_SHORTEST_S = 0.05
_until: ContextVar[float] = ContextVar("until", default=inf)
_Away = client.exceptions.ConnectionError
_Refused = client.exceptions.TransportError


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """A node has `connect_s` to accept a connection and `timeout_s` to answer. A request that it
    does not take goes to another node, at most `retries` times, and the first node gets no request
    for `passed_over_s`. After `failures` requests in a row that no node took, none is sent for
    `pause_s`, so that searches do not queue while the cluster is away. Each node has a pool of
    `pool` connections.
    """

    connect_s: float = 1.0
    timeout_s: float = 5.0
    retries: int = 2
    passed_over_s: float = 5.0
    pool: int = 16
    failures: int = 5
    pause_s: float = 2.0


class AwayError(BusyError):
    """No node answers."""


class SlowError(BusyError):
    """The answer came too late: the node is there, or other nodes were not asked yet."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Limit the time that all requests inside wait for answers, to `seconds` from now in total."""
    token = _until.set(min(_until.get(), monotonic() + seconds))
    try:
        yield
    finally:
        _until.reset(token)


def left_s() -> float:
    """Return the seconds that `within` leaves; inf outside of it, never below 0."""
    return max(0.0, _until.get() - monotonic())


class Nodes:
    """Sends requests through `transport`. `where` names the cluster in errors. Thread-safe."""

    def __init__(self, transport: client.Transport, settings: NodeSettings, where: str) -> None:
        self._transport = transport
        self._settings = settings
        self._where = where
        self._doubted: set[Any] = set()  # connections to nodes that did not answer last time
        self._breaker = _Breaker(settings.failures, settings.pause_s)

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, object],
        body: bytes | None,
        timeout_s: float,
    ) -> str:
        """Return the answer of the first node that takes the request. Each node has `timeout_s` for
        its whole answer, or what `within` leaves. Raises AwayError, SlowError, and the client's
        TransportError if the answer is an error.
        """
        if self._breaker.is_open():
            raise AwayError("the cluster is not there", where=self._where, mend=_MEND)
        for left in range(self._settings.retries, -1, -1):
            if left < self._settings.retries and left_s() < _SHORTEST_S:
                raise self._slow()  # the next node would have no time to answer
            connection = self._transport.get_connection()
            if connection in self._doubted and not self._answers(connection):
                self._pass_over(connection)
                continue
            read_s = min(timeout_s, max(_SHORTEST_S, left_s()))
            # Whether a node is there does not depend on how long this request may wait.
            wait = Timeout(connect=self._settings.connect_s, read=read_s)
            try:
                _, _, reply = connection.perform_request(
                    method, path, dict(params), body, timeout=wait
                )
            except _Away as error:
                self._look(connection, error)
            except _Refused as error:
                self._is_there(connection)
                if error.status_code not in _ELSEWHERE or not left:
                    raise
            else:
                self._is_there(connection)
                return str(reply)
        self._breaker.failed()
        raise AwayError("the cluster is not there", where=self._where, mend=_MEND)

    def look_around(self) -> None:
        """Pass over every node that does not answer now."""
        for connection in tuple(self._transport.connection_pool.connections):
            if not self._answers(connection):
                self._pass_over(connection)

    def _look(self, connection: Any, error: Exception) -> None:
        """Pass over the node. Raises SlowError if the node is there and only its answer is late."""
        too_late = isinstance(error, client.exceptions.ConnectionTimeout)
        if too_late and self._answers(connection):
            self._is_there(connection)
            raise self._slow() from error
        self._pass_over(connection)

    def _slow(self) -> SlowError:
        return SlowError("the cluster did not answer in time", where=self._where, mend=_MEND)

    def _answers(self, connection: Any) -> bool:
        """Return whether the node answers a request that needs no work."""
        wait = Timeout(self._settings.connect_s)
        try:
            connection.perform_request("GET", "/", timeout=wait)
        except _Away:
            return False
        except _Refused:
            return True
        return True

    def _pass_over(self, connection: Any) -> None:
        if connection not in self._doubted:
            log.warning("%s does not answer and is passed over", connection.host)
        self._doubted.add(connection)
        self._transport.mark_dead(connection)

    def _is_there(self, connection: Any) -> None:
        self._breaker.worked()
        if connection in self._doubted:
            log.warning("%s answers again", connection.host)
            self._doubted.discard(connection)
            self._transport.connection_pool.mark_live(connection)


class _Breaker:
    """A circuit breaker: open for a while after several failures in a row; then one try decides.

    pybreaker holds its lock during a call, so all requests would go one after another.
    """

    def __init__(self, most: int, pause_s: float) -> None:
        self._most = most
        self._pause_s = pause_s
        self._failures = 0
        self._until = 0.0
        self._lock = threading.Lock()

    def is_open(self) -> bool:
        with self._lock:
            if self._failures < self._most:
                return False
            now = monotonic()
            if now < self._until:
                return True
            self._until = (
                now + self._pause_s
            )  # this caller tries the node; the others fail until then
            return False

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._until = monotonic() + self._pause_s

    def worked(self) -> None:
        with self._lock:
            self._failures = 0


def pool_options(settings: NodeSettings) -> dict[str, Any]:
    """Return the client's options for its connections."""
    return {
        "connection_class": NodeConnection,
        "timeout": settings.timeout_s,
        "pool_maxsize": settings.pool,
        "dead_timeout": settings.passed_over_s,
        "timeout_cutoff": _DOUBLINGS,
    }
