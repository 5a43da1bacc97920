"""The longer measurements of a sweep, for few of its cells: with filters, and after churn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from core.graph_ports import VectorGraph
from eval.tune.sweep_filters import CHURN, NEAR, SHARES, Narrowed, churned, filtered
from eval.tune.sweep_graphs import cell_key
from eval.tune.sweep_target import Cell
from eval.tune.vector_sweep import Bench, Observer, Subject, unobserved

_STATED = {"filters": list(SHARES), "churn": [CHURN, NEAR]}  # in the log's key


def conditions(
    subject: Subject,
    cell: Cell,
    bench: Bench,
    kinds: Sequence[str],
    observe: Observer = unobserved,
) -> tuple[Narrowed, ...]:
    """How a cell does under each of `kinds` (filters, churn), from the log if it is there."""
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
