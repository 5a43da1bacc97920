"""Podman for tests, as it runs on a plain machine: by the settings that scripts/image uses too.

The image is what `make image` built, or what TEST_IMAGE names. Where it or podman is missing a test
skips and says what to do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
IMAGE = os.environ.get("TEST_IMAGE", "localhost/dateline")
UID = 10001


def podman(*command: str | Path, check: bool = True) -> str:
    """What podman writes. Fails with its errors if it fails and `check` is set."""
    done = subprocess.run(
        ["podman", *map(str, command)],
        capture_output=True,
        text=True,
        env=podman_settings(),
        timeout=300,
    )
    if check and done.returncode:
        pytest.fail(f"podman {' '.join(map(str, command))}: {done.stderr[-3000:]}")
    return done.stdout


def need_image() -> str:
    """The image's name; skips where there is none."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not here: apt-get install podman runc")
    known = subprocess.run(["podman", "image", "exists", IMAGE], env=podman_settings(), check=False)
    if known.returncode:
        pytest.skip(f"there is no image {IMAGE}: make image")
    return IMAGE


def inspected(image: str) -> dict[str, Any]:
    """What podman knows of an image."""
    found: list[dict[str, Any]] = json.loads(podman("image", "inspect", image))
    return found[0]


@contextmanager
def container(
    *command: str, image: str, variables: Mapping[str, str], options: Sequence[str | Path] = ()
) -> Iterator[str]:
    """A container that runs as in service: read-only root, no capabilities. Gives its name."""
    name = f"dateline-test-{uuid.uuid4().hex[:12]}"
    safe = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "all"]
    settings = [part for key, value in variables.items() for part in ("--env", f"{key}={value}")]
    podman("run", "--detach", "--name", name, *safe, *settings, *options, image, *command)
    try:
        yield name
    finally:
        podman("rm", "--force", "--time", "0", "--volumes", name, check=False)


def podman_settings() -> dict[str, str]:
    """The environment with the settings of scripts/containers."""
    command = ". scripts/containers; env -0"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=True)
    lines = done.stdout.decode().split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)
