"""The served graph, against the libraries below it, on real passage vectors.

    python -m benchmarks.search.hnsw [--data data] [--count 100000] [--queries 1000] [--recall 0.99]

Vectors are the passages of the judged collections that are indexed under `--data` (`dateline eval
run` indexes them), each once, and copies of them with noise if they are too few; the output says
so. Queries are held-out passages. One graph is built per library with the same M and
efConstruction, and for each the least ef with the wanted recall@10 is determined. Then blocks of
queries, one at a time on one thread, take turns, so that other work on the machine slows all alike:

- `ours`: `VectorGraph.walk`, the graph behind the port, as a sealed segment is searched
- `faiss`: the same graph by faiss directly, at the same ef; the target is at most 10 per cent more
  time for ours
- `hnswlib`: hnswlib directly, at its own ef; the target is at least its queries a second for ours

A query's time is the median of its turns, so that a stall of the machine does not count, and
queries a second are computed from the sum of these. `self_recall` is the share of rows that are
found by their own vector at the default ef: the rest are rows that no link leads to, or that the
walk misses. Needs the extra [hnswlib]; exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import dateline  # noqa: F401 - before numpy: the BLAS reads how many threads it may use

# isort: split
import faiss
import hnswlib
import numpy as np

from benchmarks.machine import arguments, percentile, show, this_machine
from core.errors import DatelineError
from core.items import FloatMatrix
from core.ports.graphs import VectorGraph
from core.retrieval import Ids
from dateline.build.engine import build_graphs
from dateline.measuring.real_vectors import real_vectors
from dateline.settings import Settings

K = 10
WIDEST = 1024
LEAST_OF_HNSWLIB, MOST_OF_FAISS = 1.0, 1.10
Built = TypeVar("Built")
Ask = Callable[[FloatMatrix], Any]


@dataclass(frozen=True, slots=True)
class Way:
    """How one library is asked: `many` returns rows [q, K] at a width, `one` a call for one
    query.
    """

    many: Callable[[FloatMatrix, int], Ids]
    one: Callable[[int], Ask]


def main() -> int:
    """Print the figures; return 1 if a target is missed."""
    given = _arguments()
    try:
        found = real_vectors(given.data, given.count + given.queries, seed=given.seed)
    except DatelineError as error:
        print(error, file=sys.stderr)
        return 1
    queries, stored = found.vectors[: given.queries], found.vectors[given.queries :]
    settings = Settings(hnsw_m=given.m, hnsw_ef_construction=given.ef_construction)
    figures: dict[str, Any] = {"vectors": str(found), "queries": len(queries)}
    graph: Any
    graph, figures["ours build_s"] = _timed(
        lambda: build_graphs(settings).build(stored, given.threads)
    )
    other, figures["hnswlib build_s"] = _timed(lambda: _hnswlib(stored, settings, given.threads))
    figures["ours bytes_per_vector"] = graph.bytes / len(stored)
    figures["self_recall %"] = 100 * self_recall(graph, stored, settings.hnsw_ef_search)
    ways = {"ours": _ours(graph), "faiss": _faiss(graph.links.index), "hnswlib": _direct(other)}
    truth = exact(stored, queries)
    figures.update(measure(ways, queries, truth, given.recall, given.rounds))
    show("HNSW on real vectors, one thread", figures, this_machine(), as_json=given.json)
    reached = figures["ours of hnswlib"] >= LEAST_OF_HNSWLIB
    return int(not reached or figures["ours time of faiss"] > MOST_OF_FAISS)


def measure(
    ways: dict[str, Way], queries: FloatMatrix, truth: Ids, target: float, rounds: int
) -> dict[str, Any]:
    """Return widths, recalls, queries a second and the two ratios."""
    figures: dict[str, Any] = {}
    asks: dict[str, Ask] = {}
    for name, way in ways.items():
        source = "ours" if name == "faiss" else name  # same graph, same width
        if source == name:
            figures[f"{name} ef"] = least_ef(way, queries, truth, target)
        figures[f"{name} recall@10 %"] = 100 * recall(
            way.many(queries, figures[f"{source} ef"]), truth
        )
        asks[name] = way.one(figures[f"{source} ef"])
    orders = list(permutations(asks))  # the next side finds the last one's data in caches
    times = {name: np.zeros((rounds, len(queries))) for name in ways}
    for turn in range(rounds):
        for name in orders[turn % len(orders)]:
            times[name][turn] = _each(asks[name], queries)
    usual = {name: np.median(taken, axis=0) for name, taken in times.items()}
    for name, taken in usual.items():
        figures[f"{name} qps"] = len(queries) / float(taken.sum())
        figures[f"{name} p95_ms"] = percentile(list(taken), 95)
    figures["ours time of faiss"] = float(usual["ours"].sum() / usual["faiss"].sum())
    figures["ours of hnswlib"] = float(usual["hnswlib"].sum() / usual["ours"].sum())
    return figures


def least_ef(way: Way, queries: FloatMatrix, truth: Ids, target: float) -> int:
    """Return the least width with that recall, by bisection. Raises ValueError if none has it."""
    low, high = K, WIDEST
    if recall(way.many(queries, high), truth) < target:
        raise ValueError(f"no ef up to {WIDEST} reaches a recall of {target}")
    while low < high:
        middle = (low + high) // 2
        if recall(way.many(queries, middle), truth) >= target:
            high = middle
        else:
            low = middle + 1
    return low


def recall(found: Ids, truth: Ids) -> float:
    """Return the share of `truth` [q, K] in `found` [q, K]."""
    hits = sum(len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, truth, strict=True))
    return hits / truth.size


def exact(stored: FloatMatrix, queries: FloatMatrix) -> Ids:
    """Return the true K nearest rows of each query, int64 [q, K]."""
    parts = []
    for start in range(0, len(queries), 100):
        cosines = queries[start : start + 100] @ stored.T
        parts.append(np.argpartition(-cosines, K - 1, axis=1)[:, :K])
    return np.concatenate(parts)


def self_recall(graph: VectorGraph, stored: FloatMatrix, ef: int, sample: int = 5000) -> float:
    """Return the share of evenly chosen rows that are among the K nearest of their own vector."""
    rows = np.unique(np.linspace(0, len(stored) - 1, sample).astype(np.int64))
    found = graph.search_many(stored[rows], K, ef)[1]
    return float((found == rows[:, None]).any(axis=1).mean())


def _ours(graph: VectorGraph) -> Way:
    return Way(
        lambda queries, ef: graph.search_many(queries, K, ef)[1],
        lambda ef: lambda query: graph.walk(query, K, None, ef),
    )


def _faiss(index: Any) -> Way:
    def at(ef: int) -> Ask:
        parameters = faiss.SearchParametersHNSW(efSearch=ef)
        return lambda query: index.search(query, K, params=parameters)

    return Way(lambda queries, ef: at(ef)(queries)[1], at)


def _direct(index: Any) -> Way:
    def at(ef: int) -> Ask:
        index.set_ef(ef)
        return lambda query: index.knn_query(query, K, num_threads=1)

    return Way(lambda queries, ef: at(ef)(queries)[0], at)


def _hnswlib(stored: FloatMatrix, settings: Settings, threads: int) -> Any:
    index = hnswlib.Index(space="ip", dim=stored.shape[1])
    index.init_index(len(stored), M=settings.hnsw_m, ef_construction=settings.hnsw_ef_construction)
    index.add_items(stored, num_threads=threads)
    return index


def _each(ask: Ask, queries: FloatMatrix) -> Sequence[float]:
    """Return the seconds of each query alone."""
    taken = []
    for place in range(len(queries)):
        query = queries[place : place + 1]
        started = perf_counter()
        ask(query)
        taken.append(perf_counter() - started)
    return taken


def _timed(work: Callable[[], Built]) -> tuple[Built, float]:
    started = perf_counter()
    found = work()
    return found, perf_counter() - started


def _arguments() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder with indexed collections"
    )
    parser.add_argument("--count", type=int, default=100_000, help="vectors in the graph")
    parser.add_argument("--queries", type=int, default=1000, help="vectors that ask")
    parser.add_argument("--recall", type=float, default=0.99, help="recall@10 to be had")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each, best 6 or 12")
    parser.add_argument("--m", type=int, default=Settings().hnsw_m)
    parser.add_argument("--ef-construction", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2, help="threads that build")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
