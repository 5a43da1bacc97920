"""What the proof of capacity plans measures: a file for each part, so that a better model can be
held against the same load.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from benchmarks.service.proof_serving import (
    EMBEDDED,
    REMOTE,
    Asked,
    Heard,
    InTurn,
    made,
    nodes_spent_ms,
    served,
)
from capacity.measurements import RERANK, MachineFacts, SearchTimes
from dateline.build.models.runtimes import open_scorer
from dateline.measuring.capacity.calls import made_texts
from dateline.measuring.capacity.machine import machine_facts, machine_peaks
from dateline.measuring.capacity.serving import Client, Settled, alone, with_rest
from dateline.settings import Settings
from inference.measuring.machine import times
from inference.runtimes.loading import cores

CLIENTS = (4, 8)  # that ask again at once: the best of them is the knee
_ALONE = 400  # searches of one client, and as many before
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
    - `machine`: this machine, without a curve, which follows from `turns`
    - `times`: searches of one client; `here`: the same with the models in the search processes, if
      they are elsewhere
    - `turns`: clients that ask in turn, of one search process and of one for each thread
    - `node_ms`: processor time of a search in the nodes of OpenSearch
    - `deadline`, `batch_ms`: milliseconds that a search has for reranking, and of one batch of it
    """

    made: str
    machine: MachineFacts
    times: SearchTimes
    turns: tuple[InTurn, ...]
    here: SearchTimes | None = None
    node_ms: float = 0.0
    deadline: float = 0.0
    batch_ms: float = 0.0


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
    of search processes. `load_ms` is the time that a search takes in the load generator. With a
    `change` the load is that of the part without it.
    """

    where: str
    profile: str
    processes: int
    base: Base
    load_ms: float
    loads: tuple[Load, ...]
    change: Change | None = None

    @property
    def name(self) -> str:
        """Return what a table calls it."""
        return f"{self.where}, {self.profile}, {self.processes} at once"

    @property
    def knee(self) -> float:
        """Return the most answers a second."""
        return max(turn.pace for turn in self.base.turns if turn.processes == self.processes)


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
    """What one start of the service showed."""

    processes: int
    times: SearchTimes | None
    node_ms: float
    turns: tuple[InTurn, ...]
    load_ms: float = 0.0
    loads: tuple[Load, ...] = ()

    @property
    def knee(self) -> float:
        return max(turn.pace for turn in self.turns)


class Measuring:
    """Measures one profile in one place."""

    def __init__(self, settings: Settings, where: str, profile: str) -> None:
        self._settings, self._where, self._profile = settings, where, profile
        self._texts = made(settings.data)

    def parts(self, processes: Sequence[int], spans: Spans) -> list[Measured]:
        """Measure searches alone and in turn, then each number of search processes under load."""
        every = sorted({1, cores(), *processes})
        seen = [
            self._seen(n, spans if n in processes else None, spans.seconds, alone=n == every[-1])
            for n in every
        ]
        base = self._base(seen)
        return [
            Measured(self._where, self._profile, one.processes, base, one.load_ms, one.loads)
            for one in seen
            if one.loads
        ]

    def directions(self, processes: int, spans: Spans) -> Iterator[Measured]:
        """Measure reranking at one load with a deadline that leaves half of it, and with batches of
        an eighth of the tokens; the first part yielded has neither.
        """
        (whole,) = self.parts((processes,), spans)
        times, tokens = whole.base.times, max(16, self._settings.batch_tokens // 8)
        smaller = self._settings.model_copy(update={"batch_tokens": tokens})
        tight = _half_way(times)
        share = _reranking(smaller) / _reranking(self._settings)
        changes = (
            (Change(f"a deadline of {tight:.0f} ms", tight), {"RERANK_DEADLINE_MS": tight}),
            (
                Change(f"batches of {tokens} tokens", whole.base.deadline, share),
                {"BATCH_TOKENS": tokens},
            ),
        )
        yield whole
        for change, settings in changes:
            variables = {f"DATELINE_{name}": str(value) for name, value in settings.items()}
            with self._served(processes, self._where, variables) as (_, asked):
                loads = tuple(self._loaded(asked, replace(spans, loads=_DIRECTED), whole.knee))
            yield replace(whole, loads=loads, change=change)

    def _seen(self, processes: int, spans: Spans | None, seconds: float, *, alone: bool) -> _Seen:
        with self._served(processes, self._where) as (service, asked):
            client = self._warm(asked)
            times, node = self._alone(client, service) if alone else (None, 0.0)
            turns = tuple(asked.in_turn(service, processes, n, seconds) for n in CLIENTS)
            seen = _Seen(processes, times, node, turns)
            if spans is None:
                return seen
            cost = asked.cost_ms(_LIGHT * seen.knee, seconds)
            return replace(seen, load_ms=cost, loads=tuple(self._loaded(asked, spans, seen.knee)))

    def _loaded(self, asked: Asked, spans: Spans, knee: float) -> Iterator[Load]:
        """Yield the loads, whose rounds take turns."""
        rates = [share * knee for share in spans.loads]
        rounds = [[asked.at(rate, spans.seconds) for rate in rates] for _ in range(spans.rounds)]
        for place, (share, rate) in enumerate(zip(spans.loads, rates, strict=True)):
            yield Load(share, rate, tuple(each[place] for each in rounds))

    def _warm(self, asked: Asked) -> Client:
        """Return a client that has asked, so that what it asks from now on is new."""
        client = asked.client
        client.ask(self._profile, _ALONE, time.perf_counter() + _WARM_UP_S)
        return client

    def _alone(self, client: Client, service: Settled) -> tuple[SearchTimes, float]:
        """Measure searches of one client. Return them, and the milliseconds of processor time that
        one takes in the nodes of OpenSearch.
        """
        before = nodes_spent_ms(self._settings)
        found, _ = alone(client, service, self._profile, _ALONE)
        node = (nodes_spent_ms(self._settings) - before) / len(found.rows)
        return with_rest(replace(found, passages=self._texts.passages), client), node

    def _base(self, seen: Sequence[_Seen]) -> Base:
        """Put together what is known before any load."""
        here: SearchTimes | None = None
        if self._where == REMOTE:
            with self._served(cores(), EMBEDDED) as (service, asked):
                here, _ = self._alone(self._warm(asked), service)
        reranks = self._profile.endswith(RERANK)
        last = seen[-1]
        assert last.times is not None
        return Base(
            date.today().isoformat(),
            machine_facts(machine_peaks()),
            last.times,
            tuple(turn for one in seen for turn in one.turns),
            here,
            last.node_ms,
            self._settings.rerank_deadline_ms if reranks else 0.0,
            self._batch_ms if reranks else 0.0,
        )

    @cached_property
    def _batch_ms(self) -> float:
        """Return how long the reranker's model takes for one batch, as a plan reckons it."""
        one = self._settings.model_copy(update={"threads": 1})
        return _reranking(one) / (_DEPTH * _TOKENS) * one.batch_tokens

    @contextmanager
    def _served(
        self, processes: int, where: str, changed: Mapping[str, str] = _UNCHANGED
    ) -> Iterator[tuple[Settled, Asked]]:
        """Serve the archive by a number of search processes."""
        variables = {**changed, "DATELINE_SEARCHES": str(processes)}
        with served(self._settings, where, variables) as (service, url, key):
            yield service, Asked(url, key, self._profile, self._texts.texts)


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
