"""A migration whose every command is killed without warning goes on to the same end, while searches
go on: each answer comes from one encoder's vectors, as the index that gave it says.

KILL_ROUNDS says how often; `make deep` has the most.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from core.callers import Caller
from dateline.build.service import Service, build_service
from dateline.default_folders import demo_folder
from dateline.settings import Settings
from search.answers import SearchRequest
from storage.opensearch.following.migration_state import MigrationState
from storage.opensearch.index.family import served_index
from storage.opensearch.nodes.connection import Cluster, ClusterSettings, MissingError
from tests.opensearch_node import new_name

pytestmark = [pytest.mark.faults, pytest.mark.cluster]
READER = Caller("test", frozenset({"demo"}))
_PATIENCE_S = 900.0
_MAIN = "from dateline.cli import main; main()"
KILLS = int(os.environ.get("KILL_ROUNDS", "16")) // 16  # of each command
COMMANDS = (["start"], ["step"], ["flip", "--unevaluated"], ["clean", "--wait", "0"])


class Host:
    """An archive of the demo's stories in a folder, its indexes on the node."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder, self.url, self.name = folder, url, new_name()
        self.cluster = Cluster(ClusterSettings((url,)))
        self.settings = Settings(
            data=folder,
            engine="opensearch",
            opensearch_url=url,
            opensearch_index=self.name,
            opensearch_replicas=0,
            opensearch_patience_s=60,
            opensearch_timeout_s=120,
            opensearch_search_timeout_s=60,
            next_encoder="bge-small-en-v1.5",
            tagger="",
            reranker="",
        )

    def begin(self, *command: str) -> subprocess.Popen[bytes]:
        """`dateline migration COMMAND` in a process of its own."""
        names = self.settings.model_fields_set - {"tagger", "reranker"}
        told = {f"DATELINE_{name.upper()}": str(getattr(self.settings, name)) for name in names}
        told |= {"DATELINE_TAGGER": "", "DATELINE_RERANKER": ""}
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, "migration", *command],
            env={**os.environ, **told},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def run(self, *command: str) -> None:
        """Runs it to its end."""
        process = self.begin(*command)
        _, told = process.communicate(timeout=_PATIENCE_S)
        assert process.returncode == 0, told.decode()

    def close(self) -> None:
        for index in (*self.cluster.ask("GET", f"/{self.name}-*/_alias"), f"{self.name}-meta"):
            with suppress(MissingError):
                self.cluster.ask("DELETE", f"/{index}")
        self.cluster.close()


@pytest.fixture
def host(opensearch: str, tmp_path: Path) -> Iterator[Host]:
    made = Host(opensearch, tmp_path / "archive")
    yield made
    made.close()


@pytest.mark.timeout(3600)
def test_every_command_may_be_killed(host: Host) -> None:
    documents = (demo_folder() / "stories.jsonl").read_bytes().splitlines()
    first = build_service(host.settings.model_copy(update={"next_encoder": ""}))
    first.ingest.put_documents(documents[:-5])
    first.close()
    service = build_service(host.settings)
    service.ingest.put_documents(documents[-5:])  # by both models from now on
    following = service.models.following
    assert following is not None
    reads = service.engine.record.reads
    assert reads.count_lacking("text", following.digest) == reads.count_items() - 5
    before = _answer(service)
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    with _searching(service) as seen:
        for command in COMMANDS:
            for _ in range(KILLS):
                _kill_after(host, command, rng.uniform(0, 1))
            if command[0] != "clean" or MigrationState(host.cluster, host.name).read():
                host.run(*command)
    after = _answer(service)
    assert before != after, "the two models rank alike: this test would see no mixture"
    fresh = build_service(host.settings)
    assert after == _answer(fresh), "a service of before the move answers as a new one"
    fresh.close()
    assert set(seen) <= {before, after}
    assert served_index(host.cluster, host.name) == f"{host.name}-000002"
    assert MigrationState(host.cluster, host.name).read() is None
    assert reads.count_lacking("text", following.digest) == 0
    service.close()


def _answer(service: Service) -> tuple[str, ...]:
    request = SearchRequest("dam overflow", profile="vector", highlight=False)
    found = service.pipeline.search(request, READER)
    return (*(hit.item.uri for hit in found.hits), *found.degraded)


@contextmanager
def _searching(service: Service) -> Iterator[list[tuple[str, ...]]]:
    """Every answer to one search, asked again and again meanwhile; a failure is an answer, too."""
    seen: list[tuple[str, ...]] = []
    ended = threading.Event()

    def search() -> None:
        while not ended.wait(0.02):
            try:
                seen.append(_answer(service))
            except Exception as error:  # noqa: BLE001 - any is what the test looks for
                seen.append((repr(error),))

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _kill_after(host: Host, command: list[str], work_s: float) -> None:
    """Ends the command by SIGKILL, `work_s` after it has come to its work."""
    process = host.begin(*command)
    deadline = time.monotonic() + 1.6 + work_s  # the start of the program and the models
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=_PATIENCE_S)
