"""What the proof of capacity plans measures: a file for each part, so that a better model can be
held against the same load.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import orjson
from pydantic import TypeAdapter

from benchmarks.service.proof_serving import (
    EMBEDDED,
    REMOTE,
    Asked,
    Heard,
    InTurn,
    Served,
    made,
    segments_of,
    served,
)
from capacity.measurements import RERANK, MachineFacts, SearchTimes
from dateline.build.models.runtimes import open_scorer
from dateline.measuring.capacity.calls import made_texts
from dateline.measuring.capacity.machine import machine_facts, machine_peaks
from dateline.measuring.capacity.serving import Client, alone, with_rest
from dateline.settings import Settings
from inference.measuring.machine import times
from inference.runtimes.loading import cores

CLIENTS = (4, 8)  # that ask again at once: the best of them is the knee
_ALONE, _PAUSED = 900, 180  # searches of one client, and with pauses, in all blocks
_BLOCK_S = 2.0  # in which those of a block must begin
_WARM_UP_S = 8.0  # in which those before must begin
_DIRECTED = (0.6,)  # shares of the knee under which changes are tried
_LIGHT = 0.1  # of the knee, to measure what the load itself takes
_LEAST_DEADLINE = 50.0  # milliseconds: the least of the setting
_DEPTH, _TOKENS = 20, 128  # of a reranker's call, to see what batches change
_UNCHANGED: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Spans:
    """Shares of the knee to load with, seconds of each in one round, and rounds."""

    loads: tuple[float, ...]
    seconds: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Load:
    """Rounds of a load, which is a share of the knee, in searches a second."""

    share: float
    rate: float
    rounds: tuple[Heard, ...]


@dataclass(frozen=True, slots=True)
class Base:
    """What is known before any load, of one profile in one place.

    - `made`: the day
    - `machine`: this machine, its curve from searches with one process for each thread, and with
      the models in them
    - `times`: searches of one client
    - `turns`: clients that ask in turn, in each round
    - `beside_ms`: processor time of a search in the nodes of OpenSearch, or in the process of the
      models
    - `deadline`, `batch_ms`: milliseconds that a search has for reranking, and of one batch of it
    - `segments`: of OpenSearch's index, which is one shard
    """

    made: str
    machine: MachineFacts
    times: SearchTimes
    turns: tuple[InTurn, ...]
    beside_ms: float = 0.0
    deadline: float = 0.0
    batch_ms: float = 0.0
    segments: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """Another setting: milliseconds for reranking, or the time of reranking by other batches, as a
    share.
    """

    name: str
    deadline: float
    scored: float = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a part: of a profile, with models and indexes in one place and a number
    of search processes. `load_ms` is the time that a search takes in the load generator. A part
    with a `change` also has the load `without` it, in rounds that took turns.
    """

    where: str
    profile: str
    processes: int
    base: Base
    load_ms: float
    loads: tuple[Load, ...]
    change: Change | None = None
    without: Load | None = None

    @property
    def name(self) -> str:
        """Return what a table calls it."""
        return f"{self.where}, {self.profile}, {self.processes} at once"

    @property
    def knee(self) -> float:
        """Return the most answers a second, the mean of the rounds."""
        return max(_paces(self.base.turns))

    @property
    def knees(self) -> tuple[float, ...]:
        """Return the most answers a second of each round, with the number of clients that is best
        in all rounds.
        """
        paces = _paces(self.base.turns)
        best = CLIENTS[paces.index(max(paces))]
        return tuple(turn.pace for turn in self.base.turns if turn.clients == best)


def _paces(turns: Sequence[InTurn]) -> list[float]:
    """Return the mean answers a second to each number of clients."""
    paces = [[turn.pace for turn in turns if turn.clients == n] for n in CLIENTS]
    return [sum(each) / len(each) for each in paces]


_ADAPTER = TypeAdapter(Measured)


def write(folder: Path, found: Measured) -> None:
    """Write the file of a part. It replaces an older file of the same part."""
    folder.mkdir(parents=True, exist_ok=True)
    change = f"-{found.change.name.replace(' ', '-')}" if found.change else ""
    name = f"{found.where}-{found.profile}-{found.processes}{change}.json"
    (folder / name).write_bytes(orjson.dumps(found))


