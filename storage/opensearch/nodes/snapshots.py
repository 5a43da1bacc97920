"""Points in time of an index, each shared by many searches: taken, handed out, given back.

One is taken when the first search after a change asks, and kept until the next change that has to
be seen, or until the cluster has dropped it. However many searches wait for it, it is asked for
once: all of them have it when it comes, and all are told when it can't be had. Each waits only for
as long as it may itself.

It is bound to the nodes whose copies of the index it is of. Where one of them hangs, another is
taken, of copies on nodes that answer. One that lacks a part of the index, because no node has it,
is used for a moment only. One of another index, which somebody has made by the same name in the
place of a lost one, is not used at all: that index may be half made.
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
KEPT_S = 120  # for as long a point in time is kept after each search in it
_LACKING_S = 1.0  # one that lacks a part of the index
_PREFERRED_S = 60.0  # by when the cluster has put a node out that hangs


@dataclass(slots=True)
class Snapshot:
    """A point in time as of a change; `users` searches are in it. It lacks `lacking` parts of the
    index, and is used for new searches until `until`.
    """

    id: str
    generation: int
    lacking: int = 0
    until: float = float("inf")
    users: int = 0
    retired: bool = False

    def serves(self, generation: int) -> bool:
        """Whether a new search that has to see that change may use it."""
        return self.generation >= generation and monotonic() < self.until


@dataclass(slots=True)
class _Attempt:
    """One request for a point in time as of a change, on behalf of `waiting` searches."""

    generation: int
    waiting: int = 0
    snapshot: Snapshot | None = None
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Snapshots:
    """Of the index called `name`, which `identity` tells from others of that name. `generation`
    tells which change a search has to see; `lost` is told when there is no such index any more.
    Those that nobody uses are given back in `pool`. Thread-safe.
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
        self._look_s = cluster.settings.nodes.connect_s  # by which an attempt may end later
        self._current: Snapshot | None = None
        self._attempt: _Attempt | None = None
        self._is_closed = False
        self._lock = threading.Lock()
        self._preferred: tuple[str, float] = ("", 0.0)  # nodes, and until when

    @contextmanager
    def one(self) -> Iterator[Snapshot]:
        """A point in time that sees the newest change. Raises BusyError where none can be had in
        the time of one request, or of whoever asks.
        """
        snapshot = self._enter()
        try:
            yield snapshot
        finally:
            self._leave(snapshot)

    def retire(self, snapshot: Snapshot) -> None:
        """No new search uses it."""
        with self._lock:
            if self._current is snapshot:
                self._replace(None)

    def look(self) -> None:
        """Finds out which nodes answer, where some do not: copies on those are preferred."""
        with suppress(StorageError):
            count, others = self._cluster.hanging()
            if count:
                log.warning("%d nodes of the cluster hang and are avoided", count)
                self._preferred = (others, monotonic() + _PREFERRED_S)

    def preferred(self) -> str:
        """The nodes that answer, as a request's preference; "" where none is known to hang."""
        nodes, until = self._preferred
        return nodes if monotonic() < until else ""

    def lost_error(self) -> BusyError:
        """Tells that the index is lost, of which no search asks any more; what is to be raised."""
        with self._lock:
            self._replace(None)
        self._lost()
        what = f"index {self._name} is lost; it is made anew from the record of truth"
        return BusyError(what, where=self._cluster.where, mend="try again")

    def close(self) -> None:
        """Gives the point in time back; one that is still under way when it comes."""
        with self._lock:
            snapshot, self._current = self._current, None
            self._is_closed = True
        if snapshot is not None:
            self._delete(snapshot.id)

    def _enter(self) -> Snapshot:
        until = monotonic() + min(self._longest_s + self._look_s, left_s())
        needed = self._generation()  # what comes later is not waited for, or that might not end
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
            self._leave(snapshot)  # it was begun before the change

    def _begin(self, generation: int) -> _Attempt:
        """With the lock held. In a thread of its own, as nobody's own time is the others'."""
        attempt = _Attempt(generation)
        threading.Thread(target=self._carry_out, args=(attempt,), daemon=True).start()
        self._attempt = attempt  # only now: where no thread can be had, nobody is to wait for it
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
        except Exception as error:  # noqa: BLE001 - raised by each that waits
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
        """Where a node hangs, there is half of the time left to ask for copies on others."""
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
        """Raises BusyError for one of another index. The identity of the index stands in the id of
        its point in time; where a later version hides it there, the cluster is asked.
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
        """With the lock held."""
        before, self._current = self._current, snapshot
        if before is not None:
            before.retired = True
            if not before.users:
                self._drop(before)

    def _drop(self, snapshot: Snapshot) -> None:
        with suppress(RuntimeError):  # the pool is closed: it runs out by itself
            self._pool.submit(self._delete, snapshot.id)

    def _delete(self, id_: str) -> None:
        with suppress(StorageError):
            self._cluster.ask("DELETE", "/_search/point_in_time", {"pit_id": [id_]})


def _own(error: Exception) -> Exception:
    """The error for one of those that share it: a raised one notes where it was raised."""
    if isinstance(error, DatelineError):
        own = type(error)(error.what, where=error.where, mend=error.mend)
        own.__cause__ = error
        return own
    return error
