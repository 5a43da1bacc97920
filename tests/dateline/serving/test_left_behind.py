"""What processes of ours leave on a machine and whom they speak to: nothing beside the archive,
which its owner alone can read, and nobody.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from dateline.archive_folder import archive_folder
from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_READ_KEY
from dateline.settings import Settings
from tests.dateline.conftest import DOCUMENTS, write_lines
from tests.dateline.serving.test_serve import ROOT, START
from tests.free_ports import free_port

pytestmark = pytest.mark.service

_STRANGER = re.compile(r"connect\(\d+, \{sa_family=AF_INET6?(?!.*(?:\"127\.|\"::1))")
_AS_A_LIBRARY = """
import inference
import onnxruntime
"""
_COMMANDS = """
from dateline.cli import app
for command in {}:
    app(command, standalone_mode=False)
"""


@dataclass(frozen=True)
class Machine:
    """Empty folders for all that a user of this machine may have."""

    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder / "work" / "archive"

    @property
    def environment(self) -> Mapping[str, str]:
        """No CI's variables, among which are some that turn telemetry off."""
        named = {"HOME": "home", "TMPDIR": "tmp", "XDG_CACHE_HOME": "cache"}
        named |= {"XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "state"}
        places = {name: str(self.folder / place) for name, place in named.items()}
        python = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        return {"PATH": os.environ["PATH"], **python, **places}

    def left(self) -> list[str]:
        """Every file and folder that is there now beside the archive."""
        found = (path for place in self.folder.iterdir() for path in place.rglob("*"))
        return [str(p) for p in found if p != self.archive and self.archive not in p.parents]

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Python with these arguments under strace, where there is one that works."""
        command = [*_traced(self.folder / "calls"), sys.executable, "-P", *arguments]
        process = subprocess.Popen(
            command, cwd=self.folder / "work", env=dict(self.environment), umask=0o022
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(120)

    def run(self, *arguments: str) -> None:
        with self.running(*arguments) as process:
            assert process.wait(120) == 0

    def asked_of_strangers(self) -> list[str]:
        """Connections to anything but this machine."""
        calls = self.folder / "calls"
        lines = calls.read_text("utf-8", "replace").splitlines() if calls.exists() else []
        return [line for line in lines if _STRANGER.search(line)]


def _traced(calls: Path) -> list[str]:
    """What stands before a command so that every connection is written down, its own included and
    those of libraries; nothing where no process may trace another.
    """
    command = [
        "strace",
        "-D",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-A",
        "-e",
        "trace=connect",
        "-o",
        str(calls),
    ]
    tried = shutil.which("strace") and subprocess.run([*command, "true"], check=False).returncode
    return command if tried == 0 else []


@pytest.fixture
def machine(folder: Path) -> Machine:
    for name in ("home", "tmp", "cache", "config", "data", "state", "work"):
        (folder / name).mkdir()
    return Machine(folder)


def open_to_others(folder: Path) -> list[str]:
    """What other users could read or write."""
    return [str(p) for p in (folder, *folder.rglob("*")) if p.lstat().st_mode & 0o077]


def test_nothing_is_written_beside_the_archive_nothing_is_sent_and_nobody_else_reads_it(
    machine: Machine,
) -> None:
    machine.run("-c", _AS_A_LIBRARY)
    wire = write_lines(machine.folder / "wire.jsonl", *DOCUMENTS)
    copy, port = machine.folder / "copy", str(free_port())
    commands = (
        ["ingest", str(wire), "--products", "demo"],
        ["backup", str(copy)],
        ["restore", str(copy), "--force"],
        ["search", "ferry"],
    )
    archive = ["--data", str(machine.archive)]
    machine.run("-c", _COMMANDS.format([[*command, *archive] for command in commands]))
    with machine.running("-c", START, "serve", "--demo", "--port", port, *archive):
        transport = httpx.HTTPTransport(retries=8)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=120
        ) as client:
            read, desk = {"x-api-key": DEMO_READ_KEY}, {"x-api-key": DEMO_INGEST_KEY}
            found = client.get(
                "/content/search", params={"q": "ferry", "page_size": 1}, headers=read
            )
            assert found.json()["data"]["cursor"], "lists of candidates are written"
            fresh = {"uri": "urn:new", "headline": "Lighthouse relit", "products": ["demo"]}
            assert client.post("/content", json=fresh, headers=desk).status_code == 201
            kill = {"pubstatus": "canceled"}
            answer = client.patch("/content/urn:new/status", json=kill, headers=desk)
            assert answer.status_code == 200
            assert open_to_others(machine.archive) == []
    assert machine.left() == []
    assert machine.asked_of_strangers() == []
    assert open_to_others(machine.archive) == []
    assert copy.stat().st_mode & 0o777 == 0o600


def test_an_archive_that_was_open_to_others_is_closed_when_it_is_opened(folder: Path) -> None:
    archive = folder / "archive"
    (archive / "projections" / "lexical").mkdir(parents=True)
    strangers = folder / "strangers"
    strangers.write_text("not of the archive")
    for name in ("record.sqlite3", "record.sqlite3-wal", "projections/lexical/meta.json"):
        (archive / name).write_text("x")
    (archive / "projections" / "link").symlink_to(strangers)
    for path in (strangers, archive, *archive.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = os.umask(0o022)
    try:
        assert archive_folder(Settings(data=archive)) == archive
        (archive / "later").write_text("y")
    finally:
        os.umask(before)
    left = [path for path in open_to_others(archive) if not path.endswith("link")]
    assert left == []
    assert strangers.stat().st_mode & 0o777 == 0o644
