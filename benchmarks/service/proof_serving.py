"""What the proof of capacity plans asks: one archive served in several ways, by open load."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import orjson

from benchmarks.service.overload import Answer, Load
from capacity.simulator import Floats64
from dateline.build.engine import opensearch_settings
from dateline.build.service import build_service
from dateline.measuring.capacity.archive import WHOLE, grow
from dateline.measuring.capacity.serving import Client, Settled, served_variables, settled
from dateline.measuring.served import started
from dateline.settings import Settings, configure
from storage.opensearch.nodes.connection import Cluster

EMBEDDED, REMOTE, OPENSEARCH = "embedded", "remote", "opensearch"
PLACES = (EMBEDDED, REMOTE, OPENSEARCH)
_INDEX = "dateline-proof"
_TEXTS = "texts.json"
_OF_MODELS = ("encoder", "tagger", "reranker")
_OF_CLUSTER = ("engine", "opensearch_index", "opensearch_replicas")
_TIMES, _APART_MS = 10, 30_000.0  # the first tenth of a play is not counted
_FRESH_S = 1.1  # a node reads its processor time once a second


def settings_of(folder: Path, where: str) -> Settings:
    """Return the settings of the proof's archive, with one encoder."""
    flags: dict[str, object] = {"data": folder, "second_encoder": "", "profile": "hybrid"}
    if where == OPENSEARCH:
        flags |= {"engine": where, "opensearch_index": _INDEX, "opensearch_replicas": 0}
        flags |= {"opensearch_timeout_s": 60.0, "opensearch_patience_s": 60.0}
    return configure(flags).settings


@dataclass(frozen=True, slots=True)
class Made:
    """The archive: its passages, and texts to ask by."""

    passages: int
    texts: tuple[str, ...]


def make(settings: Settings, passages: int) -> None:
    """Make the archive, or the index of the cluster from the record of the archive."""
    if settings.engine == OPENSEARCH:
        service = build_service(settings, background=False)
        try:
            service.engine.catch_up()
        finally:
            service.close()
        return
    grown = grow(settings, passages)
    told = {"passages": grown.passages, "texts": grown.texts}
    (settings.data / _TEXTS).write_bytes(orjson.dumps(told))


def made(folder: Path) -> Made:
    """Return what was made. Raises SystemExit if nothing was."""
    path = folder / _TEXTS
    if not path.exists():
        raise SystemExit(f"there is no archive in {folder}: make it by --make")
    told = orjson.loads(path.read_bytes())
    return Made(told["passages"], tuple(told["texts"]))


@dataclass(frozen=True, slots=True)
class Served:
    """A running service, its address and a key for it. A call of `beside_ms` returns the
    milliseconds of processor that the cluster's nodes, or the process of models, took until now.
    """

    main: Settled
    url: str
    key: str
    beside_ms: Callable[[], float]


@contextmanager
def served(settings: Settings, where: str, changed: Mapping[str, str]) -> Iterator[Served]:
    """Serve the archive with `changed` variables, with the models in one more process if they are
    elsewhere.
    """
    key = secrets.token_urlsafe(16)
    variables = served_variables(settings, {WHOLE: key})
    beside_ms: Callable[[], float] = float
    with ExitStack() as stack:
        if where == REMOTE:
            pid, of_models = stack.enter_context(_models(settings, changed))
            variables |= of_models
        if where == OPENSEARCH:
            variables |= {f"DATELINE_{n.upper()}": str(getattr(settings, n)) for n in _OF_CLUSTER}
            beside_ms = partial(_nodes_spent_ms, settings)
        variables |= changed
        main, client = stack.enter_context(started(settings.data, (WHOLE,), variables))
        service = settled(main)
        if where == REMOTE:
            beside_ms = partial(_models_spent_ms, settled(pid))
        yield Served(service, str(client.base_url), key, beside_ms)


