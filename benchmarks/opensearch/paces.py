"""Queries a second of several clients, and the processor time that each query takes.

All sides ask the same node on the same machine. With busy processors a side answers at most
`processors / (milliseconds here + milliseconds of the nodes)` queries in a millisecond, whatever
its threads and requests: that is the `bound`. `here` is this process, or the service's processes;
`nodes` are the cluster's, by their own count. A side that sends a vector also needs its encoding,
which is a side of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

import numpy as np
from urllib3 import HTTPConnectionPool

from benchmarks.opensearch.archive import WIRE
from benchmarks.service.workers import processor_s, tree, wait_for
from dateline.measuring.served import started
from dateline.settings import Settings
from storage.opensearch.nodes.connection import Cluster

Ask = Callable[[Any], object]
_CONNECTIONS = 64
_FRESH_S = 1.1  # a node reads its processor time once a second


@dataclass(slots=True)
class Pace:
    """One side: `ask` sends one query. `here` returns the processor seconds of its processes."""

    ask: Ask
    queries: Sequence[Any]
    here: Callable[[], float] = time.process_time
    per_s: list[float] = field(default_factory=list)
    here_s: float = 0.0
    nodes_s: float = 0.0

    def take_turn(self, some: slice, clients: ThreadPoolExecutor, nodes: Cluster) -> None:
        """Ask `some` of the queries."""
        queries = self.queries[some]
        here, of_nodes = self.here(), _spent_s(nodes)
        started = time.perf_counter()
        list(clients.map(self.ask, queries))
        seconds = time.perf_counter() - started
        self.per_s.append(len(queries) / seconds)
        self.here_s += self.here() - here
        self.nodes_s += _spent_s(nodes) - of_nodes

    def figures(self, name: str) -> dict[str, float]:
        """Return queries a second, and the milliseconds of a query on the processors."""
        asked = len(self.queries)
        here, nodes = 1000 * self.here_s / asked, 1000 * self.nodes_s / asked
        return {
            f"{name}, queries_per_s": float(np.median(self.per_s)),
            f"{name}, cpu_ms here": here,
            f"{name}, cpu_ms of nodes": nodes,
            f"{name}, bound queries_per_s": 1000 * len(os.sched_getaffinity(0)) / (here + nodes),
        }


def paces(sides: dict[str, Pace], clients: int, nodes: Cluster, turns: int) -> dict[str, Any]:
    """Let the sides ask in turns, with `clients` at the same time; return their figures."""
    with ThreadPoolExecutor(clients) as pool:
        for turn in range(turns):
            for side in sides.values():
                side.take_turn(slice(turn, None, turns), pool, nodes)
    figures: dict[str, Any] = {}
    for name, side in sides.items():
        figures |= side.figures(f"{clients} clients, {name}")
    return figures


def ratio(mine: Pace, *theirs: Pace) -> float:
    """Return the median over the turns of the pace of `mine` by that of `theirs`, whose queries
    need each of those sides in turn.
    """
    both = [
        1 / sum(1 / pace for pace in each) for each in zip(*(t.per_s for t in theirs), strict=True)
    ]
    return float(np.median([one / other for one, other in zip(mine.per_s, both, strict=True)]))


def _spent_s(nodes: Cluster) -> float:
    """Return the processor seconds of all nodes since they started."""
    time.sleep(_FRESH_S)
    found = nodes.ask("GET", "/_nodes/stats/process")["nodes"].values()
    return float(sum(node["process"]["cpu"]["total_in_millis"] for node in found) / 1000)


@contextmanager
def workers_of(settings: Settings, workers: int) -> Iterator[tuple[Ask, Callable[[], float]]]:
    """Serve the archive of `settings` by `workers` processes. Yields what asks one query over HTTP
    with connections kept alive, and the processor seconds of the service's processes.
    """
    names = ("engine", "opensearch_url", "opensearch_index", "opensearch_replicas", "profile")
    same = {f"DATELINE_{name.upper()}": str(getattr(settings, name)) for name in names}
    own = {"DATELINE_TAGGER": "", "DATELINE_SECOND_ENCODER": "", "DATELINE_OPEN_METRICS": "true"}
    environment = {**same, **own, "DATELINE_WORKERS": str(workers)}
    with started(settings.data, sorted(WIRE.products), environment) as (pid, client):
        wait_for(client, workers)
        key, url = client.headers["x-api-key"], client.base_url
        pool = HTTPConnectionPool(url.host, url.port, maxsize=_CONNECTIONS)

        def ask(text: str) -> None:
            path = f"/content/search?page_size=10&profile=hybrid&q={quote_plus(text)}"
            answer = pool.request("GET", path, headers={"x-api-key": key})
            if answer.status != HTTPStatus.OK:
                raise SystemExit(f"{text!r} was answered {answer.status}: {answer.data[:300]!r}")

        yield ask, lambda: sum(map(processor_s, tree(pid)))
