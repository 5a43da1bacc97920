"""A mirror that `dateline_client` keeps equals the archive, whatever is written and whoever is
killed: the service and the client, each with SIGKILL at any moment.

MIRROR_CHANGES says how many random changes there are; `make deep` has ten thousand.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from dateline_client import Client

from tests.demo_service import ROOT, serving
from tests.faults.mirror_reader import PATIENT, opened
from tests.free_ports import free_port

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]

CHANGES = int(os.environ.get("MIRROR_CHANGES", "150"))
STORIES = max(30, CHANGES // 20)
AT_ONCE = 10
PATIENCE_S = 300.0
Mirror = dict[str, tuple[int, str]]


@dataclass
class World:
    """The service and the mirror's program; both may be killed, and are started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    versions: dict[int, int] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)
    _reader: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start_service(self) -> None:
        self._stack = ExitStack()
        _, self._server = self._stack.enter_context(serving(self.folder / "data", self.port))
        # One connection for all changes: to make a client each time takes longer than a change.
        self._desk = self._stack.enter_context(
            httpx.Client(base_url=self.url, headers={"x-api-key": "demo-ingest"}, timeout=240)
        )

    def kill_service(self) -> None:
        self._server.kill()
        self._server.wait()
        self._stack.close()

    def start_reader(self) -> None:
        script = Path(__file__).with_name("mirror_reader.py")
        paths = os.pathsep.join((str(ROOT), str(ROOT / "client")))
        self._reader = subprocess.Popen(
            [sys.executable, "-P", str(script), self.url, str(self.folder)],
            env={**os.environ, "PYTHONPATH": paths},
        )

    def kill_reader(self) -> None:
        if self._reader is not None:
            self._reader.kill()
            self._reader.wait()

    def close(self) -> None:
        self.kill_reader()
        self._stack.close()

    def ask(self, method: str, path: str, body: Any) -> int:
        """Sends one request of the desk; returns its status."""
        answer = self._desk.request(method, path, json=body)
        assert answer.status_code < 500, answer.text
        return answer.status_code

    def change(self, rng: random.Random) -> None:
        """Ten random changes."""
        numbers = [rng.randrange(STORIES) for _ in range(AT_ONCE)]
        self.ask("POST", "/content", [self._document(rng, n) for n in dict.fromkeys(numbers[:6])])
        for number in numbers[6:]:
            self.ask("PATCH", f"/content/urn:mirror:{number}/status", _status(rng))

    def _document(self, rng: random.Random, number: int) -> Mapping[str, Any]:
        version = self.versions[number] = self.versions.get(number, 0) + 1
        products = rng.choice((["demo"], ["demo"], ["demo", "demo-sport"], ["other"]))
        return {
            "uri": f"urn:mirror:{number}",
            "version": str(version),
            "type": "text",
            "headline": f"Story {number}, version {version}",
            "products": products if products != ["other"] else ["demo-sport"],
            **({"expires": _soon(-1)} if rng.random() < 0.05 else {}),
        }

    def archive(self) -> Mirror:
        """What the reader's key may see now."""
        with Client(self.url, "demo-reader", retries=PATIENT) as client:
            found = client.search_all(sort="versioncreated:desc", page_size=200)
            return {hit.item.uri: (hit.item.version, hit.item.headline) for hit in found}

    def mirror(self) -> Mirror:
        database = opened(self.folder)
        try:
            rows = database.execute("SELECT uri, version, headline FROM items")
            return {uri: (version, headline) for uri, version, headline in rows}
        finally:
            database.close()


def _soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def _status(rng: random.Random) -> Mapping[str, Any]:
    return rng.choice(
        (
            {"pubstatus": "canceled"},
            {"pubstatus": "withheld"},
            {"pubstatus": "usable"},
            {"pubstatus": "usable", "embargoed": None},
            {"embargoed": _soon(2.0)},  # lifts by itself
            {"embargoed": _soon(3600.0)},
        )
    )


@pytest.fixture
def world(demo_archive: Path, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(demo_archive, tmp_path / "data")
    made = World(tmp_path)
    made.start_service()
    made.start_reader()
    yield made
    made.close()


def test_a_mirror_equals_the_archive_whoever_is_killed(world: World) -> None:
    rng = random.Random(CHANGES)
    rounds = CHANGES // AT_ONCE
    services = {*rng.sample(range(1, rounds), max(1, rounds // 100))}
    readers = {*rng.sample(range(1, rounds), max(2, rounds // 20))}
    for number in range(rounds):
        world.change(rng)
        if number in readers:
            world.kill_reader()
            world.start_reader()
        if number in services:
            world.kill_service()
            world.start_service()
    deadline = time.monotonic() + PATIENCE_S
    while (mirror := world.mirror()) != (archive := world.archive()):
        assert time.monotonic() < deadline, difference(mirror, archive)
        time.sleep(0.5)
    assert any(uri.startswith("urn:mirror:") for uri in archive)
    assert len(archive) > 50


def difference(mirror: Mirror, archive: Mirror) -> Mapping[str, Any]:
    """What differs, by uri: the mirror's, then the archive's."""
    uris = mirror.keys() | archive.keys()
    return {u: (mirror.get(u), archive.get(u)) for u in uris if mirror.get(u) != archive.get(u)}
