"""From measured searches to a network of stations and machines: the service's own rules.

    request ──> front (one Python lock) ──> a search process ──> front ──> answer
                 half of its work            before, rerank, after   the other half
                                             ├────── one search at a time ──────┤

- The process that reads requests holds one lock while it works (`dateline/serving/front.py`).
- A search has a process to itself (`dateline/serving/searchers.py`), until the front has read its
  answer: only then the front sends the next search. As many search at the same time as the setting
  `searches` says; `waiting` more wait, and others are refused at once.
- A reranker has until the profile's deadline, counted from the search's start; what it has not
  scored by then is left out (`rerank/deadline.py`). The batch in progress ends all the same, in a
  thread of its own.
- A search that finds its process at rest takes longer, as measured with pauses.
- Models elsewhere, and nodes of OpenSearch, work on a machine of their own while the search holds
  its process. A call of a model also takes time of the processor on both sides.

A stage's work is the time of the clock that it took alone, times the work that the threads it used
did together. It grows with the archive by its law, and shrinks on a faster thread by its bound.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from capacity.demand import Demand
from capacity.instances import End, Interval, Speeds
from capacity.measurements import HTTP, RERANK, MachineFacts, SearchTimes
from capacity.simulator import (
    Floats64,
    Give,
    Machine,
    Network,
    Played,
    Station,
    Step,
    Take,
    Wait,
    Work,
    answered,
    play,
)
from eval.tune.graphs.growth import Fit, fit
from storage.embedded.vectors.merge_plan import ProjectionSettings

WAITING = 32  # the setting `waiting`
SEED = 1987
_WIDEST = 4  # times the measured threads, beyond which a reranking gets no faster
_ASKED = 2000  # searches of clients that ask in turn
_PAUSE_MS = 5.0  # after which a processor and its caches have turned to something else
_WORDS, _VECTORS = "lexical", "vectors"
_MILLION = 1_000_000
_RETRIEVE = ("encode", _WORDS, _VECTORS, "cosines")  # the stages inside of "retrieve"
_MODELS = frozenset({"understand", "encode", RERANK})
_SEARCHING = frozenset({_WORDS, _VECTORS, "cosines"})
_SUMS = frozenset({"retrieve", "total"})
_BEFORE = frozenset({"understand", *_RETRIEVE, "rest of retrieve", "names", "fuse"})
LAWS = {_WORDS: "a + b n", _VECTORS: "a + b ln n"}
# The columns of a request's work.
_IN, _OWN, _MODEL, _SCORE, _NODE, _AFTER, _OUT, _LOAD, _CALL, _REST = range(10)


@cache
def _constants() -> dict[str, Any]:
    return tomllib.loads((resources.files("capacity") / "constants.toml").read_text("utf-8"))


def constant(name: str) -> Interval:
    """Return a dated constant with its interval."""
    return Interval(*_constants()[name]["value"])


def constant_source(name: str) -> str:
    """Return where a constant comes from, with its date."""
    row = _constants()[name]
    return f"{row['source']} ({row['written']})"


def high_end(end: End) -> End:
    """Return the end of a time's interval: the slow one is its high one."""
    return End(2 - end.value)


def bound_of(stage: str) -> str:
    """Return what a stage's speed depends on: int8 products, memory, or Python."""
    if stage in _MODELS:
        return "int8"
    return "memory" if stage in _SEARCHING else "python"


@dataclass(frozen=True, slots=True)
class Growing:
    """How the stages that depend on the archive's size grow, from two measured sizes or more."""

    measured: int  # passages of the searches that are drawn
    laws: Mapping[str, Fit]

    def times(self, stage: str, passages: float) -> float:
        """Return how many times as long a stage takes among `passages`. A graph holds a million
        rows at most (`ProjectionSettings`); several are searched one after the other.
        """
        law = self.laws.get(stage)
        if law is None or passages <= 0:
            return 1.0
        grown = self._at(stage, law, passages) / self._at(stage, law, self.measured)
        return max(1.0, grown) if passages >= self.measured else grown  # chance may let it fall

    def _at(self, stage: str, law: Fit, passages: float) -> float:
        most = ProjectionSettings().most_rows
        if stage != _VECTORS or passages <= most:
            return law.at(passages)
        return passages / most * law.at(most)


