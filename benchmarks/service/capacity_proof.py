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
- `remote`: models in one more process, asked over HTTP. It is predicted from the times of
  `embedded` and what a call costs more, asked by one client;
- `opensearch`: retrieval by the cluster that the settings name, on this machine. It is predicted
  from its own times, asked by one client, and shown beside the constants of a plan.

Before any load, searches alone are measured as `capacity measure` does, and clients that ask in
turn of one search process and of one for each thread. Then:

- the knee: the most answers a second to clients that ask again at once;
- Poisson load at some shares of the knee, in `rounds` that take turns: p50 and p95 of all answers,
  with the least and most of a round. The model plays the moments at which the load was due, because
  chance differs much between loads of some seconds. The load generator runs on the same machine:
  its own processor time is measured in a light load, and played, too.

`--directions`: does p95 of reranking at 60 % move as predicted, with a deadline that leaves half of
the reranking of a search alone, and with batches of an eighth of the tokens?

A search's time runs from the moment at which it was due. Nothing else may run on the machine. `off`
is measured over predicted, less 1. A row that misses its aim is marked, and shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

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
    PLACES,
    arrivals_of,
    make,
    percentile_ms,
    settings_of,
)
from capacity.measurements import RERANK, SearchTimes
from capacity.service_model import Elsewhere, ServiceModel, constant, on_measured
from capacity.simulator import Played
from dateline.build.engine import drop_indexes

LOADS = (0.3, 0.6, 0.85)
_P50, _P95, _P95_NEAR, _KNEE = 0.15, 0.25, 0.4, 0.15  # aims; p95's at 85 % is the third
_NEAR = 0.7  # loads above this share have the wider aim
_DIRECTIONS = "hybrid-rerank"
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
    parser.add_argument("--seconds", type=float, default=7.0, help="of one load in one round")
    parser.add_argument("--rounds", type=int, default=5)
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
        found: list[Measured] = []
        for part in (
            measuring.directions(processes[-1], spans)
            if chosen.directions
            else measuring.parts(processes, spans)
        ):
            write(chosen.parts, part)
            found.append(part)
        print("\n".join(" | ".join(row.cells) for row in rows_of(found)))


def _table(parts: Sequence[Measured]) -> str:
    if not parts:
        raise SystemExit("no part is measured yet")
    machine = parts[0].base.machine
    memory = machine.memory / 2**30
    made = max(part.base.made for part in parts)
    said = f"{made}, {machine.processor}, {machine.threads} threads, {memory:.0f} GiB"
    return table(rows_of(parts), said)


def rows_of(parts: Sequence[Measured]) -> list[Row]:
    """Return the rows of all parts; one with a change is compared with the same part without it."""
    found: list[Row] = []
    whole = {part.name: part for part in parts if part.change is None}
    for part in parts:
        if part.change is None:
            found += Predicted(part).rows()
        elif part.name in whole:
            found.append(_direction(whole[part.name], part, part.change))
    return found


# --- what is predicted


