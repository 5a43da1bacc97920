"""Settles an index after a backfill: merges it, drops what it no longer needs, and warms it.

A node keeps each replaced document, and a copy of each new one as it was sent, until every copy of
the shard has said that it does not need them; copies say so every 30 s. An earlier merge would keep
all of that: for vectors, which are sent as text, three times their size. So this waits first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import StorageError
from storage.opensearch.index.body import VectorSpace, vector_path
from storage.opensearch.nodes.connection import Cluster, Reply

Say = Callable[[str], None]
LEASES_S = 120.0
_POLL_S = 0.5
_TOLD_S = 10.0
_NEAREST = 100
_SEGMENT_BYTES = 5 * 10**9


@dataclass(frozen=True, slots=True)
class Settled:
    """Bytes of all copies before and after, segments of the primaries, the milliseconds of the
    slowest search in the first and in the last quarter of the warm-up, and whether the copies
    `released` what was replaced before the merge.
    """

    bytes_before: int
    bytes_after: int
    segments: int
    first_ms: float
    last_ms: float
    released: bool


def settle(
    cluster: Cluster,
    name: str,
    spaces: Mapping[str, VectorSpace],
    say: Say,
    *,
    merge_s: float = 6 * 3600,
    leases_s: float = LEASES_S,
    searches: int = 64,
) -> Settled:
    """Merge each shard of the index behind the alias `name` into one segment (one for each 5 GB of
    a larger shard), and warm it. Raises StorageError if the merge takes longer than `merge_s`.
    """
    cluster.ask("POST", f"/{name}/_flush", timeout_s=600)
    before = _bytes(cluster, name)
    released = _await_leases(cluster, name, leases_s)
    if not released:
        say("the shards still keep what was replaced: the merge can't leave all of it out")
    # Copies release replaced documents only up to their last commit.
    cluster.ask("POST", f"/{name}/_flush", timeout_s=600, force="true")
    _merge(cluster, name, merge_s, say)
    cluster.ask("POST", f"/{name}/_flush", timeout_s=600)
    cluster.ask("POST", f"/{name}/_refresh", timeout_s=600)
    first, last = _warm(cluster, name, spaces, searches)
    after = _bytes(cluster, name)
    return Settled(before, after, _segments(cluster, name), first, last, released)


def leases_are_past(stats: Reply) -> bool:
    """Return whether every copy of every shard has said that it needs no old operation any more;
    `stats` are the statistics of the index at the level of shards.
    """
    for index in stats["indices"].values():
        for copies in index["shards"].values():
            for copy in copies:
                newest = copy["seq_no"]["max_seq_no"]
                for lease in copy["retention_leases"]["leases"]:
                    if lease["retaining_seq_no"] <= newest:
                        return False
    return True


def _await_leases(cluster: Cluster, name: str, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not leases_are_past(cluster.ask("GET", f"/{name}/_stats", level="shards")):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _merge(cluster: Cluster, name: str, patience_s: float, say: Say) -> None:
    shards = cluster.ask("GET", f"/{name}/_stats/store", level="shards")
    largest = max(
        copy["store"]["size_in_bytes"]
        for index in shards["indices"].values()
        for copies in index["shards"].values()
        for copy in copies
    )
    segments = 1 + largest // _SEGMENT_BYTES
    asked = {"max_num_segments": segments, "wait_for_completion": "false"}
    task = cluster.ask("POST", f"/{name}/_forcemerge", **asked)["task"]
    began = told = time.monotonic()
    while not (reply := cluster.ask("GET", f"/_tasks/{task}"))["completed"]:
        now = time.monotonic()
        if now - began > patience_s:
            what = f"the merge was not done within {patience_s:,.0f} s; it goes on by itself"
            raise StorageError(what, where=f"{cluster.where}, task {task}", mend="look again later")
        if now - told > _TOLD_S:
            told = now
            say(f"merging, {now - began:,.0f} s: {_segments(cluster, name):,} segments")
        time.sleep(_POLL_S)
    failures = reply.get("response", {}).get("_shards", {}).get("failures", ())
    if reply.get("error") or failures:
        what = f"the merge failed: {str(reply.get('error') or failures[0])[:300]}"
        raise StorageError(what, where=cluster.where, mend="see the nodes' logs")


def _warm(
    cluster: Cluster, name: str, spaces: Mapping[str, VectorSpace], searches: int
) -> tuple[float, float]:
    """Load what searches read: faiss graphs by a request for that, files by random searches. Return
    the milliseconds of the slowest search in the first and in the last quarter.
    """
    cluster.ask("GET", f"/_plugins/_knn/warmup/{name}", timeout_s=600)
    chance = np.random.default_rng(0)
    taken: list[float] = []
    for _ in range(searches):
        began = time.perf_counter()
        bodies = [_near(field, space, chance) for field, space in spaces.items()]
        cluster.search_many([*bodies, {"size": 1, "query": {"match_all": {}}}], index=name)
        taken.append((time.perf_counter() - began) * 1000)
    quarter = max(1, searches // 4)
    return max(taken[:quarter], default=0.0), max(taken[-quarter:], default=0.0)


def _near(field: str, space: VectorSpace, chance: np.random.Generator) -> dict[str, Any]:
    path = vector_path(field)
    near = {"vector": chance.standard_normal(space.width).tolist(), "k": _NEAREST}
    query = {"nested": {"path": path, "query": {"knn": {f"{path}.vector": near}}}}
    return {"size": _NEAREST, "_source": False, "query": query}


def _bytes(cluster: Cluster, name: str) -> int:
    """Return the bytes of the segments in use; older segments stay on the disk while a search reads
    them.
    """
    reply = cluster.ask("GET", f"/{name}/_segments")
    return sum(
        segment["size_in_bytes"]
        for index in reply["indices"].values()
        for copies in index["shards"].values()
        for copy in copies
        for segment in copy["segments"].values()
    )


def _segments(cluster: Cluster, name: str) -> int:
    reply = cluster.ask("GET", f"/{name}/_stats/segments")
    return int(reply["_all"]["primaries"]["segments"]["count"])
