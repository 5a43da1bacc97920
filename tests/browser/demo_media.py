"""The demo with its photographs and clips, as `make demo-media` has it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.demo_service import COMMAND, ROOT, plain, serving
from tests.free_ports import free_port

MEDIA = ROOT / "datasets/demo/media"
_PULLED = {n: v for n, v in os.environ.items() if n == "DATELINE_PULLED_MODELS"}


@contextmanager
def demo_with_media(archive: Path, folder: Path, **settings: str) -> Iterator[str]:
    """Serve the demo with its media from a copy of `archive`; yield the address."""
    pytest.importorskip("av", reason="the extra [media] is not installed")
    data = folder / "data"
    shutil.copytree(archive, data)
    ingest = [*COMMAND, "ingest", "--data", str(data), str(MEDIA), "--products", "demo"]
    subprocess.run(ingest, cwd=ROOT, env=plain() | _PULLED, capture_output=True, check=True)
    pulled = {name.removeprefix("DATELINE_").lower(): value for name, value in _PULLED.items()}
    with serving(data, free_port(), **pulled, **settings) as (url, _):
        yield url
