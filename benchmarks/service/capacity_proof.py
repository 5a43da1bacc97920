"""Whether `dateline capacity plan` predicts what a service does: open-loop load against the model.

    python -m benchmarks.service.capacity_proof --make [--where opensearch] [--passages N]
    python -m benchmarks.service.capacity_proof [--profiles A,B] [--processes 1,2] [--where PLACE]
        [--loads .3,.6,.85] [--seconds N] [--rounds N] [--parts FOLDER]
    python -m benchmarks.service.capacity_proof --directions [--processes N] [--parts FOLDER]
    python -m benchmarks.service.capacity_proof --table [--parts FOLDER]
    python -m benchmarks.service.capacity_proof --drop --where opensearch

The first makes one archive in `--data`, and the last removes its index in the cluster. The second
and third measure parts of the proof on it, each into a file of `--parts`; the fourth plays them by
the model and prints all as a table, so that another model needs no new load. A part is one profile
by one number of search processes, in one place:

- `embedded`: models and indexes in the search processes;
- `remote`: models in one more process, asked over HTTP;
- `opensearch`: retrieval by the cluster that the settings name, on this machine.

What a search takes of the processors in both of the last two is held against what a plan says, too.

Everything is measured in short `rounds`, because the speed of a shared machine changes from second
to second:

- searches of one client, without and with pauses, as `capacity measure` asks them, before and after
  each load: only they are what is predicted from. Each round of a load is played at the speed that
  they had around it;
- the knee: the most answers a second to clients that ask again at once; with one search process for
  each thread it also gives the curve of the threads;
- Poisson load at some shares of a first knee: p50 and p95 of all answers, with the least and most
  of five runs, to which the rounds belong in turn. The model plays the moments at which the load
  was due, because chance differs much between loads of some seconds. The load generator runs on
  the same machine: its own processor time is measured in a light load, and played, too.

`--directions`: does p95 of reranking at 60 % move as predicted, with a deadline that leaves half of
the reranking of a search alone, and with batches of an eighth of the tokens?

A search's time runs from the moment at which it was due. Nothing else may run on the machine. `off`
is measured over predicted, less 1. A row that misses its aim is marked, and shown.
"""

from __future__ import annotations

import argparse
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.machine import arguments
from benchmarks.service.proof_measuring import (
    CLIENTS,
    Base,
    Change,
    Load,
    Measured,
    Measuring,
    Spans,
    read,
    write,
)
from benchmarks.service.proof_rows import Row, table
from benchmarks.service.proof_serving import (
    EMBEDDED,
    OPENSEARCH,
    PLACES,
    Heard,
    arrivals_of,
    make,
    percentile_ms,
    settings_of,
)
from capacity.instances import BOUNDS, End
from capacity.measurements import RERANK, SearchTimes
from capacity.nodes import IndexShape, node_times
from capacity.service_model import Elsewhere, ServiceModel, on_measured
from capacity.simulator import Floats64
from dateline.build.engine import drop_indexes

LOADS = (0.3, 0.6, 0.85)
_R = TypeVar("_R")
_P50, _P95, _P95_NEAR, _KNEE = 0.15, 0.25, 0.4, 0.15  # aims; p95's at 85 % is the third
_NEAR = 0.7  # loads above this share have the wider aim
_DIRECTIONS = "hybrid-rerank"
_RUNS = 5
_FURTHEST = 30  # hundredths: machines that are this much slower or faster are not tried
_STEP = 0.02  # what moves by less has not moved


def main() -> None:
    """Make the archive or remove its indexes, measure parts, or print the table."""
    parser = arguments(__doc__, json=False)
    parser.add_argument("--data", type=Path, default=Path("data/proof"), help="the archive")
    parser.add_argument("--make", action="store_true", help="make the archive, and end")
    parser.add_argument("--drop", action="store_true", help="remove its indexes, and end")
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--where", choices=PLACES, default=PLACES[0])
    parser.add_argument("--profiles", default="lexical,hybrid,hybrid-rerank")
    parser.add_argument("--processes", default="1,2", help="that search")
    parser.add_argument("--loads", default=",".join(map(str, LOADS)), help="shares of the knee")
    parser.add_argument("--seconds", type=float, default=2.5, help="of one load in one round")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--directions", action="store_true", help="of a deadline and of batches")
    parser.add_argument("--parts", type=Path, default=Path("data/proof-parts"), help="their files")
    parser.add_argument("--table", action="store_true", help="print the parts as a table, and end")
    chosen = parser.parse_args()
    if chosen.table:
        print(_table(read(chosen.parts)))
    elif chosen.drop:
        drop_indexes(settings_of(chosen.data, chosen.where))
    elif chosen.make:
        make(settings_of(chosen.data, chosen.where), chosen.passages)
    else:
        _measure(chosen)