class Predicted:
    """What the model says of a part, from nothing but its base."""

    def __init__(self, part: Measured, change: Change | None = None) -> None:
        self._part, self._base = part, part.base
        base = part.base
        times = base.times if base.here is None else base.here
        deadline = base.deadline
        if change is not None:
            times, deadline = _scored(times, change.scored), change.deadline
        self._machine = replace(base.machine, curve=_curve(base))
        self._host = on_measured(self._machine, part.processes)
        self._remote = _calls(base) if base.here is not None else None
        if base.node_ms:
            times = _with_nodes(base, times)
        self._times = times
        self._model = ServiceModel(
            self._machine, [times], deadline=deadline, batch_ms=base.batch_ms
        )

    def rows(self) -> Iterator[Row]:
        """Yield every figure of the part."""
        if self._base.node_ms:
            yield from self._constants()
        for load in self._part.loads:
            played = self.played(load)
            yield self._row(load, played, 50, _P50)
            yield self._row(load, played, 95, _P95_NEAR if load.share > _NEAR else _P95)
        knee, said = self._part.knee, self.knee()
        met = abs(knee / said - 1) <= _KNEE
        yield Row(self._part.name, "knee, a second", said, knee, knee, knee, _KNEE, met)

    def knee(self) -> float:
        """Return the most answers a second to clients that ask again at once."""
        size, load = self._times.passages, self._part.load_ms
        return max(
            self._model.most(self._host, size, clients, remote=self._remote, load_ms=load)
            for clients in CLIENTS
        )

    def played(self, load: Load) -> Played:
        """Play the moments at which a load was due."""
        return self._model.play(
            self._host,
            self._times.passages,
            arrivals_of(load.rounds),
            remote=self._remote,
            load_ms=self._part.load_ms,
        )

    def _row(self, load: Load, played: Played, percent: int, aim: float) -> Row:
        every = [percentile_ms([heard], percent) for heard in load.rounds]
        predicted, found = played.at(percent), percentile_ms(load.rounds, percent)
        low, high = min(every), max(every)
        inside = low <= predicted <= high if percent == 50 else False  # or the rounds' spread
        met = inside or abs(found / predicted - 1) <= aim
        what = f"{load.share:.0%} ({load.rate:.1f}/s): p{percent}, ms"
        return Row(self._part.name, what, predicted, found, low, high, aim, met)

    def _constants(self) -> Iterator[Row]:
        """Yield a comparison with a plan's constants: work of a search here and in the nodes."""
        times, base = self._base.times, self._base
        here = times.width * (times.alone - times.front_ms - times.load_ms) + times.front_ms
        for what, name, found in (
            ("work of a search here, ms", "opensearch_here_ms", here),
            ("work of a search in the nodes, ms", "opensearch_node_ms", base.node_ms),
        ):
            known = constant(name)
            inside = known.low <= found <= known.high
            yield Row(self._part.name, what, known.middle, found, found, found, _P95, inside)


def _curve(base: Base) -> tuple[float, ...]:
    """Return the curve of the machine's threads: the more they slow each other, the more processor
    time an answer takes. One client keeps one thread busy; `capacity measure` does the same.
    """
    times, threads = base.times, base.machine.threads
    searching = times.width * (times.alone - times.front_ms - times.load_ms)
    one = times.front_ms + searching + times.load_ms
    paid = {turn.processes: turn.front_ms + turn.search_ms + turn.load_ms for turn in base.turns}
    return (1.0, *(min(n, max(1.0, n * one / paid[n])) for n in range(2, threads + 1)))


def _calls(base: Base) -> Elsewhere:
    """Return what a call of a model in another process of this machine costs more: what one client
    waits more, by call.
    """
    assert base.here is not None
    calls = sum(base.here.of(stage).mean() > 0 for stage in ("understand", "encode", RERANK))
    more = max(0.0, base.times.alone - base.here.alone) / max(1, calls)
    speed = dict.fromkeys(("int8", "memory", "python"), 1.0)
    return Elsewhere("models", (1.0,), speed, more, here=True)


def _with_nodes(base: Base, times: SearchTimes) -> SearchTimes:
    """Return the times with the nodes' work in their width."""
    waited = times.alone - times.front_ms - times.load_ms
    return replace(times, width=max(0.1, times.width + base.node_ms / waited))


def _scored(searches: SearchTimes, share: float) -> SearchTimes:
    """Return searches whose reranking takes `share` of the time."""
    place = searches.stages.index(RERANK)
    rows = (
        tuple(ms * share if n == place else ms for n, ms in enumerate(row)) for row in searches.rows
    )
    return replace(searches, rows=tuple(rows))


def _direction(whole: Measured, part: Measured, change: Change) -> Row:
    """Return whether a change moved p95 as predicted."""
    (after,) = part.loads
    (before,) = (load for load in whole.loads if load.share == after.share)
    predicted = (
        Predicted(whole).played(before).at(95),
        Predicted(whole, change).played(after).at(95),
    )
    found = percentile_ms(before.rounds, 95), percentile_ms(after.rounds, 95)
    every = [percentile_ms([heard], 95) for heard in after.rounds]
    met = _moved(predicted[1] / predicted[0]) == _moved(found[1] / found[0])
    what = f"p95 with {change.name}, ms; without: {predicted[0]:.0f} predicted, {found[0]:.0f}"
    return Row(part.name, what, predicted[1], found[1], min(every), max(every), 0.0, met)


def _moved(ratio: float) -> int:
    """Return -1, 0 or 1: whether a figure fell, stayed or rose."""
    return 0 if abs(ratio - 1) < _STEP else 1 if ratio > 1 else -1


if __name__ == "__main__":
    main()
