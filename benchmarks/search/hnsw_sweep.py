"""A sweep of 3 x 2 graphs at 8 widths over 20,000 vectors, as `dateline tune hnsw` does it.

    python -m benchmarks.search.hnsw_sweep [--data DIR] [--count N] [--threads N] [--conditions]

The vectors are passages of the judged collections that are indexed under `--data`, with noisy
copies if they are too few; 500 of them are held out as queries. Exact neighbours, the builds, and
all queries for 10 and for 100 rows are timed, and with `--conditions` also filters and churn. The
sweep starts with an empty log in a folder of its own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.machine import arguments, show, this_machine
from dateline.measuring.sweep_subjects import vectors_of
from dateline.measuring.tune_hnsw import Plan, tune_hnsw
from dateline.settings import configure
from eval.tune.graphs.sweep_grid import Grid
from eval.tune.graphs.sweep_target import parse_target


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--target", default="recall .99")
    parser.add_argument("--conditions", action="store_true", help="filters and churn too")
    chosen = parser.parse_args()
    machine = this_machine()
    settings = configure({"data": str(chosen.data)}).settings
    vectors = vectors_of(settings, "", None, count=chosen.count, queries=chosen.queries)
    kinds = ("filters", "churn") if chosen.conditions else ()
    with tempfile.TemporaryDirectory() as place:
        plan = Plan(
            Grid(),
            parse_target(chosen.target),
            chosen.threads,
            Path(place),
            kinds=kinds,
        )
        started = perf_counter()
        found = tune_hnsw(settings, vectors, plan)
        seconds = perf_counter() - started
    cell = found.recommendation.cell
    figures = {
        "vectors": len(vectors.vectors),
        "real_vectors": vectors.real,
        "queries": len(vectors.queries),
        "graphs": len(plan.grid.builds()),
        "cells": len(found.cells),
        "sweep_s": seconds,
        "builds_s": sum({each.build: each.build_seconds for each in found.cells}.values()),
        "recommended": str(cell),
        "meets_the_target": found.recommendation.met,
        "recall": cell.recall,
        "queries_per_s": cell.qps,
        "p95_ms": cell.milliseconds["p95"],
    }
    show("an HNSW sweep", figures, machine, as_json=chosen.json)


if __name__ == "__main__":
    main()
