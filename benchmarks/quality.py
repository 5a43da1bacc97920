"""Quality and time of the serving pipeline on judged sets.

    python -m benchmarks.quality [--sets DIR] [--profiles P,P] [NAME[:SPLIT] ...]

Each set is indexed once into the evaluation's cache. Every profile answers all its judged queries,
one after the other, with its own encoders, so that no profile finds another's vectors in the cache.
nDCG@10 and R@100 are means over the queries (eval/runs/measures.py has the conventions); p50 is of
a search for 100 hits without marks.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import REUTERS, arguments, show, this_machine
from benchmarks.news import Reporting
from dateline.measuring.evaluate import evaluate_folder
from dateline.settings import Settings, configure
from eval.runs.results import RunResult
from eval.runs.run_summary import degraded, refused

SETS = ("scifact:test", "checkthat2020:dev", "cacm", "vaswani", "fnc1")
PROFILES = ("lexical", "vector", "hybrid", "best", "hybrid-rrf", "hybrid-rerank")
FLOORS = {  # least nDCG@10 of the default profile
    "scifact:test": 0.725,
    "checkthat2020:dev": 0.86,
    "cacm:test": 0.565,
    "vaswani:test": 0.49,
    "fnc1:test": 0.97,
}
_ROW = "{:<20} {:<14} {:>8} {:>8} {:>8}  {}"


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("names", nargs="*", default=SETS)
    parser.add_argument("--sets", type=Path, default=REUTERS.parent, help="folder of the sets")
    parser.add_argument("--profiles", default=",".join(PROFILES))
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the cache is")
    chosen = parser.parse_args()
    machine = this_machine()
    settings = configure({"data": str(chosen.data)}).settings
    if not chosen.json:
        print(_ROW.format("set", "profile", "nDCG@10", "R@100", "p50 ms", "floor"))
    figures: dict[str, Any] = {}
    for name in chosen.names:
        for profile in chosen.profiles.split(","):
            found = _evaluate(settings, chosen.sets / name, profile)
            figures[f"{found.collection.label} {profile}"] = _row(found)
            if not chosen.json:
                _print(found)
    if chosen.json:
        show("quality", figures, machine, as_json=True)
    else:
        print(machine)


def _evaluate(settings: Settings, folder: Path, profile: str) -> RunResult:
    found = evaluate_folder(settings, str(folder), profile, Reporting())
    name = found.collection.name
    for note in found.notes:
        print(f"{name}: {note}", file=sys.stderr)
    for query, reason in refused(found).items():
        print(f"{name}: query {query} was refused: {reason}", file=sys.stderr)
    for stage, count in degraded(found).items():
        print(f"{name}: {stage} degraded in {count} answers", file=sys.stderr)
    return found


def _row(found: RunResult) -> dict[str, float]:
    means = {measure: found.mean(measure) for measure in found.measures}
    return {**means, "p50_ms": found.milliseconds(50), "p99_ms": found.milliseconds(99)}


def _print(found: RunResult) -> None:
    name, profile = found.collection.label, found.system.profile
    score, recall = found.mean("nDCG@10"), found.mean("R@100")
    floor = FLOORS.get(name) if profile == "hybrid" else None
    said = "" if floor is None else f"{floor} {'met' if score >= floor else 'MISSED'}"
    shown = f"{score:.4f}", f"{recall:.4f}", f"{found.milliseconds(50):.1f}"
    print(_ROW.format(name, profile, *shown, said), flush=True)


if __name__ == "__main__":
    main()
