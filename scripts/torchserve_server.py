"""A real TorchServe on this machine for tests and benchmarks: loopback only, with keys.

It serves a folder that `dateline models convert --to torchserve` wrote, and ends with its context.
Needs Java 17 and the package torchserve beside torch.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

READY_S = 120.0
_CONFIG = "config.properties"
# However the process ends that holds the other end of its input, the server ends with it.
_TIED = ("bash", "-c", 'exec 3<&0; "$@" & cat <&3 >/dev/null & wait -n; kill -9 0', "tied")
_ARGUMENTS = ("--start", "--foreground", "--no-config-snapshots", "--ts-config", _CONFIG)


@dataclass(frozen=True)
class Served:
    """A server that answers: its two addresses, the keys to both, and its process."""

    inference: str
    management: str
    inference_key: str
    management_key: str
    process: int

    def model(self, name: str) -> Any:
        """Return what the management address says of a model."""
        return _asked(f"{self.management}/models/{name}", self.management_key).json()


def missing() -> str:
    """Return what TorchServe lacks here; "" if nothing."""
    absent = [name for name in ("ts", "torch", "yaml") if find_spec(name) is None]
    return ", ".join(absent) or ("" if shutil.which("java") else "java")


@contextmanager
def torchserve(folder: Path) -> Iterator[Served]:
    """Serve `folder` until the context ends. Raises RuntimeError if no worker is ready in time."""
    settings = dict(
        line.split("=", 1) for line in (folder / _CONFIG).read_text("utf-8").splitlines()
    )
    name = settings["load_models"].removesuffix(".mar")
    # Its sockets have a fixed name in the folder for temporary files, and a path of 107 characters.
    with tempfile.TemporaryDirectory(prefix="ts-", ignore_cleanup_errors=True) as temporary:
        told = Path(temporary) / "told"
        with told.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 - our own arguments
                [*_TIED, sys.executable, "-P", "-m", "ts.model_server", *_ARGUMENTS],
                cwd=folder,
                env={
                    **os.environ,
                    **dict.fromkeys(("TEMP", "TMPDIR"), temporary),
                    **dict.fromkeys(("LOG_LOCATION", "METRICS_LOCATION"), temporary),
                },
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield _ready(folder, settings, name, process, told)
        finally:
            # The launcher, the JVM and its workers are one group, and have nothing to write down.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            (folder / "key_file.json").unlink(missing_ok=True)


def _ready(
    folder: Path, settings: dict[str, str], name: str, process: subprocess.Popen[bytes], told: Path
) -> Served:
    until = monotonic() + READY_S
    while monotonic() < until and process.poll() is None:
        try:
            keys = json.loads((folder / "key_file.json").read_text("utf-8"))
            served = Served(
                settings["inference_address"],
                settings["management_address"],
                keys["inference"]["key"],
                keys["management"]["key"],
                process.pid,
            )
            (model,) = served.model(name)
            if model["workers"] and all(one["status"] == "READY" for one in model["workers"]):
                return served
        except (OSError, ValueError, KeyError, httpx.HTTPError):
            pass  # it is not there yet
        sleep(0.1)
    raise RuntimeError("TorchServe was not ready:\n" + told.read_text("utf-8", "replace")[-4000:])


def _asked(url: str, key: str) -> httpx.Response:
    answer = httpx.get(url, headers={"authorization": f"Bearer {key}"}, timeout=10.0)
    answer.raise_for_status()
    return answer