def _words_of_million(means: Sequence[float]) -> float:
    """Return what words take among a million passages: a dated constant, because between two small
    sizes chance decides the growth. It is not less than what they take among fewer.
    """
    return max(*means, constant("words_million_ms").high)


def growing(searches: Sequence[SearchTimes]) -> Growing:
    """Return the laws of a profile's searches, the smallest archive first. The words also follow a
    dated constant among a million passages if no archive is as large.
    """
    sizes = [each.passages for each in searches]
    laws: dict[str, Fit] = {}
    if len(set(sizes)) > 1:
        for stage, law in LAWS.items():
            means = [float(each.of(stage).mean()) for each in searches]
            if min(means) <= 0:
                continue
            if stage == _WORDS and sizes[-1] < _MILLION:
                laws[stage] = fit(law, [*sizes, _MILLION], [*means, _words_of_million(means)])
            else:
                laws[stage] = fit(law, sizes, means)
    return Growing(sizes[-1], laws)


@dataclass(frozen=True, slots=True)
class Host:
    """A machine that serves: its speeds, the end of the intervals that counts, searches at the same
    time.
    """

    speeds: Speeds
    end: End
    searches: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where models or nodes work: the curve of that machine as far as one searching host may use
    it, the speed of its threads by bound, and the milliseconds for which a call waits beside the
    work. `threads` are those of one of its machines, which a reranking may use; 0 for as many as
    were measured. Nodes also have the `work` of a search in all of them, in milliseconds of one
    measured thread, and how many threads it keeps busy at once.
    """

    name: str
    curve: tuple[float, ...]
    speed: Mapping[str, float]
    call_ms: float
    threads: int = 0
    work: float = 0.0
    width: float = 1.0


def stages_of(searches: SearchTimes) -> dict[str, Floats64]:
    """Return the milliseconds of stages that don't overlap, float64 [searches] each. What runs
    inside of retrieval at the same time is put into proportion.
    """
    found = {
        stage: searches.of(stage)
        for stage in searches.stages
        if stage not in _SUMS and stage not in _RETRIEVE
    }
    whole = searches.of("retrieve")
    inner = {stage: searches.of(stage) for stage in _RETRIEVE if stage in searches.stages}
    added = sum(inner.values(), np.zeros(len(whole)))
    squeezed = np.minimum(1.0, whole / np.maximum(added, 1e-9))
    found |= {stage: part * squeezed for stage, part in inner.items()}
    found["rest of retrieve"] = np.maximum(0.0, whole - added)
    return found


class ServiceModel:
    """Plays searches of one profile on any host, as they were measured on one machine. `drawn` are
    others of the largest archive to play, such as filtered ones; `batch_ms` is how long a reranker
    takes for one batch of a model. With `lists` vectors are searched in inverted lists. `rerank` is
    the reranking's work in what was measured, and `threads` are those that it had then.
    """

    def __init__(
        self,
        machine: MachineFacts,
        searches: Sequence[SearchTimes],
        *,
        deadline: float | None = None,
        drawn: SearchTimes | None = None,
        batch_ms: float = 0.0,
        lists: bool = False,
        rerank: float = 1.0,
        threads: int = 2,
    ) -> None:
        self._machine = Machine("measured", machine.curve)
        self._searches = drawn or searches[-1]
        self._stages = stages_of(self._searches)
        self.batch_ms = batch_ms
        self.growing = growing(searches)
        self.deadline = searches[-1].deadline_ms if deadline is None else deadline
        self.width = self._searches.width
        self._lists = lists
        self._threads = threads
        if RERANK in self._stages:
            self._stages[RERANK] = self._stages[RERANK] * rerank

    def work(
        self,
        host: Host,
        passages: float,
        *,
        remote: Elsewhere | None = None,
        nodes: Elsewhere | None = None,
    ) -> Floats64:
        """Return the work of every measured search, float64 [searches, columns], on a host."""
        rows = len(self._searches.rows)
        found = np.zeros((rows, _REST + 1))
        together = self._machine.rate(self.width) * self.width
        for stage, alone in self.scaled(passages, host.end).items():
            amount = alone * together
            if stage == HTTP:
                self._http(found, alone, together, host)
            elif nodes is not None and stage in _SEARCHING:
                continue  # the node does it, below
            elif remote is not None and stage in _MODELS:
                column = _SCORE if stage == RERANK else _MODEL
                found[:, column] += amount / remote.speed[bound_of(stage)]
            else:
                column = _SCORE if stage == RERANK else _OWN if stage in _BEFORE else _AFTER
                found[:, column] += amount / host.speeds.of(bound_of(stage), host.end)
        if nodes is not None:
            self._on_nodes(found, host, nodes)
        if remote is not None:
            found[:, _CALL] = remote.call_ms
            called = sum(self._calls()) * constant("call_work_ms").at(high_end(host.end))
            found[:, _OWN] += called / host.speeds.of("python", host.end)
            found[:, _MODEL] += called / remote.speed["python"]
        found[:, _REST] = self._searches.rested_ms / host.speeds.of("python", host.end)
        return found

    def scaled(self, passages: float, end: End = End.SLOW) -> dict[str, Floats64]:
        """Return the stages' milliseconds in an archive of this size, float64 [searches] each, on
        the measured machine, with constants at one end of their intervals.
        """
        found = {
            stage: values * self.growing.times(stage, passages)
            for stage, values in self._stages.items()
        }
        if self._lists and _VECTORS in found:
            shape = found[_VECTORS] / max(float(found[_VECTORS].mean()), 1e-9)
            found[_VECTORS] = shape * constant("lists_ms").at(high_end(end)) * passages / 1e6
        return found

    def score_width(self, threads: int, end: End) -> float:
        """Return how many of a machine's threads a reranking keeps busy: what was measured, and of
        those that it did not have then a dated share, up to four times as many.
        """
        more = max(0, min(threads, _WIDEST * self._threads) - self._threads)
        return self.width + more * constant("more_threads").at(end)

    def _http(self, found: Floats64, alone: Floats64, together: float, host: Host) -> None:
        """Share out what passes outside of the search: the client, the front, and the rest, which
        is the search process that reads the request and writes the answer.
        """
        searches, speed = self._searches, host.speeds.of("python", host.end)
        shape = alone / max(float(alone.mean()), 1e-9)
        front, client = searches.front_ms * shape, searches.load_ms * shape
        found[:, _IN] += front / 2 / speed
        found[:, _OUT] += front / 2 / speed
        found[:, _AFTER] += np.maximum(0.0, alone - front - client) * together / speed

    def _on_nodes(self, found: Floats64, host: Host, nodes: Elsewhere) -> None:
        """Replace our own retrieval by that of nodes, in the searches' shape."""
        shape = self._searches.of("retrieve")
        shape = shape / max(float(shape.mean()), 1e-9)
        slow = high_end(host.end)
        here = constant("opensearch_here_ms").at(slow) / host.speeds.of("python", host.end)
        there = nodes.work or constant("opensearch_node_ms").at(slow)
        found[:, _OWN] += here * shape
        found[:, _NODE] += there / nodes.speed["memory"] * shape

    def play(
        self,
        host: Host,
        passages: float,
        arrivals: Floats64,
        *,
        remote: Elsewhere | None = None,
        nodes: Elsewhere | None = None,
        load_ms: float = 0.0,
        waiting: int = WAITING,
    ) -> Played:
        """Play arrivals on a host. `load_ms` is what a search takes in a load generator of one
        thread on the same machine, as in a benchmark; else clients are elsewhere.
        """
        measured = self.work(host, passages, remote=remote, nodes=nodes)
        measured[:, _LOAD] = load_ms / 2
        chosen = np.random.default_rng(SEED).integers(0, len(measured), len(arrivals))
        network = self.network(
            host, remote=remote, nodes=nodes, with_load=load_ms > 0, waiting=waiting
        )
        return play(network, arrivals, measured[chosen])

    def most(
        self,
        host: Host,
        passages: float,
        clients: int,
        *,
        load_ms: float = 0.0,
    ) -> float:
        """Return the answers a second, if each of the `clients` sends its next search as soon as it
        has an answer.
        """
        measured = self.work(host, passages)
        measured[:, _LOAD] = load_ms / 2
        chosen = np.random.default_rng(SEED).integers(0, len(measured), _ASKED)
        network = self.network(host, with_load=load_ms > 0, waiting=None)
        return answered(network, clients, measured[chosen])

    def network(
        self,
        host: Host,
        *,
        remote: Elsewhere | None = None,
        nodes: Elsewhere | None = None,
        with_load: bool = False,
        waiting: int | None = WAITING,
    ) -> Network:
        """Return the stations, machines and steps of a search."""
        machines = [Machine("host", host.speeds.curve(host.end))]
        places = {"models": 0, "nodes": 0}
        for name, other in (("models", remote), ("nodes", nodes)):
            if other is not None:
                places[name] = len(machines)
                machines.append(Machine(name, other.curve))
        models, node, width = places["models"], places["nodes"], self.width
        deadline = self.deadline or None
        load: tuple[Step, ...] = (Take(2), Work(0, _LOAD), Give(2)) if with_load else ()
        before, after = self._calls() if remote is not None else (0, 0)
        speed = remote.speed["int8"] if remote is not None else host.speeds.of("int8", host.end)
        threads = remote.threads if remote is not None else len(host.speeds.curve(host.end))
        score = Work(
            models, _SCORE, self.score_width(threads, host.end), deadline, self.batch_ms / speed
        )
        steps: tuple[Step, ...] = (
            *load,
            *(Take(0), Work(0, _IN), Give(0)),
            *(Take(1), Work(0, _REST, pause=_PAUSE_MS), Work(0, _OWN, width)),
            *((Wait(_CALL),) * before),
            *(Work(models, _MODEL, width), Work(node, _NODE, nodes.width if nodes else 1.0)),
            *((Wait(_CALL),) * after),
            *(score, Work(0, _AFTER, width)),
            *(Take(0), Work(0, _OUT), Give(0), Give(1)),
            *load,
        )
        stations = (
            Station("front", 1),
            Station("searches", host.searches, waiting),
            Station("load", 1),
        )
        return Network(tuple(machines), stations, steps)

    def _calls(self) -> tuple[int, int]:
        """Return how many models a search asks before it retrieves, and for its ranks: each is one
        call if it runs elsewhere.
        """
        asks = {stage for stage in _MODELS if self._searches.of(stage).mean() > 0}
        return len(asks - {RERANK}), len(asks & {RERANK})

    def mean_work(self, host: Host, passages: float, **elsewhere: Elsewhere | None) -> float:
        """Return the mean work of a search on the host, in milliseconds of one thread."""
        work = self.work(host, passages, **elsewhere)
        own = [_IN, _OWN, _AFTER, _OUT]
        if elsewhere.get("remote") is None:
            own += [_MODEL, _SCORE]
        return float(work[:, own].sum(axis=1).mean())

    def model_work(self, host: Host, passages: float, remote: Elsewhere) -> float:
        """Return the mean work of a search's models, on their own machine, in milliseconds."""
        work = self.work(host, passages, remote=remote)
        return float(work[:, [_MODEL, _SCORE]].sum(axis=1).mean())


def on_measured(machine: MachineFacts, searches: int, slower: float = 1.0) -> Host:
    """Return the measured machine itself as a host, when it takes `slower` times as long."""
    one = Interval(*(1 / slower,) * 3)
    speeds = Speeds(
        dict.fromkeys(("int8", "memory", "python"), one), (machine.curve,) * 3, "measured"
    )
    return Host(speeds, End.MIDDLE, searches)


def demand_passages(demand: Demand) -> float:
    """Return how many passages the asked archive has."""
    return demand.items * demand.passages
