"""Runs `dateline serve` on an archive, in its own process, over loopback."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson

from core.errors import StorageError

_START_S = 300.0  # a busy machine takes long to load the models of several processes


@contextmanager
def served(
    folder: Path, products: Sequence[str], settings: Mapping[str, str]
) -> Iterator[httpx.Client]:
    """A client, with a connection kept alive, of the service that `started` starts."""
    with started(folder, products, settings) as (_, client):
        yield client


@contextmanager
def started(
    folder: Path,
    products: Sequence[str],
    settings: Mapping[str, str],
    flags: Sequence[str] = (),
) -> Iterator[tuple[int, httpx.Client]]:
    """Start the service on the archive in `folder` with `settings` (DATELINE_ variables) and
    `flags` of `dateline serve`. Yields its process id, and a client with a connection kept alive
    that may read `products`. Raises StorageError if it does not start.
    """
    port = free_port()
    key = secrets.token_urlsafe(16)
    keys = [{"name": "bench", "key": key, "products": sorted(products)}]
    environment = {
        **os.environ,
        "DATELINE_DATA": str(folder.resolve()),
        "DATELINE_PORT": str(port),
        "DATELINE_KEYS": orjson.dumps(keys).decode(),
        **settings,
    }
    command = [sys.executable, "-c", "from dateline.cli import main; main()", "serve", *flags]
    root = Path(__file__).resolve().parents[2]
    nowhere = subprocess.DEVNULL  # it logs every request
    server = subprocess.Popen(  # noqa: S603  our own interpreter and module
        command, env=environment, cwd=root, stdout=nowhere, stderr=nowhere
    )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=60) as client:
            _wait(client, server)
            yield server.pid, client
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise StorageError("the service did not start", mend="`dateline serve` says why")
