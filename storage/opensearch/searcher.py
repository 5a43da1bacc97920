"""Searches over one state of the index: a point in time, which many searches share.

A point in time is taken when the first search after a change asks, and kept until the next change
that has to be seen, or until the cluster has dropped it. So a search is one round trip, and all
that it asks is answered from one state.

It is bound to the nodes whose copies of the index it is of. Where one of them is gone or hangs,
another is taken, of copies on nodes that answer, and the search is asked once more. One that lacks
a part of the index, because no node has it, says nothing of that in its searches' replies: it is
told there by us, and the next one is taken soon.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from core.errors import BusyError, StorageError
from storage.opensearch.connection import Cluster, MissingError, Reply, error_of, is_of_lost_node
from storage.opensearch.nodes import SlowError

log = logging.getLogger(__name__)
_KEPT_S = 120  # for as long a point in time is kept after each search in it
_LACKING_S = 1.0  # one that lacks a part of the index
_PREFERRED_S = 60.0  # by when the cluster has put a node out that hangs
_GONE = 404


@dataclass(slots=True)
class _Snapshot:
    """A point in time as of a change; `users` searches are in it. It lacks `lacking` parts of the
    index, and is used for new searches until `until`.
    """

    id: str
    generation: int
    lacking: int = 0
    until: float = float("inf")
    users: int = 0
    retired: bool = False


class Searcher:
    """Asks the index called `name`. `generation` tells which change a search has to see; `lost` is
    told when there is no such index.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        generation: Callable[[], int],
        pool: Executor,
        search_type: Callable[[], str] = lambda: "query_then_fetch",
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._generation = generation
        self._pool = pool
        self._search_type = search_type
        self._lost = lost
        self._current: _Snapshot | None = None
        self._lock = threading.Lock()
        self._preferred: tuple[str, float] = ("", 0.0)  # nodes, and until when

    def ask(self, bodies: Sequence[Mapping[str, Any]]) -> list[Reply]:
        """The replies to `bodies`, in order. Raises the error of the first one that failed."""
        replies = self.replies(bodies)
        for reply in replies:
            if "error" in reply:
                raise _error(reply, self._cluster.where)
        return replies

    def replies(self, bodies: Sequence[Mapping[str, Any]]) -> list[Reply]:
        """As `ask`, but each reply may be an error of its own. Raises BusyError where no node
        answers in time, or where the index is lost.
        """
        if not bodies:
            return []
        replies = self._try(bodies, last=False)
        if replies is None:
            replies = self._try(bodies, last=True)
        assert replies is not None
        return replies

    def _try(self, bodies: Sequence[Mapping[str, Any]], *, last: bool) -> list[Reply] | None:
        """The replies; None where the point in time was of no use, unless it is the `last` try."""
        with self._snapshot() as snapshot:
            pit = {"id": snapshot.id, "keep_alive": f"{_KEPT_S}s"}
            whole = [{**body, "pit": pit} for body in bodies]
            try:
                replies = self._cluster.search_many(whole, search_type=self._search_type())
            except SlowError:
                self._retire(snapshot)
                if last:
                    raise
                self._look()
                return None
            if any(_is_lost(reply) for reply in replies):
                self._retire(snapshot)
                if not last:
                    return None
            if snapshot.lacking:
                _tell(replies, snapshot.lacking)
            return replies

    @contextmanager
    def _snapshot(self) -> Iterator[_Snapshot]:
        snapshot = self._enter()
        try:
            yield snapshot
        finally:
            self._leave(snapshot)

    def _enter(self) -> _Snapshot:
        with self._lock:
            wanted, current = self._generation(), self._current
            if current is None or current.generation != wanted or current.until < monotonic():
                current = self._replace(self._take(wanted))
            assert current is not None
            current.users += 1
            return current

    def _take(self, generation: int) -> _Snapshot:
        try:
            return self._took(generation)
        except SlowError:
            self._look()
            return self._took(generation)
        except MissingError as error:
            self._lost()
            what = f"index {self._name} is lost; it is made anew from the record of truth"
            raise BusyError(what, where=self._cluster.where, mend="try again") from error

    def _took(self, generation: int) -> _Snapshot:
        path = f"/{self._name}/_search/point_in_time"
        nodes, until = self._preferred
        params: dict[str, Any] = {"keep_alive": f"{_KEPT_S}s"}
        if monotonic() < until:
            params["preference"] = nodes
        found = self._cluster.ask("POST", path, **params)
        shards = found["_shards"]
        lacking = shards["total"] - shards["successful"]
        soon = monotonic() + _LACKING_S if lacking else float("inf")
        return _Snapshot(str(found["pit_id"]), generation, lacking, soon)

    def _look(self) -> None:
        """Finds out which nodes answer, where some do not: copies on those are preferred."""
        with suppress(StorageError):
            count, others = self._cluster.hanging()
            if count:
                log.warning("%d nodes of the cluster hang and are avoided", count)
                self._preferred = (others, monotonic() + _PREFERRED_S)

    def _leave(self, snapshot: _Snapshot) -> None:
        with self._lock:
            snapshot.users -= 1
            done = snapshot.retired and not snapshot.users
        if done:
            self._drop(snapshot)

    def _retire(self, snapshot: _Snapshot) -> None:
        with self._lock:
            if self._current is snapshot:
                self._replace(None)

    def _replace(self, snapshot: _Snapshot | None) -> _Snapshot | None:
        """With the lock held."""
        before, self._current = self._current, snapshot
        if before is not None:
            before.retired = True
            if not before.users:
                self._drop(before)
        return snapshot

    def _drop(self, snapshot: _Snapshot) -> None:
        with suppress(RuntimeError):  # the pool is closed: it runs out by itself
            self._pool.submit(self._delete, snapshot.id)

    def _delete(self, id_: str) -> None:
        with suppress(StorageError):
            self._cluster.ask("DELETE", "/_search/point_in_time", {"pit_id": [id_]})

    def close(self) -> None:
        """Gives the point in time back."""
        with self._lock:
            snapshot, self._current = self._current, None
        if snapshot is not None:
            self._delete(snapshot.id)


def _tell(replies: Sequence[Reply], lacking: int) -> None:
    """Counts parts of the index that the point in time lacks among those that failed."""
    for reply in replies:
        if shards := reply.get("_shards"):
            shards["total"] += lacking
            shards["failed"] += lacking


def _is_lost(reply: Reply) -> bool:
    """Whether the point in time is gone, or a part of it with its node."""
    if "error" in reply:
        return reply.get("status") == _GONE or is_of_lost_node(reply["error"])
    failures = reply["_shards"].get("failures", ())
    return any(
        failure["reason"].get("type") == _LOST or is_of_lost_node(failure["reason"])
        for failure in failures
    )


_LOST = "search_context_missing_exception"


def _error(reply: Reply, where: str) -> Exception:
    return error_of(reply.get("status", 500), reply["error"], where)
