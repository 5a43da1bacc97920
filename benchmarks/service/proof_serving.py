"""What the proof of capacity plans asks: one archive served in several ways, by open load."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import orjson

from benchmarks.service.overload import Answer, Load
from dateline.build.engine import opensearch_settings
from dateline.build.service import build_service
from dateline.measuring.capacity.archive import WHOLE, grow
from dateline.measuring.capacity.serving import Client, served_variables, settle
from dateline.measuring.served import started
from dateline.settings import Settings, configure
from storage.opensearch.nodes.connection import Cluster

EMBEDDED, REMOTE, OPENSEARCH = "embedded", "remote", "opensearch"
PLACES = (EMBEDDED, REMOTE, OPENSEARCH)
_INDEX = "dateline-proof"
_TEXTS = "texts.json"
_OF_MODELS = ("encoder", "tagger", "reranker")
_OF_CLUSTER = ("engine", "opensearch_index", "opensearch_replicas")
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


@contextmanager
def served(
    settings: Settings, where: str, changed: Mapping[str, str]
) -> Iterator[tuple[int, str, str]]:
    """Serve the archive with `changed` variables, with the models in one more process if they are
    elsewhere. Yields the process, the address and a key.
    """
    key = secrets.token_urlsafe(16)
    variables = served_variables(settings, {WHOLE: key})
    with ExitStack() as stack:
        if where == REMOTE:
            variables |= stack.enter_context(_models(settings, changed))
        if where == OPENSEARCH:
            variables |= {f"DATELINE_{n.upper()}": str(getattr(settings, n)) for n in _OF_CLUSTER}
        variables |= changed
        pid, client = stack.enter_context(started(settings.data, (WHOLE,), variables))
        settle(pid)
        yield pid, str(client.base_url), key


@contextmanager
def _models(settings: Settings, changed: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Serve the models alone; yields the variables of a service that asks them."""
    key = secrets.token_urlsafe(16)
    keys = orjson.dumps([{"name": "proof", "key": key, "models": True}]).decode()
    variables = {**served_variables(settings, {}), **changed, "DATELINE_KEYS": keys}
    with started(settings.data, (), variables, ("--models-only",)) as (_, client):
        place = f"remote:{str(client.base_url).rstrip('/')}"
        runtimes = {getattr(settings, role): place for role in _OF_MODELS}
        yield {
            "DATELINE_RUNTIMES": orjson.dumps(runtimes).decode(),
            "DATELINE_REMOTE_KEY": key,
        }


def nodes_spent_ms(settings: Settings) -> float:
    """Return the processor time of the cluster's nodes since they started; 0 without a cluster."""
    if settings.engine != OPENSEARCH:
        return 0.0
    time.sleep(_FRESH_S)
    cluster = Cluster(opensearch_settings(settings, {}).cluster)
    try:
        found = cluster.ask("GET", "/_nodes/stats/process")["nodes"].values()
    finally:
        cluster.close()
    return float(sum(node["process"]["cpu"]["total_in_millis"] for node in found))


# --- load


def percentile_ms(answers: Sequence[Answer], percent: int) -> float:
    """Return a percentile of what was answered, in milliseconds."""
    good = [answer.seconds for answer in answers if answer.status == 200]
    return float(np.percentile(good, percent)) * 1000


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

    def at(self, rate: float, seconds: float) -> list[Answer]:
        """Send `rate` searches a second for so many seconds; return their answers."""
        return self._run("rate", rate, seconds)[0]

    def in_turn(self, clients: int, seconds: float) -> float:
        """Return answers a second to clients that ask again at once, without those that came when
        nobody asked any more.
        """
        answers, _ = self._run("clients", clients, seconds)
        end = min(answer.due for answer in answers) + seconds
        good = [answer for answer in answers if answer.status == 200]
        return sum(answer.due + answer.seconds <= end for answer in good) / seconds

    def cost_ms(self, rate: float, seconds: float) -> float:
        """Return the processor time of a search in the load generator, without its start."""
        _, spent = self._run("rate", rate, seconds)
        _, start = self._run("rate", rate, 0.0)
        return max(0.05, (spent - start) * 1000 / (rate * seconds))

    def _run(self, how: str, amount: float, seconds: float) -> tuple[list[Answer], float]:
        words = [sys.executable, "-P", "-m", "benchmarks.service.proof_serving"]
        root = Path(__file__).resolve().parents[2]
        before = os.times()
        done = subprocess.run(
            [*words, how, str(amount), str(seconds)],
            input=orjson.dumps(asdict(self)),
            stdout=subprocess.PIPE,
            check=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        after = os.times()
        spent = sum(after[2:4]) - sum(before[2:4])
        return [Answer(**each) for each in orjson.loads(done.stdout)], spent


def send(how: str, amount: str, seconds: str) -> None:
    """Send searches, and print the answers as JSON."""
    asked = Asked(**orjson.loads(sys.stdin.buffer.read()))
    load = Load(asked.url, 0, _requests(asked))
    if how == "rate":
        load.ask_at(float(amount), float(seconds))
    else:
        load.ask_in_turn(round(float(amount)), float(seconds))
    sys.stdout.buffer.write(orjson.dumps([asdict(answer) for answer in load.answers]))


def _requests(asked: Asked) -> Iterator[bytes]:
    """Yield the searches that `capacity measure` asks, others in each process."""
    for query in asked.client.queries(os.getpid()):
        path = "/content/search?" + urlencode({"q": query, "profile": asked.profile})
        yield f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {asked.key}\r\n\r\n".encode()


if __name__ == "__main__":
    send(*sys.argv[1:])
