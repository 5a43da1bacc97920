"""Times graphs: single queries on one thread, then all queries on many threads.

Nothing else of the program runs meanwhile: builds and timings take turns. All queries are asked in
rounds, at least three and until enough time has passed, and the fastest round counts, as in
ann-benchmarks: what slows the others is not the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from core.ports.graphs import VectorGraph
from core.retrieval import Floats, Ids
from eval.tune.graphs.neighbours import RowMatrix

Ask = Callable[[FloatMatrix], tuple[Floats, Ids]]
PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}
_WARM_UP = 10
_LEAST_ROUNDS, _MOST_ROUNDS = 3, 1000


@dataclass(frozen=True, slots=True)
class Timed:
    """The rows found, int64 [q, k] with -1 for none, queries a second, and milliseconds of a single
    query by p50, p95 and p99.
    """

    rows: RowMatrix
    qps: float
    milliseconds: dict[str, float]


def time_single(ask: Ask, queries: FloatMatrix, k: int, seconds: float) -> Timed:
    """Ask `queries` [q, d] one after the other with `ask`, for at least `seconds`."""
    for query in queries[:_WARM_UP]:
        ask(query[None])
    rows = np.full((len(queries), k), -1, np.int64)
    best: npt.NDArray[np.float64] = np.full(len(queries), np.inf)
    spent = 0.0
    for done in range(1, _MOST_ROUNDS + 1):
        times = np.empty(len(queries))
        for number, query in enumerate(queries):
            started = perf_counter()
            _, found = ask(query[None])
            times[number] = perf_counter() - started
            rows[number, : len(found)] = found
        spent += float(times.sum())
        best = min(best, times, key=np.sum)
        if done >= _LEAST_ROUNDS and spent >= seconds:
            break
    milliseconds = {name: float(np.percentile(best, at)) * 1e3 for name, at in PERCENTILES.items()}
    return Timed(rows, len(queries) / max(float(best.sum()), 1e-9), milliseconds)


def time_many(
    graph: VectorGraph, queries: FloatMatrix, k: int, ef: int, threads: int, seconds: float
) -> float:
    """Return queries a second when `queries` [q, d] are given at once to `threads` threads."""
    best, spent = float("inf"), 0.0
    for done in range(1, _MOST_ROUNDS + 1):
        started = perf_counter()
        graph.search_many(queries, k, ef, threads)
        took = perf_counter() - started
        best, spent = min(best, took), spent + took
        if done >= _LEAST_ROUNDS and spent >= seconds:
            break
    return len(queries) / max(best, 1e-9)
