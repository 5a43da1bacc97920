"""Searches one state of the index: a point in time, which many searches share.

So a search is one round trip, and one state answers all of it. If a node of the point in time is
gone or hangs, the search is sent once more with another point in time. A point in time may lack a
shard that no node has. OpenSearch does not say so in the replies, so this adds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from core.errors import BusyError
from storage.opensearch.nodes.connection import NO_INDEX, Cluster, Reply, error_of, is_of_lost_node
from storage.opensearch.nodes.nodes import SlowError, within
from storage.opensearch.nodes.snapshots import KEPT_S, Snapshots

_GONE = 404
_LOST = "search_context_missing_exception"


class Searcher:
    """Searches the index `name`; `identity` returns its uuid. `generation` returns the change that
    a search has to see; `lost` is called when the index is gone.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        generation: Callable[[], int],
        identity: Callable[[], str],
        pool: Executor,
        search_type: Callable[[], str] = lambda: "query_then_fetch",
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._cluster = cluster
        self._search_type = search_type
        self._snapshots = Snapshots(cluster, name, generation, identity, pool, lost)

    def ask(self, bodies: Sequence[Mapping[str, Any]]) -> list[Reply]:
        """Return the replies to `bodies`, in order. Raises the error of the first that failed."""
        replies = self.replies(bodies)
        for reply in replies:
            if "error" in reply:
                raise _error(reply, self._cluster.where)
        return replies

    def replies(self, bodies: Sequence[Mapping[str, Any]]) -> list[Reply]:
        """Return the replies to `bodies`; some may be errors. Raises BusyError if no node answers
        within the time of two requests, or if the index is lost.
        """
        if not bodies:
            return []
        with within(2 * self._cluster.settings.nodes.timeout_s):
            replies = self._try(bodies, last=False)
            if replies is None:
                replies = self._try(bodies, last=True)
        assert replies is not None
        return replies

    def _try(self, bodies: Sequence[Mapping[str, Any]], *, last: bool) -> list[Reply] | None:
        """Return the replies; None if the point in time was gone and this is not the `last` try."""
        with self._snapshots.one() as snapshot:
            pit = {"id": snapshot.id, "keep_alive": f"{KEPT_S}s"}
            whole = [{**body, "pit": pit} for body in bodies]
            try:
                replies = self._cluster.search_many(whole, search_type=self._search_type())
            except SlowError:
                self._snapshots.retire(snapshot)
                if last:
                    raise
                self._snapshots.look()
                return None
            if any(map(_is_lost, replies)):
                self._snapshots.retire(snapshot)
                if any(map(_has_no_index, replies)):
                    raise self._snapshots.lost_error()
                if not last:
                    return None
            if snapshot.lacking:
                _tell(replies, snapshot.lacking)
            return replies

    def preferred(self) -> str:
        """Return the nodes that answer, as a request's preference; "" if none is known to hang."""
        return self._snapshots.preferred()

    def look(self) -> None:
        """Find out which nodes answer."""
        self._snapshots.look()

    def lost_error(self) -> BusyError:
        """Note that the index is gone; return the error to raise."""
        return self._snapshots.lost_error()

    def close(self) -> None:
        """Close the point in time on the cluster."""
        self._snapshots.close()


def _tell(replies: Sequence[Reply], lacking: int) -> None:
    """Count the shards that the point in time lacks among those that failed."""
    for reply in replies:
        if shards := reply.get("_shards"):
            shards["total"] += lacking
            shards["failed"] += lacking


def _is_lost(reply: Reply) -> bool:
    """Return whether the point in time is gone, or a shard of it with its node."""
    if "error" in reply:
        return reply.get("status") == _GONE or is_of_lost_node(reply["error"])
    failures = reply["_shards"].get("failures", ())
    return any(
        failure["reason"].get("type") == _LOST or is_of_lost_node(failure["reason"])
        for failure in failures
    )


def _has_no_index(reply: Reply) -> bool:
    """Return whether the index itself is gone."""
    error = reply.get("error")
    return isinstance(error, Mapping) and error.get("type") == NO_INDEX


def _error(reply: Reply, where: str) -> Exception:
    return error_of(reply.get("status", 500), reply["error"], where)
