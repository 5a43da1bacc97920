"""Is the reranker worth its time? Compares the profile with and without it, set by set.

    python -m benchmarks.rerank_quality [--sets DIR] [--data DIR] [--reranker NAME] [--against P]
                                        [--candidates N] [--tokens T] [--queries N]
                                        [NAME[:SPLIT] ...]

Queries go through the serving pipeline in the served shape: N candidates of at most T tokens. The
deadline is a minute, so that a slow machine gives the same ranking as a fast one; the time of a
query is reported. `--queries` limits the queries of a set, spread evenly over it.

Each row is nDCG@10 with and without, the difference in points with a 95 % bootstrap interval, and p
of a paired randomization test adjusted by Holm over the sets. The last rows are means over all
sets, and over those without a training split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import REUTERS, arguments, show, show_table, this_machine
from benchmarks.news import Reporting
from benchmarks.quality import SETS
from dateline.measuring.evaluate import RunPlan, run_set
from dateline.settings import Settings, configure
from eval.compare.significance import Values, bootstrap_interval, holm, randomization
from eval.runs.results import RunResult
from eval.sets.datasets import JudgedSet, read_judged_set

MEASURE = "nDCG@10"
PATIENT = {"deadline_ms": "60000"}
HEAD = ("set", "queries", "without", "with", "points", "95 %", "p, Holm", "p50 ms", "cut short")
Pair = tuple[RunResult, RunResult]  # without, with
UNSEEN = ("cacm", "vaswani", "fnc1")  # sets without a training split


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("names", nargs="*", default=SETS)
    parser.add_argument("--sets", type=Path, default=REUTERS.parent, help="folder of the sets")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the cache is")
    parser.add_argument("--reranker", help="model; the settings' own by default")
    parser.add_argument("--models", help="folder of the models")
    parser.add_argument("--candidates", type=int, help="stories that are reranked")
    parser.add_argument("--tokens", type=int, help="tokens of query and passage")
    parser.add_argument("--queries", type=int, help="of each set, at most")
    parser.add_argument("--profile", default="hybrid-rerank")
    parser.add_argument("--against", default="hybrid")
    chosen = parser.parse_args()
    given = {
        "data": str(chosen.data),
        "models": chosen.models,
        "reranker": chosen.reranker,
        "rerank_candidates": chosen.candidates,
        "rerank_tokens": chosen.tokens,
    }
    settings = configure(given).settings
    machine = this_machine()
    rows = [_pair(settings, chosen.sets / name, chosen) for name in chosen.names]
    shape = f"{settings.rerank_candidates} candidates, {settings.rerank_tokens or 'all'} tokens"
    title = f"{chosen.profile} against {chosen.against}, {MEASURE}: {settings.reranker}, {shape}"
    figures = _figures(rows)
    if chosen.json:
        show(title, figures, machine, as_json=True)
        return
    print(title)
    show_table(HEAD, _table(figures))
    print(machine)


def _pair(settings: Settings, folder: Path, chosen: argparse.Namespace) -> Pair:
    """Measure one set, without and with the reranker."""
    judged = _some(read_judged_set(str(folder)), chosen.queries)
    without, reranked = (
        run_set(settings, judged, RunPlan(profile, PATIENT), Reporting())
        for profile in (chosen.against, chosen.profile)
    )
    print(
        f"{without.collection.name}: {_short(reranked)} answers cut short",
        file=sys.stderr,
        flush=True,
    )
    return without, reranked


def _some(judged: JudgedSet, most: int | None) -> JudgedSet:
    """Return the set with at most `most` of its queries."""
    ids = list(judged.queries)
    if most is None or most >= len(ids):
        return judged
    kept = {ids[place] for place in np.linspace(0, len(ids) - 1, most).astype(int)}
    return replace(
        judged,
        queries={query: text for query, text in judged.queries.items() if query in kept},
        qrels={query: grades for query, grades in judged.qrels.items() if query in kept},
    )


def _differences(pair: Pair) -> Values:
    """Return the differences of the queries, in points."""
    before, after = (one.values(MEASURE) for one in pair)
    return 100 * (after - before)


def _short(found: RunResult) -> int:
    """Return the number of answers whose reranking was cut short or left out."""
    return sum(any("rerank" in flag for flag in row.degraded) for row in found.rows)


def _figures(rows: Sequence[Pair]) -> dict[str, Any]:
    """Return one entry a set, and the two means over sets."""
    found = {pair[0].collection.name: _differences(pair) for pair in rows}
    adjusted = holm([randomization(values) for values in found.values()])
    figures: dict[str, Any] = {}
    for pair, p_value in zip(rows, adjusted, strict=True):
        name = pair[0].collection.name
        figures[name] = {
            "queries": len(found[name]),
            "without": pair[0].mean(MEASURE),
            "with": pair[1].mean(MEASURE),
            **_difference([found[name]]),
            "p": p_value,
            "p50_ms": pair[1].milliseconds(50),
            "cut_short": _short(pair[1]),
        }
    figures["mean of all"] = _difference(list(found.values()))
    unseen = [values for name, values in found.items() if name in UNSEEN]
    if unseen:
        figures["mean without training splits"] = _difference(unseen)
    return figures


def _difference(groups: Sequence[Values]) -> dict[str, float]:
    low, high = bootstrap_interval(groups)
    mean = float(np.mean([values.mean() for values in groups]))
    return {"points": mean, "low": low, "high": high}


def _table(figures: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    return [
        [
            name,
            f"{row['queries']:.0f}" if "queries" in row else "",
            *(f"{row[key]:.4f}" if key in row else "" for key in ("without", "with")),
            f"{row['points']:+.2f}",
            f"{row['low']:+.2f} to {row['high']:+.2f}",
            f"{row['p']:.3f}" if "p" in row else "",
            f"{row['p50_ms']:.0f}" if "p50_ms" in row else "",
            f"{row['cut_short']:.0f}" if "cut_short" in row else "",
        ]
        for name, row in figures.items()
    ]


if __name__ == "__main__":
    main()