@contextmanager
def _models(settings: Settings, changed: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Serve the models alone. Yields the id of the process, and the variables of a service that
    asks this process.
    """
    key = secrets.token_urlsafe(16)
    keys = orjson.dumps([{"name": "proof", "key": key, "models": True}]).decode()
    variables = {**served_variables(settings, {}), **changed, "DATELINE_KEYS": keys}
    with started(settings.data, (), variables, ("--models-only",)) as (pid, client):
        place = f"remote:{str(client.base_url).rstrip('/')}"
        runtimes = {getattr(settings, role): place for role in _OF_MODELS}
        yield (
            pid,
            {
                "DATELINE_RUNTIMES": orjson.dumps(runtimes).decode(),
                "DATELINE_REMOTE_KEY": key,
            },
        )


def _models_spent_ms(models: Settled) -> float:
    """Return the processor time of a process of models until now, without what it takes at rest."""
    spent = models.spent()
    rest = (models.rest.front + models.rest.search) * time.perf_counter()
    return spent.front + spent.search - rest


def _nodes_spent_ms(settings: Settings) -> float:
    """Return the processor time of the cluster's nodes since they started."""
    time.sleep(_FRESH_S)
    found = _told(settings, "/_nodes/stats/process")["nodes"].values()
    return float(sum(node["process"]["cpu"]["total_in_millis"] for node in found))


def segments_of(settings: Settings) -> int:
    """Return the segments of the cluster's index; 1 without a cluster."""
    if settings.engine != OPENSEARCH:
        return 1
    found = _told(settings, f"/{settings.opensearch_index}/_stats/segments")
    return int(found["_all"]["primaries"]["segments"]["count"])


def _told(settings: Settings, path: str) -> Mapping[str, Any]:
    cluster = Cluster(opensearch_settings(settings, {}).cluster)
    try:
        return cluster.ask("GET", path)
    finally:
        cluster.close()


# --- load


@dataclass(frozen=True, slots=True)
class Heard:
    """One round of a load: when each search was due, in milliseconds from the first, and how many
    milliseconds later its answer came; -1 for one without an answer. `slower` is how many times as
    long searches of one client took just before and after as they did on average.
    """

    due: tuple[float, ...]
    took: tuple[float, ...]
    slower: float = 1.0


@dataclass(frozen=True, slots=True)
class InTurn:
    """Answers a second to so many clients that ask again at once."""

    clients: int
    pace: float


def arrivals_of(heard: Heard) -> Floats64:
    """Return the moments at which the searches of a round were due, float64 [n], in rising
    milliseconds. The round is repeated some times, each time for a service at rest, so that a play
    draws other searches for the same moments.
    """
    parts: list[Floats64] = []
    start = 0.0
    for _ in range(_TIMES):
        parts.append(start + np.array(heard.due))
        start = float(parts[-1][-1]) + _APART_MS
    return np.concatenate(parts)


def percentile_ms(rounds: Sequence[Heard], percent: int) -> float:
    """Return a percentile of what was answered, in milliseconds."""
    good = [took for heard in rounds for took in heard.took if took >= 0]
    return float(np.percentile(good, percent))


@dataclass(frozen=True, slots=True)
class Asked:
    """A service, and the queries that a process beside it sends."""

    url: str
    key: str
    profile: str
    texts: Sequence[str]

    @property
    def client(self) -> Client:
        """Return a client that asks one search after the other."""
        return Client(self.url, {WHOLE: self.key}, self.texts)

    def at(self, rate: float, seconds: float) -> Heard:
        """Send `rate` searches a second for so many seconds."""
        answers = sorted(self._run("rate", rate, seconds)[0], key=lambda answer: answer.due)
        return Heard(
            tuple(round((answer.due - answers[0].due) * 1000, 3) for answer in answers),
            tuple(
                round(answer.seconds * 1000, 3) if answer.status == 200 else -1.0
                for answer in answers
            ),
        )

    def in_turn(self, clients: int, seconds: float) -> InTurn:
        """Have clients ask again at once for so many seconds. Later answers don't count."""
        answers, _ = self._run("clients", clients, seconds)
        end = min(answer.due for answer in answers) + seconds
        good = [answer for answer in answers if answer.status == 200]
        in_time = sum(answer.due + answer.seconds <= end for answer in good)
        return InTurn(clients, in_time / seconds)

    def cost_ms(self, rate: float, seconds: float) -> float:
        """Return the processor time of a search in the load generator."""
        answers, spent = self._run("rate", rate, seconds)
        return spent * 1000 / max(1, len(answers))

    def _run(self, how: str, amount: float, seconds: float) -> tuple[list[Answer], float]:
        """Return the answers, and the processor seconds of the load generator."""
        words = [sys.executable, "-P", "-m", "benchmarks.service.proof_serving"]
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(
            [*words, how, str(amount), str(seconds)],
            input=orjson.dumps(asdict(self)),
            stdout=subprocess.PIPE,
            check=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        told = orjson.loads(done.stdout)
        return [Answer(**each) for each in told["answers"]], float(told["spent"])


def send(how: str, amount: str, seconds: str) -> None:
    """Send searches, and print the answers as JSON, with the processor seconds of that."""
    asked = Asked(**orjson.loads(sys.stdin.buffer.read()))
    load = Load(asked.url, os.getpid(), _requests(asked))
    before = time.process_time()
    if how == "rate":
        load.ask_at(float(amount), float(seconds))
    else:
        load.ask_in_turn(round(float(amount)), float(seconds))
    spent = time.process_time() - before
    told = {"answers": [asdict(answer) for answer in load.answers], "spent": spent}
    sys.stdout.buffer.write(orjson.dumps(told))


def _requests(asked: Asked) -> Iterator[bytes]:
    """Yield the searches that `capacity measure` asks, others in each process."""
    for query in asked.client.queries(os.getpid()):
        path = "/content/search?" + urlencode({"q": query, "profile": asked.profile})
        yield f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {asked.key}\r\n\r\n".encode()


if __name__ == "__main__":
    send(*sys.argv[1:])
