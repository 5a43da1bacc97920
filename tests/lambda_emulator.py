"""A function of Lambda on this machine, by the real runtime interface emulator.

The emulator starts the function's command when the first event comes, as Lambda starts a copy.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.free_ports import free_port

EMULATOR = shutil.which("aws-lambda-rie")
MISSING = (
    "aws-lambda-rie is not here: "
    "go install github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie@latest"
)
_PATIENCE_S = 240.0
_INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")


@dataclass(frozen=True)
class Function:
    """A function that takes events; `log` is what the emulator and the function write."""

    client: httpx.Client
    log: Path

    def answer(self, event: Any) -> Any:
        """What the function answers to an event."""
        return self.client.post("/2015-03-31/functions/function/invocations", json=event).json()

    def init_ms(self) -> float:
        """How long the function took from its start until it asked for its first event."""
        found = _INIT.findall(self.log.read_text("utf-8"))
        return float(found[0])


@contextmanager
def emulated(command: Sequence[str | Path], variables: Mapping[str, str]) -> Iterator[Function]:
    """A function that the command starts: `by_emulator` and then the function's own words. Others
    may come before, as those of podman, so that the emulator runs in a container.
    """
    folder = Path(tempfile.mkdtemp(prefix="lambda-"))
    port, inner = free_port(), free_port()
    addresses = {
        "EMULATOR_ADDRESS": f"127.0.0.1:{port}",
        "RUNTIME_ADDRESS": f"127.0.0.1:{inner}",
    }
    filled = [str(word).format(**addresses) for word in command]
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            filled, cwd=folder, env=dict(variables), stdout=stream, stderr=stream
        )
    try:
        _wait(process, port, log)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_PATIENCE_S) as client:
            yield Function(client, log)
    finally:
        process.terminate()  # it ends what it has started
        process.wait(_PATIENCE_S)
        shutil.rmtree(folder, ignore_errors=True)


def by_emulator(emulator: str | Path) -> list[str | Path]:
    """The words before the function's own command."""
    return [
        emulator,
        "--runtime-interface-emulator-address",
        "{EMULATOR_ADDRESS}",
        "--runtime-api-address",
        "{RUNTIME_ADDRESS}",
    ]


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"the emulator did not start: {log.read_text('utf-8')[-2000:]}")
