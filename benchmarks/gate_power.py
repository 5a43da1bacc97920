"""How often `dateline eval gate` catches a true loss, and how often it raises a false alarm.

    python -m benchmarks.gate_power BASELINE MUTATED [--null FOLDER] [--loss 0.02] [--resamples 300]

BASELINE and MUTATED are folders that `dateline eval run` wrote, of one or several collections: the
system as it is, and one with a weight changed for the worse. All queries of all collections are
pooled. Each resample draws as many of them with replacement, and the gate's own rule decides.

- `caught, as measured`: the true loss is what the changed weight cost; it is shown beside.
- `caught, at the loss`: the same differences, moved so that the true loss is exactly --loss.
- `alarm, moved to 0`: the same, moved so that nothing is lost.
- `alarm, exchanged`: each query's two values are exchanged at random: no true change, with exactly
  the spread of the real one.
- with --null, a folder of another system that is about as good: its differences moved to 0, and
  exchanged.

Each share comes with its 95 % interval (Wilson).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.machine import arguments, show, this_machine
from eval.compare.gate import Rule, got_worse
from eval.compare.pairing import paired, read_system
from eval.compare.power import (
    RESAMPLES,
    exchanged,
    least_effect,
    queries_needed,
    recentred,
    resampled,
    share_caught,
)
from eval.compare.significance import Values, spread

DRAWS = 2000  # in each decision; the command itself takes 10,000


def main() -> None:
    """Run the simulation."""
    parser = arguments(__doc__)
    parser.add_argument("baseline", type=Path)
    parser.add_argument("mutated", type=Path)
    parser.add_argument("--null", type=Path, help="a system that is about as good")
    parser.add_argument("--measure", default="nDCG@10")
    parser.add_argument("--loss", type=float, default=0.02, help="the true loss to catch")
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--queries", type=int, default=0, help="draw so many, to plan a bigger set")
    chosen = parser.parse_args()
    machine = this_machine()
    figures: dict[str, object] = {}
    mutated = pooled(chosen.baseline, chosen.mutated, chosen.measure)
    figures |= _about("mutated", mutated)
    rule = Rule(least_effect=chosen.loss)
    for name, draws in _worlds(chosen, mutated):
        figures[name] = str(share_caught(draws, lambda drawn: got_worse(drawn, rule, DRAWS)))
        if not chosen.json:
            print(f"{name}: {figures[name]}", flush=True)
    show("gate", figures, machine, as_json=chosen.json)


def pooled(baseline: Path, other: Path, measure: str) -> Values:
    """Return float64 [queries]: the differences of all collections, end to end."""
    pairs = paired(read_system(baseline, "baseline"), read_system(other, "other"))
    return np.concatenate([pair.differences(measure) for pair in pairs])


def _worlds(chosen: argparse.Namespace, mutated: Values) -> Iterator[tuple[str, Iterator[Values]]]:
    times, count = chosen.resamples, chosen.queries
    yield "caught, as measured", resampled(mutated, times, count=count)
    yield "caught, at the loss", resampled(recentred(mutated, -chosen.loss), times, count=count)
    yield "alarm, moved to 0", resampled(recentred(mutated, 0.0), times, count=count)
    yield "alarm, exchanged", exchanged(mutated, times, count=count)
    if chosen.null is not None:
        null = pooled(chosen.baseline, chosen.null, chosen.measure)
        print(f"null change: mean {null.mean():+.4f}, spread {spread(null):.4f}", file=sys.stderr)
        yield "alarm, null moved to 0", resampled(recentred(null, 0.0), times, count=count)
        yield "alarm, null exchanged", exchanged(null, times, count=count)


def _about(name: str, differences: Values) -> dict[str, object]:
    deviation = spread(differences)
    return {
        f"{name}: queries": len(differences),
        f"{name}: mean difference": f"{differences.mean():+.4f}",
        f"{name}: spread of differences": f"{deviation:.4f}",
        f"{name}: least loss shown (power .8)": f"{least_effect(deviation, len(differences)):.4f}",
        f"{name}: queries needed for 0.02": queries_needed(0.02, deviation),
    }


if __name__ == "__main__":
    main()
