"""Opens, shares and closes points in time of an index.

The first search after a change opens a point in time. It is kept until the next change that a
search must see, or until the cluster drops it. Many searches may wait for it, but only one request
asks for it: all get it when it comes, or all get the error. Each search waits only as long as its
own time allows.

A point in time is bound to copies of shards on certain nodes. If one of these nodes hangs, another
point in time is opened on nodes that answer. One that lacks a shard, because no node has it, is
used only for a moment. One of another index, which somebody made under the name of a lost one, is
not used at all, because that index may be incomplete.
"""

from __future__ import annotations

import logging
import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from core.errors import BusyError, DatelineError, StorageError
from storage.opensearch.nodes.connection import Cluster, MissingError
from storage.opensearch.nodes.nodes import SlowError, left_s, within

log = logging.getLogger(__name__)
KEPT_S = 120  # how long the cluster keeps a point in time after each search in it
_LACKING_S = 1.0  # how long a point in time that lacks a shard is used
_PREFERRED_S = 60.0  # the cluster removes a node that hangs within this time


@dataclass(slots=True)
class Snapshot:
    """A point in time as of the change `generation`. `users` searches use it now, it lacks
    `lacking` shards, and new searches may use it until `until`.
    """

    id: str
    generation: int
    lacking: int = 0
    until: float = float("inf")
    users: int = 0
    retired: bool = False

    def serves(self, generation: int) -> bool:
        """Return whether a new search that must see that change may use it."""
        return self.generation >= generation and monotonic() < self.until