def _measure(chosen: argparse.Namespace) -> None:
    loads = tuple(float(each) for each in chosen.loads.split(","))
    spans = Spans(loads, chosen.seconds, chosen.rounds)
    settings = settings_of(chosen.data, chosen.where)
    processes = [int(each) for each in chosen.processes.split(",")]
    for profile in [_DIRECTIONS] if chosen.directions else chosen.profiles.split(","):
        measuring = Measuring(settings, chosen.where, profile)
        parts = (
            measuring.directions(processes[-1], spans)
            if chosen.directions
            else measuring.parts(processes, spans)
        )
        for part in parts:
            write(chosen.parts, part)
            print("\n".join(" | ".join(row.cells) for row in rows_of([part])), flush=True)


def _table(parts: Sequence[Measured]) -> str:
    if not parts:
        raise SystemExit("no part is measured yet")
    machine = parts[0].base.machine
    memory = machine.memory / 2**30
    made = max(part.base.made for part in parts)
    said = f"{made}, {machine.processor}, {machine.threads} threads, {memory:.0f} GiB"
    speeds = [heard.slower for part in parts for load in part.loads for heard in load.rounds]
    spread = f"{min(speeds):.2f} to {max(speeds):.2f} times as long as on average"
    return table(rows_of(parts), f"{said}. Searches alone around a load took {spread}")


def rows_of(parts: Sequence[Measured]) -> list[Row]:
    """Return the rows of all parts."""
    here = {each.profile: each.base.times for each in parts if each.where == EMBEDDED}
    found: list[Row] = []
    for part in parts:
        if part.change is not None:
            found.append(_direction(part, part.change))
            continue
        if part.where != EMBEDDED and part.profile in here:
            found += _constants(part, here[part.profile])
        found += Predicted(part).rows()
    return found


# --- what is predicted


class Predicted:
    """What the model says of a part, from nothing but its base."""

    def __init__(self, part: Measured, change: Change | None = None) -> None:
        self._part, self._base = part, part.base
        base = part.base
        times, deadline = base.times, base.deadline
        if change is not None:
            times, deadline = _scored(times, change.scored), change.deadline
        self._times = times = _with_beside(base, times)
        self._model = ServiceModel(base.machine, [times], deadline=deadline, batch_ms=base.batch_ms)

    def rows(self) -> Iterator[Row]:
        """Yield every figure of the part."""
        for load in self._part.loads:
            played = self.played(load)
            for percent in (50, 95):
                row = self._row(load, played, percent)
                yield row if row.met else replace(row, speed=self._speed(load, percent, row))
        knee, said = self._part.knee, self.knee()
        every = [sum(run) / len(run) for run in _runs(self._part.knees)]
        met = abs(knee / said - 1) <= _KNEE
        yield Row(self._part.name, "knee, a second", said, knee, min(every), max(every), _KNEE, met)

    def knee(self) -> float:
        """Return the most answers a second to clients that ask again at once."""
        host = on_measured(self._base.machine, self._part.processes)
        size, load = self._times.passages, self._part.load_ms
        return max(self._model.most(host, size, clients, load_ms=load) for clients in CLIENTS)

    def played(self, load: Load, speed: float = 1.0) -> Floats64:
        """Play the moments at which a load was due, each round at the machine's speed of then, or
        as if it was `speed` times as fast. Return milliseconds, float64 [answers].
        """
        return np.concatenate([self._round(heard, heard.slower / speed) for heard in load.rounds])

    def _round(self, heard: Heard, slower: float) -> Floats64:
        host = on_measured(self._base.machine, self._part.processes, slower)
        size, arrivals = self._times.passages, arrivals_of(heard)
        return self._model.play(host, size, arrivals, load_ms=self._part.load_ms).milliseconds

    def _speed(self, load: Load, percent: int, row: Row) -> float:
        """Return how many times as fast a machine would do what was measured, to one in a hundred:
        0 if none does.
        """
        sign = 1 if row.measured < row.predicted else -1
        tried = range(1, _FURTHEST)

        def reached(step: int) -> bool:
            played = self.played(load, 1 + sign * step / 100)
            return sign * float(np.percentile(played, percent)) <= sign * row.measured

        place = bisect_left(tried, True, key=reached)
        return 1 + sign * tried[place] / 100 if place < len(tried) else 0.0

    def _row(self, load: Load, played: Floats64, percent: int) -> Row:
        aim = _P50 if percent == 50 else _P95_NEAR if load.share > _NEAR else _P95
        every = [percentile_ms(run, percent) for run in _runs(load.rounds)]
        predicted = float(np.percentile(played, percent))
        found = percentile_ms(load.rounds, percent)
        low, high = min(every), max(every)
        inside = low <= predicted <= high if percent == 50 else False  # or the rounds' spread
        met = inside or abs(found / predicted - 1) <= aim
        what = f"{load.share:.0%} ({load.rate:.1f}/s): p{percent}, ms"
        return Row(self._part.name, what, predicted, found, low, high, aim, met)


