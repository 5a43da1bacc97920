"""Whether `dateline capacity plan` predicts what a service does: open-loop load against the model.

    python -m benchmarks.service.capacity_proof --make [--where opensearch] [--passages N]
    python -m benchmarks.service.capacity_proof [--profiles A,B] [--processes 1,2] [--where PLACE]
        [--loads .3,.6,.85] [--seconds N] [--rounds N] [--json FILE]
    python -m benchmarks.service.capacity_proof --directions [--processes N] [--json FILE]
    python -m benchmarks.service.capacity_proof --table FILE
    python -m benchmarks.service.capacity_proof --drop --where opensearch

The first makes one archive in `--data`, and the last removes its index in the cluster. The second
and third measure a part of the proof on it, and add rows to the file, which the fourth prints as a
table. A part is one profile by one number of search processes, in one place:

- `embedded`: models and indexes in the search processes;
- `remote`: models in one more process, asked over HTTP. It is predicted from the times of
  `embedded` and what a call costs more, asked by one client;
- `opensearch`: retrieval by the cluster that the settings name, on this machine. It is predicted
  from its own times, asked by one client, and shown beside the constants of a plan.

For each part, with the load generator on the same machine, whose own processor time was measured in
a light load before:

- searches alone and the curve of the machine's threads are measured as `capacity measure` does, and
  the model is made of them;
- Poisson load at some shares of what it predicts that the service holds, in `rounds` that take
  turns: p50 and p95 of all answers, with the least and most of a round;
- the knee: the most answers a second to clients that ask again at once.

`--directions`: does p95 of reranking at 60 % move as predicted, with a deadline that leaves half of
the reranking of a search alone, and with batches of an eighth of the tokens?

A search's time runs from the moment at which it was due. Nothing else may run on the machine. `off`
is measured over predicted, less 1. A row that misses its aim is marked, and shown.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.machine import arguments
from benchmarks.service.overload import Answer
from benchmarks.service.proof_rows import Row, keep, table
from benchmarks.service.proof_serving import (
    EMBEDDED,
    OPENSEARCH,
    PLACES,
    REMOTE,
    Asked,
    Made,
    made,
    make,
    nodes_spent_ms,
    percentile_ms,
    served,
    settings_of,
)
from capacity.measurements import RERANK, MachineFacts, SearchTimes
from capacity.service_model import SEED, WAITING, Elsewhere, ServiceModel, constant, on_measured
from capacity.simulator import Played, poisson
from dateline.build.engine import drop_indexes
from dateline.build.models.runtimes import open_scorer
from dateline.measuring.capacity.calls import made_texts
from dateline.measuring.capacity.machine import machine_facts, machine_peaks
from dateline.measuring.capacity.serving import alone, curve_of
from dateline.settings import Settings
from inference.measuring.machine import times
from inference.runtimes.loading import cores

LOADS = (0.3, 0.6, 0.85)
_P50, _P95, _P95_NEAR, _KNEE = 0.15, 0.25, 0.4, 0.15  # aims; p95's at 85 % is the third
_NEAR = 0.7  # loads above this share have the wider aim
_PLAYED = 4000
_FLOOD = 5000.0  # searches a second, which no machine answers
_LIGHT = 0.1  # of the capacity, to measure what the load itself takes
_ALONE = 150
_DIRECTIONS = "hybrid-rerank"
_UNCHANGED: Mapping[str, str] = {}
_STEP = 0.02  # what moves by less has not moved
_LEAST_DEADLINE = 50.0  # milliseconds: the least of the setting
_DEPTH, _TOKENS = 20, 128  # of a reranker's call, to see what batches change


def main() -> None:
    """Make the archive or remove its indexes, run a part, or print the table."""
    parser = arguments(__doc__, json=False)
    parser.add_argument("--data", type=Path, default=Path("data/proof"), help="the archive")
    parser.add_argument("--make", action="store_true", help="make the archive, and end")
    parser.add_argument("--drop", action="store_true", help="remove its indexes, and end")
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--where", choices=PLACES, default=PLACES[0])
    parser.add_argument("--profiles", default="lexical,hybrid,hybrid-rerank")
    parser.add_argument("--processes", default="1,2", help="that search")
    parser.add_argument("--loads", default=",".join(map(str, LOADS)), help="shares of capacity")
    parser.add_argument("--seconds", type=float, default=7.0, help="of one load in one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directions", action="store_true", help="of a deadline and of batches")
    parser.add_argument("--json", type=Path, help="file that gets the rows")
    parser.add_argument("--table", type=Path, help="print this file as a table, and end")
    chosen = parser.parse_args()
    if chosen.table:
        print(table(chosen.table))
    elif chosen.drop:
        drop_indexes(settings_of(chosen.data, chosen.where))
    elif chosen.make:
        make(settings_of(chosen.data, chosen.where), chosen.passages)
    else:
        _prove(chosen)


def _prove(chosen: argparse.Namespace) -> None:
    spans = Spans(
        tuple(float(each) for each in chosen.loads.split(",")), chosen.seconds, chosen.rounds
    )
    settings = settings_of(chosen.data, chosen.where)
    for processes in (int(each) for each in chosen.processes.split(",")):
        for profile in [_DIRECTIONS] if chosen.directions else chosen.profiles.split(","):
            print(f"{chosen.where}, {profile}, {processes} search processes", file=sys.stderr)
            part = Part(settings, profile, processes, chosen.where)
            rows = part.directions(spans) if chosen.directions else part.rows(spans)
            for row in rows:
                print(" | ".join(row.cells))
            if chosen.json:
                keep(chosen.json, rows)


# --- a part of the proof


@dataclass(frozen=True, slots=True)
class Spans:
    """Shares of the capacity to load with, seconds of each in one round, and rounds."""

    loads: tuple[float, ...]
    seconds: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Base:
    """What one client sees: the machine with its curve, the searches, and models or nodes that work
    in other processes of this machine.
    """

    machine: MachineFacts
    times: SearchTimes
    remote: Elsewhere | None = None


class Part:
    """One profile, served by a number of search processes."""

    def __init__(self, settings: Settings, profile: str, processes: int, where: str) -> None:
        self._settings, self._where = settings, where
        self._profile, self._processes = profile, processes
        self._name = f"{where}, {profile}, {processes} at once"
        self._reranks = profile.endswith("rerank")

    def rows(self, spans: Spans) -> list[Row]:
        """Measure and predict; return every figure."""
        base, found = self._base(spans.seconds)
        with self._served(self._processes, self._where) as (_, asked):
            base = self._with_load(base, asked, spans.seconds)
            most = self._most(base)
            rates = [share * most for share in spans.loads]
            heard = [[asked.at(rate, spans.seconds) for rate in rates] for _ in range(spans.rounds)]
            knees = [asked.in_turn(clients, spans.seconds / 2) for clients in (4, 8, 16)]
        for place, share in enumerate(spans.loads):
            played = self._played(base, rates[place])
            answers = [round_[place] for round_ in heard]
            aims = (50, _P50), (95, _P95_NEAR if share > _NEAR else _P95)
            found += [self._row(share, played, answers, percent, aim) for percent, aim in aims]
        knee = max(knees)
        met = abs(knee / most - 1) <= _KNEE
        return [*found, Row(self._name, "knee, a second", most, knee, knee, knee, _KNEE, met)]

    def _row(
        self,
        share: float,
        played: Played,
        rounds: Sequence[Sequence[Answer]],
        percent: int,
        aim: float,
    ) -> Row:
        every = [percentile_ms(answers, percent) for answers in rounds]
        predicted = played.at(percent)
        found = percentile_ms([answer for answers in rounds for answer in answers], percent)
        low, high = min(every), max(every)
        inside = low <= predicted <= high if percent == 50 else False  # or the rounds' spread
        met = inside or abs(found / predicted - 1) <= aim
        what = f"{share:.0%}: p{percent}, ms"
        return Row(self._name, what, predicted, found, low, high, aim, met)

    # --- what is measured before

    def _base(self, seconds: float) -> tuple[Base, list[Row]]:
        """Measure searches alone, and the curve with a search process for each thread; return rows
        about a plan's constants, too. Of models elsewhere the searches here are measured, and then
        what a call costs.
        """
        place = EMBEDDED if self._where == REMOTE else self._where
        with self._served(cores(), place) as (pid, asked):
            times, node = self._alone(asked, pid)
            curve = curve_of(asked.client, self._profile, seconds / 2)
        machine = replace(machine_facts(machine_peaks()), curve=curve)
        if self._where == OPENSEARCH:
            times, rows = self._beside_nodes(times, node)
            return Base(machine, times), rows
        return self._with_calls(Base(machine, times)), []

    def _alone(self, asked: Asked, pid: int) -> tuple[SearchTimes, float]:
        """Return searches of one client, and the nodes' processor time of each."""
        asked.client.ask(self._profile, 30)
        before = nodes_spent_ms(self._settings)
        found, _ = alone(asked.client, pid, self._profile, _ALONE)
        node = (nodes_spent_ms(self._settings) - before) / len(found.rows)
        return replace(found, passages=self._made.passages), node

    def _with_calls(self, base: Base) -> Base:
        """Return the base with what a call of a model elsewhere costs more, asked by one client."""
        if self._where != REMOTE:
            return base
        with self._served(cores(), REMOTE) as (pid, asked):
            found, _ = self._alone(asked, pid)
        calls = sum(base.times.of(stage).mean() > 0 for stage in ("understand", "encode", RERANK))
        more = max(0.0, found.alone - base.times.alone) / max(1, calls)
        speed = dict.fromkeys(("int8", "memory", "python"), 1.0)
        return replace(base, remote=Elsewhere("models", (1.0,), speed, more, here=True))

    def _beside_nodes(self, times: SearchTimes, node: float) -> tuple[SearchTimes, list[Row]]:
        """Return the times with the nodes' work in their width, and rows that compare a plan's
        constants: milliseconds of a search here and in the nodes.
        """
        waited = times.alone - times.front_ms - times.load_ms
        here = times.width * waited
        rows = []
        for what, name, found in (
            ("work of a search here, ms", "opensearch_here_ms", here + times.front_ms),
            ("work of a search in the nodes, ms", "opensearch_node_ms", node),
        ):
            known = constant(name)
            inside = known.low <= found <= known.high
            rows.append(Row(self._name, what, known.middle, found, found, found, _P95, inside))
        return replace(times, width=max(0.1, (here + node) / waited)), rows

    def _with_load(self, base: Base, asked: Asked, seconds: float) -> Base:
        """Return the base with what the load generator takes for a search, in place of what the
        measuring client took.
        """
        cost = asked.cost_ms(_LIGHT * self._most(base), seconds)
        return replace(base, times=replace(base.times, load_ms=cost))

    # --- what is predicted

    def _most(self, base: Base) -> float:
        """Return the searches a second at which the machine, or every search process, is busy: what
        an overload gets answered, without refusals' cost.
        """
        return self._played(base, _FLOOD).per_second

    def _played(self, base: Base, rate: float, deadline: float | None = None) -> Played:
        given = self._settings.rerank_deadline_ms if self._reranks else 0.0
        model = ServiceModel(
            base.machine,
            [base.times],
            deadline=given if deadline is None else deadline,
            batch_ms=self._batch_ms if self._reranks else 0.0,
        )
        return model.play(
            on_measured(base.machine, self._processes),
            base.times.passages,
            poisson(rate, _PLAYED, SEED),
            remote=base.remote,
            with_load=True,
            waiting=16 if rate >= _FLOOD else WAITING,
        )

    @cached_property
    def _batch_ms(self) -> float:
        """Return how long the reranker's model takes for one batch, as a plan reckons it."""
        one = self._settings.model_copy(update={"threads": 1})
        return _reranking(one) / (_DEPTH * _TOKENS) * one.batch_tokens

    # --- directions

    def directions(self, spans: Spans) -> list[Row]:
        """Return p95 at 60 % with a tight deadline and with smaller batches, and whether each moved
        as predicted.
        """
        base, _ = self._base(spans.seconds)
        with self._served(self._processes, self._where) as (_, asked):
            base = self._with_load(base, asked, spans.seconds)
            rate = 0.6 * self._most(base)
            before = [percentile_ms(asked.at(rate, spans.seconds), 95) for _ in range(spans.rounds)]
        whole = self._played(base, rate).at(95)
        tight = _half_way(base.times)
        small = max(16, self._settings.batch_tokens // 8)
        smaller = self._settings.model_copy(update={"batch_tokens": small})
        share = _reranking(smaller) / _reranking(self._settings)
        changes = {
            f"a deadline of {tight:.0f} ms": (
                {"DATELINE_RERANK_DEADLINE_MS": str(tight)},
                self._played(base, rate, tight).at(95),
            ),
            f"batches of {small} tokens": (
                {"DATELINE_BATCH_TOKENS": str(small)},
                self._played(replace(base, times=_scored(base.times, share)), rate).at(95),
            ),
        }
        return [
            self._direction(what, changed, (whole, predicted), (before, rate, spans))
            for what, (changed, predicted) in changes.items()
        ]

    def _direction(
        self,
        what: str,
        changed: Mapping[str, str],
        predicted: tuple[float, float],
        load: tuple[Sequence[float], float, Spans],
    ) -> Row:
        before, rate, spans = load
        with self._served(self._processes, self._where, changed) as (_, asked):
            after = [percentile_ms(asked.at(rate, spans.seconds), 95) for _ in range(spans.rounds)]
        found, whole = float(np.median(after)), float(np.median(before))
        met = _moved(predicted[1] / predicted[0]) == _moved(found / whole)
        said = f"p95 with {what}, ms; without it {predicted[0]:.0f} predicted, {whole:.0f} measured"
        return Row(self._name, said, predicted[1], found, min(after), max(after), 0.0, met)

    # --- the service

    @cached_property
    def _made(self) -> Made:
        return made(self._settings.data)

    @contextmanager
    def _served(
        self, processes: int, where: str, changed: Mapping[str, str] = _UNCHANGED
    ) -> Iterator[tuple[int, Asked]]:
        """Serve the archive by a number of search processes."""
        variables = {**changed, "DATELINE_SEARCHES": str(processes)}
        with served(self._settings, where, variables) as (pid, url, key):
            yield pid, Asked(url, key, self._profile, self._made.texts)


def _moved(ratio: float) -> int:
    """Return -1, 0 or 1: whether a figure fell, stayed or rose."""
    return 0 if abs(ratio - 1) < _STEP else 1 if ratio > 1 else -1


def _half_way(searches: SearchTimes) -> float:
    """Return the milliseconds after which half of the reranking of a mean search is done."""
    before = ("understand", "retrieve", "fuse", "names")
    spent = sum(float(searches.of(stage).mean()) for stage in before)
    half = spent + float(searches.of(RERANK).mean()) / 2
    return max(_LEAST_DEADLINE, round(half, 1))


def _scored(searches: SearchTimes, share: float) -> SearchTimes:
    """Return searches whose reranking takes `share` of the time."""
    place = searches.stages.index(RERANK)
    rows = (
        tuple(ms * share if n == place else ms for n, ms in enumerate(row)) for row in searches.rows
    )
    return replace(searches, rows=tuple(rows))


def _reranking(settings: Settings) -> float:
    """Return the milliseconds of one reranker's call: the fastest of some."""
    scorer, chance = open_scorer(settings, settings.reranker), random.Random(1)
    queries = ["ferry accident"] * _DEPTH
    texts = [made_texts(_DEPTH, _TOKENS, chance) for _ in range(50)]
    turns = iter(texts * 2)
    return min(times(lambda: scorer.score(queries, next(turns)), 0.5)) * 1000


if __name__ == "__main__":
    main()
