"""A real Postgres server for tests: made in a temporary folder, ended and removed afterwards.

It listens on a port of the loopback interface and runs as an ordinary user, which Postgres insists
on: as `nobody` where the tests run as root. Durability is as in service (fsync on); the folder is
in memory where there is a file system for it, so that a commit costs little.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.free_ports import free_port

_MEMORY = Path("/dev/shm")
_FAST = _MEMORY if _MEMORY.is_dir() else None
_PATIENCE_S = 240.0
_OWNER = "dateline_owner"


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`; Debian keeps the versions' apart."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


class Server:
    """A server in `folder`; `start` and `stop` (fast, at once, or killed) as often as needed."""

    def __init__(self, folder: Path, where: Path, port: int) -> None:
        self.port = port
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._where = where
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Creates the cluster, with trust for whoever comes by loopback."""
        command: list[str | Path] = [self._where / "initdb", "-D", self._data, "-U", _OWNER]
        subprocess.run(
            [*_unprivileged(), *command, "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            capture_output=True,
            timeout=_PATIENCE_S,
            cwd=self._data.parent,
        )

    def start(self, *options: str) -> None:
        """Starts it and waits until it answers."""
        command: list[str | Path] = [self._where / "postgres", "-D", self._data, "-p"]
        command += [str(self.port), "-h", "127.0.0.1", "-k", "", "-c", "max_connections=200"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_unprivileged(), *command, *options],
                stdout=log,
                stderr=log,
                cwd=self._data.parent,
            )
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                said = self._log.read_text("utf-8", "replace")[-2000:]
                raise RuntimeError(f"Postgres did not start: {error}\n{said}") from error

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it: SIGINT is Postgres's fast shutdown, SIGQUIT a crash of every process."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def url(self, database: str = "postgres", user: str = _OWNER, schema: str = "") -> str:
        """The address; with a `schema`, tables are looked for and made there."""
        options = f"?options=-csearch_path%3D{schema}" if schema else ""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}{options}"

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Runs statements as the owner of everything."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@contextmanager
def server(beside: Path | None = _FAST) -> Iterator[Server]:
    """A server that runs, its folder in `beside` or where temporary folders are."""
    where = binaries()
    assert where is not None
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=beside))
    if os.getuid() == 0:
        shutil.chown(folder, "nobody")
    made = Server(folder, where, free_port())
    try:
        made.make()
        made.start()
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.stop(signal.SIGQUIT)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server for all tests, each with a schema of its own; it must be left running."""
    if binaries() is None:
        if os.environ.get("CI"):
            pytest.fail("no Postgres is installed: scripts/test-packages should have done it")
        pytest.skip("no Postgres is installed (initdb); `make test` installs it where it may")
    with server() as running:
        yield running


def _unprivileged() -> list[str]:
    """What runs a command as an ordinary user in its own process, so that it gets our signals."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs"]