def _runs(rounds: Sequence[_R]) -> list[Sequence[_R]]:
    """Return rounds as five runs that take turns, or fewer if there are fewer rounds."""
    return [rounds[n::_RUNS] for n in range(min(_RUNS, len(rounds)))]


def _constants(part: Measured, embedded: SearchTimes) -> Iterator[Row]:
    """Yield what a plan says of a search's work with OpenSearch or models elsewhere, which it
    reckons from searches of the `embedded` engine and from constants.
    """
    base, times = part.base, part.base.times
    model = ServiceModel(base.machine, [embedded], deadline=base.deadline)
    alike = dict.fromkeys(BOUNDS, 1.0)
    place = Elsewhere("there", (1.0,), alike, 0.0)
    shape = IndexShape(times.passages, segments=base.segments)
    nodes = part.where == OPENSEARCH

    def here(end: End) -> float:
        host = replace(on_measured(base.machine, part.processes), end=end)
        other = {"nodes": place} if nodes else {"remote": place}
        return model.mean_work(host, times.passages, **other)

    def there(end: End) -> float:
        if nodes:
            return node_times(shape, end).work
        host = replace(on_measured(base.machine, part.processes), end=end)
        return model.model_work(host, times.passages, place)

    for what, reckoned, ms in (
        ("here", here, times.served_ms),
        ("in the nodes" if nodes else "of models", there, base.beside_ms),
    ):
        low, middle, high = (reckoned(end) for end in (End.FAST, End.MIDDLE, End.SLOW))
        said = f"work of a search {what}, ms; a plan's interval: {low:.0f} to {high:.0f}"
        met = low <= ms <= high or abs(ms / middle - 1) <= _P95
        yield Row(part.name, said, middle, ms, ms, ms, _P95, met)


def _with_beside(base: Base, times: SearchTimes) -> SearchTimes:
    """Return the times. Their width also counts the work of nodes, or of models elsewhere."""
    waited = times.alone - times.front_ms - times.load_ms
    return replace(times, width=max(0.1, times.width + base.beside_ms / waited))


def _scored(searches: SearchTimes, share: float) -> SearchTimes:
    """Return searches whose reranking takes `share` of the time."""
    place = searches.stages.index(RERANK)
    rows = (
        tuple(ms * share if n == place else ms for n, ms in enumerate(row)) for row in searches.rows
    )
    return replace(searches, rows=tuple(rows))


def _direction(part: Measured, change: Change) -> Row:
    """Return whether a change moved p95 as predicted."""
    (after,), before = part.loads, part.without
    assert before is not None
    predicted = (
        float(np.percentile(Predicted(part).played(before), 95)),
        float(np.percentile(Predicted(part, change).played(after), 95)),
    )
    found = percentile_ms(before.rounds, 95), percentile_ms(after.rounds, 95)
    every = [percentile_ms(run, 95) for run in _runs(after.rounds)]
    met = _moved(predicted[1] / predicted[0]) == _moved(found[1] / found[0])
    what = f"p95 with {change.name}, ms; without: {predicted[0]:.0f} predicted, {found[0]:.0f}"
    return Row(part.name, what, predicted[1], found[1], min(every), max(every), 0.0, met)


def _moved(ratio: float) -> int:
    """Return -1, 0 or 1: whether a figure fell, stayed or rose."""
    return 0 if abs(ratio - 1) < _STEP else 1 if ratio > 1 else -1


if __name__ == "__main__":
    main()
