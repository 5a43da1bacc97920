"""The demo as a newcomer gets it: ingested and served by the command line."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.free_ports import free_port

ROOT = Path(__file__).parents[1]
STORIES = ROOT / "datasets/demo/stories.jsonl"
COMMAND = [sys.executable, "-c", "from dateline.cli import main; main()"]


def wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the service is not ready:\n{log.read_text()[-3000:]}")


def plain() -> dict[str, str]:
    """The environment without any setting."""
    return {k: v for k, v in os.environ.items() if not k.startswith("DATELINE_")}


@pytest.fixture(scope="session")
def demo_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the demo corpus, to copy: one for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    data, whole = shared / "corpus", shared / "corpus-is-whole"
    with (shared / "corpus-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(data, ignore_errors=True)
            _ingest(data)
            whole.touch()
    return data


def _ingest(data: Path) -> None:
    # The corpus names its products itself: some items are not for the demo key.
    ingest = [*COMMAND, "ingest", "--data", str(data), str(STORIES)]
    done = subprocess.run(ingest, cwd=ROOT, env=plain(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]


@pytest.fixture(scope="session")
def service(demo_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the demo service, over data of its own."""
    data = tmp_path_factory.mktemp("demo")
    shutil.copytree(demo_archive, data / "data")
    with serving(data / "data", free_port()) as (url, _):
        yield url


@contextmanager
def serving(
    data: Path, port: int, **settings: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of a demo service over `data`, once it is ready."""
    log = data.with_name("serve.log")
    named = {f"DATELINE_{name.upper()}": value for name, value in settings.items()}
    serve = [*COMMAND, "serve", "--data", str(data), "--port", str(port), "--demo"]
    with log.open("ab") as output:
        server = subprocess.Popen(
            serve, cwd=ROOT, env=plain() | named, stdout=output, stderr=output
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, server, log)
            yield url, server
        finally:
            server.terminate()
            server.wait(120)