@dataclass(slots=True)
class _Attempt:
    """One request for a point in time that has a given change; `waiting` searches wait for it."""

    generation: int
    waiting: int = 0
    snapshot: Snapshot | None = None
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Snapshots:
    """The points in time of the index `name`; `identity` returns its uuid. `generation` returns the
    change that a search has to see; `lost` is called when the index is gone. Unused ones are closed
    in `pool`. Thread-safe.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        generation: Callable[[], int],
        identity: Callable[[], str],
        pool: Executor,
        lost: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._generation = generation
        self._identity = identity
        self._pool = pool
        self._lost = lost
        self._longest_s = cluster.settings.nodes.timeout_s
        self._look_s = cluster.settings.nodes.connect_s  # an attempt may take this much longer
        self._current: Snapshot | None = None
        self._attempt: _Attempt | None = None
        self._is_closed = False
        self._lock = threading.Lock()
        self._preferred: tuple[str, float] = ("", 0.0)  # nodes, and until when

    @contextmanager
    def one(self) -> Iterator[Snapshot]:
        """Yield a point in time that sees the newest change. Raises BusyError if none can be opened
        within the time of one request, or within the caller's time.
        """
        snapshot = self._enter()
        try:
            yield snapshot
        finally:
            self._leave(snapshot)

    def retire(self, snapshot: Snapshot) -> None:
        """Let no new search use this point in time."""
        with self._lock:
            if self._current is snapshot:
                self._replace(None)

    def look(self) -> None:
        """Find out whether nodes hang; if some do, prefer copies on the others."""
        with suppress(StorageError):
            count, others = self._cluster.hanging()
            if count:
                log.warning("%d nodes of the cluster hang and are avoided", count)
                self._preferred = (others, monotonic() + _PREFERRED_S)

    def preferred(self) -> str:
        """Return the nodes that answer, as a request's preference; "" if none is known to hang."""
        nodes, until = self._preferred
        return nodes if monotonic() < until else ""

    def lost_error(self) -> BusyError:
        """Note that the index is lost; return the error to raise. No search uses the current point
        in time any more.
        """
        with self._lock:
            self._replace(None)
        self._lost()
        what = f"index {self._name} is lost; it is made again from the record of truth"
        return BusyError(what, where=self._cluster.where, mend="try again")

    def close(self) -> None:
        """Close the point in time; one that is requested now is closed when it comes."""
        with self._lock:
            snapshot, self._current = self._current, None
            self._is_closed = True
        if snapshot is not None:
            self._delete(snapshot.id)

    def _enter(self) -> Snapshot:
        until = monotonic() + min(self._longest_s + self._look_s, left_s())
        needed = self._generation()  # later changes are not needed: waiting for them might not end
        while True:
            with self._lock:
                current = self._current
                if current is not None and current.serves(needed):
                    current.users += 1
                    return current
                attempt = self._attempt or self._begin(self._generation())
                attempt.waiting += 1
            snapshot = self._awaited(attempt, until)
            if attempt.generation >= needed:
                return snapshot
            self._leave(snapshot)  # it was requested before the change

    def _begin(self, generation: int) -> _Attempt:
        """Start a request in its own thread, because no search's time limit is that of the others.
        The caller holds the lock.
        """
        attempt = _Attempt(generation)
        threading.Thread(target=self._carry_out, args=(attempt,), daemon=True).start()
        self._attempt = attempt  # only now: if no thread starts, nobody must wait for it
        return attempt

    def _awaited(self, attempt: _Attempt, until: float) -> Snapshot:
        attempt.done.wait(max(0.0, until - monotonic()))
        with self._lock:
            if not attempt.done.is_set():
                attempt.waiting -= 1
                what = "the cluster gives no point in time of the index in time"
                raise BusyError(what, where=self._cluster.where, mend="see that its nodes run")
        if attempt.error is not None:
            raise _own(attempt.error)
        assert attempt.snapshot is not None
        return attempt.snapshot

    def _carry_out(self, attempt: _Attempt) -> None:
        try:
            snapshot = self._taken(attempt.generation)
        except Exception as error:  # noqa: BLE001 - each waiting search raises it
            attempt.error = error
            snapshot = None
        with self._lock:
            self._attempt = None
            if snapshot is not None:
                snapshot.users = attempt.waiting
                attempt.snapshot = snapshot
                self._replace(snapshot)
                if self._is_closed:
                    self._replace(None)
            attempt.done.set()

    def _taken(self, generation: int) -> Snapshot:
        try:
            with within(self._longest_s):
                snapshot = self._requested_twice(generation)
                try:
                    self._check(snapshot)
                except BaseException:
                    self._drop(snapshot)
                    raise
                return snapshot
        except MissingError as error:
            raise self.lost_error() from error

    def _requested_twice(self, generation: int) -> Snapshot:
        """Request a point in time. If a node hangs, half of the time is left to use other nodes."""
        try:
            with within(self._longest_s / 2):
                return self._requested(generation)
        except SlowError:
            self.look()
            return self._requested(generation)

    def _requested(self, generation: int) -> Snapshot:
        path = f"/{self._name}/_search/point_in_time"
        nodes, until = self._preferred
        params: dict[str, Any] = {"keep_alive": f"{KEPT_S}s"}
        if monotonic() < until:
            params["preference"] = nodes
        found = self._cluster.ask("POST", path, **params)
        shards = found["_shards"]
        lacking = shards["total"] - shards["successful"]
        soon = monotonic() + _LACKING_S if lacking else float("inf")
        return Snapshot(str(found["pit_id"]), generation, lacking, soon)

    def _check(self, snapshot: Snapshot) -> None:
        """Raise BusyError if the point in time is of another index. Its id has the index's uuid in
        it; if a later version of OpenSearch hides the uuid there, this asks the cluster.
        """
        identity = self._identity()
        with suppress(ValueError):  # no base64
            if identity.encode() in urlsafe_b64decode(snapshot.id + "=="):
                return
        path = f"/{self._name}/_settings/index.uuid"
        (found,) = self._cluster.ask("GET", path, local="true").values()
        if found["settings"]["index"]["uuid"] != identity:
            raise self.lost_error()

    def _leave(self, snapshot: Snapshot) -> None:
        with self._lock:
            snapshot.users -= 1
            done = snapshot.retired and not snapshot.users
        if done:
            self._drop(snapshot)

    def _replace(self, snapshot: Snapshot | None) -> None:
        """Make `snapshot` the current one. The caller holds the lock."""
        before, self._current = self._current, snapshot
        if before is not None:
            before.retired = True
            if not before.users:
                self._drop(before)

    def _drop(self, snapshot: Snapshot) -> None:
        with suppress(RuntimeError):  # the pool is closed; the cluster drops it later by itself
            self._pool.submit(self._delete, snapshot.id)

    def _delete(self, id_: str) -> None:
        with suppress(StorageError):
            self._cluster.ask("DELETE", "/_search/point_in_time", {"pit_id": [id_]})


def _own(error: Exception) -> Exception:
    """Return a copy of the error for one waiting search, because raising an error changes it."""
    if isinstance(error, DatelineError):
        own = type(error)(error.what, where=error.where, mend=error.mend)
        own.__cause__ = error
        return own
    return error