def read(folder: Path) -> tuple[Measured, ...]:
    """Return the parts in a folder."""
    return tuple(
        _ADAPTER.validate_json(file.read_bytes()) for file in sorted(folder.glob("*.json"))
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one service showed: searches of one client in blocks, clients that ask in turn, and
    loads at `rates`, in rounds. A block lies between any two of the others.
    """

    processes: int
    load_ms: float
    rates: tuple[float, ...]
    times: SearchTimes
    beside_ms: float
    turns: tuple[InTurn, ...]
    heard: tuple[tuple[Heard, ...], ...]

    def loads(self, spans: Spans) -> tuple[Load, ...]:
        """Return the rounds of each load."""
        each = zip(spans.loads, self.rates, zip(*self.heard, strict=True), strict=True)
        return tuple(Load(share, rate, rounds) for share, rate, rounds in each)


class Measuring:
    """Measures one profile in one place."""

    def __init__(self, settings: Settings, where: str, profile: str) -> None:
        self._settings, self._where, self._profile = settings, where, profile
        self._texts = made(settings.data)

    def parts(self, processes: Sequence[int], spans: Spans) -> Iterator[Measured]:
        """Measure with each number of search processes. As many as the machine has threads come
        first, because the curve of the threads follows from them.
        """
        without_load = replace(spans, loads=())
        with_load = spans if cores() in processes else without_load
        full = self._rounds(self._where, cores(), with_load)
        remote = self._where == REMOTE
        here = self._rounds(EMBEDDED, cores(), without_load) if remote else None
        machine = machine_facts(machine_peaks())
        machine = replace(machine, curve=_curve(here or full, machine.threads))
        for n in sorted(processes, reverse=True):
            seen = full if n == cores() else self._rounds(self._where, n, spans)
            yield self._part(seen, machine, spans)

    def directions(self, processes: int, spans: Spans) -> Iterator[Measured]:
        """Measure reranking at one load without a change, with a deadline that leaves half of it,
        and with batches of an eighth of the tokens, in rounds that take turns.
        """
        directed = replace(spans, loads=_DIRECTED)
        (whole,) = self.parts((processes,), directed)
        changes = self._changes(whole.base)
        settings: list[Mapping[str, str]] = [_UNCHANGED, *changes.values()]
        (before,) = whole.loads
        heard = [
            [self._heard(processes, each, before.rate, spans.seconds) for each in settings]
            for _ in range(spans.rounds)
        ]
        without, *others = (replace(before, rounds=rounds) for rounds in zip(*heard, strict=True))
        for change, load in zip(changes, others, strict=True):
            yield replace(whole, loads=(load,), change=change, without=without)

    def _changes(self, base: Base) -> dict[Change, Mapping[str, str]]:
        """Return what is changed, with the variables of a service that has it."""
        tight, tokens = _half_way(base.times), max(16, self._settings.batch_tokens // 8)
        smaller = self._settings.model_copy(update={"batch_tokens": tokens})
        share = _reranking(smaller) / _reranking(self._settings)
        return {
            Change(f"a deadline of {tight:.0f} ms", tight): {
                "DATELINE_RERANK_DEADLINE_MS": str(tight)
            },
            Change(f"batches of {tokens} tokens", base.deadline, share): {
                "DATELINE_BATCH_TOKENS": str(tokens)
            },
        }

    def _heard(self, n: int, changed: Mapping[str, str], rate: float, seconds: float) -> Heard:
        with self._served(n, self._where, changed) as (_, asked):
            self._warm(asked)
            return asked.at(rate, seconds)

    def _rounds(self, where: str, processes: int, spans: Spans) -> _Seen:
        """Measure everything in rounds, with searches of one client between: a shared machine is
        twice as fast in some seconds as in others, so a load is compared with the same seconds.
        """
        turns: list[InTurn] = []
        heard: list[list[tuple[Heard, float]]] = []
        with self._served(processes, where) as (service, asked):
            client = self._warm(asked)
            knee = max(each.pace for each in _in_turn(asked, spans))
            rates = tuple(round(share * knee, 2) for share in spans.loads)
            cost = asked.cost_ms(_LIGHT * knee, spans.seconds)
            blocks = _Blocks(self._profile, client, service, spans)
            for number in range(spans.rounds):
                _tell(f"{where} {self._profile} {processes}: round {number + 1} of {spans.rounds}")
                heard.append([blocks.then(asked.at(rate, spans.seconds)) for rate in rates])
                turns += _in_turn(asked, spans)
                blocks.add()
        times = replace(merged(blocks.found), passages=self._texts.passages)
        rounds = tuple(
            tuple(replace(one, slower=around / times.alone) for one, around in each)
            for each in heard
        )
        return _Seen(processes, cost, rates, times, blocks.beside_ms, tuple(turns), rounds)

    def _part(self, seen: _Seen, machine: MachineFacts, spans: Spans) -> Measured:
        """Put together what is known without a load, and the loads."""
        reranks = self._profile.endswith(RERANK)
        base = Base(
            date.today().isoformat(),
            machine,
            seen.times,
            seen.turns,
            seen.beside_ms,
            self._settings.rerank_deadline_ms if reranks else 0.0,
            self._batch_ms if reranks else 0.0,
            segments_of(self._settings),
        )
        loads = seen.loads(spans)
        return Measured(self._where, self._profile, seen.processes, base, seen.load_ms, loads)

    def _warm(self, asked: Asked) -> Client:
        """Return a client that has asked, so that what it asks from now on is new."""
        client = asked.client
        client.ask(self._profile, _ALONE, time.perf_counter() + _WARM_UP_S)
        return client

    @cached_property
    def _batch_ms(self) -> float:
        """Return how long the reranker's model takes for one batch, as a plan reckons it."""
        one = self._settings.model_copy(update={"threads": 1})
        return _reranking(one) / (_DEPTH * _TOKENS) * one.batch_tokens

    @contextmanager
    def _served(
        self, processes: int, where: str, changed: Mapping[str, str] = _UNCHANGED
    ) -> Iterator[tuple[Served, Asked]]:
        """Serve the archive by a number of search processes."""
        variables = {**changed, "DATELINE_SEARCHES": str(processes)}
        with served(self._settings, where, variables) as service:
            yield service, Asked(service.url, service.key, self._profile, self._texts.texts)


class _Blocks:
    """Searches of one client, without and with pauses, between other measurements of a service."""

    def __init__(self, profile: str, client: Client, service: Served, spans: Spans) -> None:
        self._profile, self._client, self._service = profile, client, service
        self._number = 1 + spans.rounds * (len(spans.loads) + 1)
        self._beside: list[float] = []
        self.found: list[SearchTimes] = []
        self.add()

    @property
    def beside_ms(self) -> float:
        """Return the milliseconds of processor that a search takes in the nodes of OpenSearch, or
        in the process of the models.
        """
        return sum(self._beside) / len(self._beside)

    def add(self) -> None:
        """Measure a block."""
        before = self._service.beside_ms()
        searches = _ALONE // self._number
        found, _ = alone(
            self._client, self._service.main, self._profile, searches, rounds=1, longest_s=_BLOCK_S
        )
        self._beside.append((self._service.beside_ms() - before) / len(found.rows))
        self.found.append(with_rest(found, self._client, _PAUSED // self._number))

    def then(self, heard: Heard) -> tuple[Heard, float]:
        """Measure a block after a load. Return the load, and the mean milliseconds of a search in
        the blocks before and after it.
        """
        self.add()
        return heard, (self.found[-2].alone + self.found[-1].alone) / 2


def merged(blocks: Sequence[SearchTimes]) -> SearchTimes:
    """Return the searches of all blocks as one, as if each was measured at the mean speed of all.
    What a block has one figure of is their mean.
    """
    stages = tuple(sorted({stage for each in blocks for stage in each.stages}))
    weights = [len(each.rows) for each in blocks]

    def mean(figures: Sequence[float]) -> float:
        return float(np.average(figures, weights=weights))

    whole = mean([each.alone for each in blocks])
    rows = [
        np.stack([each.of(stage) for stage in stages], axis=1) * whole / each.alone
        for each in blocks
    ]
    return replace(
        blocks[0],
        stages=stages,
        rows=tuple(map(tuple, np.concatenate(rows).tolist())),
        front_ms=mean([each.front_ms for each in blocks]),
        load_ms=mean([each.load_ms for each in blocks]),
        width=mean([each.width for each in blocks]),
        rested_ms=mean([each.rested_ms for each in blocks]),
    )


def _in_turn(asked: Asked, spans: Spans) -> list[InTurn]:
    return [asked.in_turn(n, spans.seconds / 2) for n in CLIENTS]


def _curve(full: _Seen, threads: int) -> tuple[float, ...]:
    """Return the curve of the machine's threads, from one search process for each, as `capacity
    measure` does: what clients that ask again at once get, in processor time of one client's
    searches, that of nodes and of models in another process too.
    """
    times = full.times
    one = times.served_ms + times.load_ms + full.beside_ms
    together = min(threads, max(1.0, max(_paces(full.turns)) * one / 1000))
    return tuple(np.interp(range(1, threads + 1), [1, threads], [1.0, together]).tolist())


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _half_way(searches: SearchTimes) -> float:
    """Return the milliseconds after which half of the reranking of a mean search is done."""
    before = ("understand", "retrieve", "fuse", "names")
    spent = sum(float(searches.of(stage).mean()) for stage in before)
    half = spent + float(searches.of(RERANK).mean()) / 2
    return max(_LEAST_DEADLINE, round(half, 1))


def _reranking(settings: Settings) -> float:
    """Return the milliseconds of one reranker's call: the fastest of some."""
    scorer, chance = open_scorer(settings, settings.reranker), random.Random(1)
    queries = ["ferry accident"] * _DEPTH
    texts = [made_texts(_DEPTH, _TOKENS, chance) for _ in range(50)]
    turns = iter(texts * 2)
    return min(times(lambda: scorer.score(queries, next(turns)), 0.5)) * 1000
