"""Measures recall if only some rows are allowed, and after some rows were replaced.

Filters let a share of the rows through: at random, or the rows nearest to one of them ("cluster"),
as a filter by desk, language or date does. Most queries are then far from the allowed rows, which
is the hard case for a graph. Each filter is measured two ways: `walked` is the graph alone;
`served` is what a search does, which scans if few rows are allowed or the segment is small. Churn
works as in the segments: replaced rows are masked, their successors are in a graph of their own,
and the two answers are merged. These measurements take longer, so only few cells get them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from core.items import FloatMatrix
from core.ports.graphs import GraphBuilder, VectorGraph
from core.retrieval import Floats, Ids, Marks
from eval.tune.graphs.graph_timing import Ask, Timed, time_single
from eval.tune.graphs.neighbours import exact_neighbours, recall
from eval.tune.graphs.sweep_graphs import cell_key
from eval.tune.graphs.sweep_target import Cell
from eval.tune.graphs.vector_source import noisy
from eval.tune.graphs.vector_sweep import Bench, Observer, Subject, unobserved

SHARES = (0.5, 0.1, 0.02, 0.001)
CHURN = 0.2
NEAR = 0.95  # cosine of a replaced row and its successor; a new version is similar to the old
_QUERIES = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of allowed rows, bool [n]: `kind` is random or cluster, `share` a share of the
    rows.
    """

    kind: str
    share: float
    allowed: Marks


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Recall of the k nearest in 0..1, queries a second and p95 of one cell under one condition:
    `what` is random, cluster or churn; `way` is walked or served; `rows` counts the allowed rows.
    """

    what: str
    way: str
    share: float
    rows: int
    recall: float
    qps: float
    p95: float


def filters(vectors: FloatMatrix, shares: Sequence[float], seed: int) -> Iterator[Filter]:
    """Yield, for each share, a random filter over `vectors` [n, d] and a cluster filter, each with
    at least one row.
    """
    chance = np.random.default_rng(seed)
    for share in shares:
        count = max(1, round(share * len(vectors)))
        yield Filter("random", share, _mask(chance.permutation(len(vectors))[:count], vectors))
        middle = vectors[chance.integers(len(vectors))]
        near = np.argpartition(-(vectors @ middle), count - 1)[:count]
        yield Filter("cluster", share, _mask(near, vectors))


def filtered(
    subject: Subject, graph: VectorGraph, k: int, ef: int, *, seed: int = 1, seconds: float = 0.2
) -> Iterator[Narrowed]:
    """Measure every filter, each way, with the first 200 queries."""
    queries = subject.queries[:_QUERIES]
    for each in filters(subject.vectors, SHARES, seed):
        truth = exact_neighbours(subject.vectors, queries, k, each.allowed)
        for way, ask in _ways(graph, k, ef, each.allowed):
            timed = time_single(ask, queries, k, seconds)
            found = recall(subject.vectors, queries, timed.rows, truth, k)
            rows = int(np.count_nonzero(each.allowed))
            yield _narrowed(each.kind, way, each.share, rows, found, timed)


def churned(
    subject: Subject,
    graph: VectorGraph,
    builder: GraphBuilder,
    k: int,
    ef: int,
    *,
    threads: int = 1,
    seed: int = 1,
    seconds: float = 0.2,
) -> Iterator[Narrowed]:
    """Measure after CHURN of the rows were replaced by vectors at the cosine NEAR, each way."""
    queries, count = subject.queries[:_QUERIES], subject.rows
    chance = np.random.default_rng(seed)
    gone = chance.permutation(count)[: max(1, round(CHURN * count))]
    fresh = noisy(subject.vectors[gone], NEAR, chance)
    second = builder.build(fresh, threads)
    live = ~_mask(gone, subject.vectors)
    everything = np.concatenate([subject.vectors, fresh])
    allowed = np.concatenate([live, np.ones(len(fresh), np.bool_)])
    truth = exact_neighbours(everything, queries, k, allowed)
    olds, news = _ways(graph, k, ef, live), _ways(second, k, ef, None)
    for (way, one), (_, other) in zip(olds, news, strict=True):
        timed = time_single(partial(_merged, one, other, count, k), queries, k, seconds)
        found = recall(everything, queries, timed.rows, truth, k)
        yield _narrowed("churn", way, 1 - CHURN, count, found, timed)


def _ways(graph: VectorGraph, k: int, ef: int, allowed: Marks | None) -> list[tuple[str, Ask]]:
    return [
        ("walked", partial(graph.walk, k=k, allowed=allowed, ef=ef)),
        ("served", partial(graph.search, k=k, allowed=allowed, ef=ef)),
    ]


def _merged(one: Ask, other: Ask, offset: int, k: int, query: FloatMatrix) -> tuple[Floats, Ids]:
    cosines, rows = one(query)
    more, others = other(query)
    together = np.concatenate([cosines, more])
    order = np.argsort(-together, kind="stable")[:k]
    return together[order], np.concatenate([rows, others + offset])[order]


def _mask(rows: Ids, vectors: FloatMatrix) -> Marks:
    mask = np.zeros(len(vectors), np.bool_)
    mask[rows] = True
    return mask


def _narrowed(what: str, way: str, share: float, rows: int, found: float, timed: Timed) -> Narrowed:
    return Narrowed(what, way, share, rows, found, timed.qps, timed.milliseconds["p95"])


_STATED = {"filters": list(SHARES), "churn": [CHURN, NEAR]}  # in the log's key


def conditions(
    subject: Subject,
    cell: Cell,
    bench: Bench,
    kinds: Sequence[str],
    observe: Observer = unobserved,
) -> tuple[Narrowed, ...]:
    """Return how a cell does under each of `kinds` (filters, churn), from the log if it is
    there.
    """
    found: list[Narrowed] = []
    for kind in kinds:
        key = {"what": kind, "k": cell.k, "ef": cell.ef, "stated": _STATED[kind]}
        key |= cell_key(cell.build, subject.rows)
        value = bench.log.get(**key)
        if value is None:
            graph, _ = bench.store.open(cell.build, subject.vectors)
            measured = _measured(kind, subject, cell, bench, graph)
            value = {"rows": [asdict(row) for row in measured]}
            bench.log.put(value, **key)
        found += [Narrowed(**row) for row in value["rows"]]
        observe(f"{kind}: {cell}", 1.0)
    return tuple(found)


def _measured(
    kind: str, subject: Subject, cell: Cell, bench: Bench, graph: VectorGraph
) -> Iterable[Narrowed]:
    if kind == "filters":
        return filtered(subject, graph, cell.k, cell.ef, seconds=bench.seconds)
    builder = bench.store.builder(cell.build)
    return churned(
        subject,
        graph,
        builder,
        cell.k,
        cell.ef,
        threads=bench.threads,
        seconds=bench.seconds,
    )
