"""What protects from hostile photos in containers that offer less: without /dev/shm and namespaces,
as on Lambda, they are read; without the filter of system calls they are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.containers import need_image, podman
from tests.indexing.media.clips import photo

pytestmark = pytest.mark.service

NO_NAMESPACES = {"names": ["unshare"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
SET_SECCOMP = [{"index": 0, "value": 22, "op": "SCMP_CMP_EQ"}]
NO_FILTER = [
    {"names": ["seccomp"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
    {"names": ["prctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": SET_SECCOMP},
]
ASKED = """
ls /dev/shm >/dev/null 2>&1 && echo '"shm"' || echo '"no shm"'
dateline doctor --json
dateline ingest /in --products news --json
"""


def said(folder: Path, refused: list[Mapping[str, Any]]) -> tuple[str, dict[str, Any], Any]:
    """What a container says that may make all system calls but some: of /dev/shm, of the cage, and
    of the ingest of a photo. Its root is read-only, and it has no rights.
    """
    photo((320, 240)).save(folder / "a.jpg")
    profile = folder / "seccomp.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": refused}))
    folder.chmod(0o755)
    told = ["DATELINE_TAGGER=", "DATELINE_SECOND_ENCODER=", "DATELINE_DATA=/tmp/data"]
    options = [part for one in told for part in ("--env", one)]
    options += ["--volume", f"{folder / 'a.jpg'}:/in/a.jpg:ro", "--entrypoint", "/bin/sh"]
    poor = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--ipc", "none"]
    poor += ["--security-opt", f"seccomp={profile}"]
    answer = podman("run", "--rm", *poor, *options, need_image(), "-c", ASKED, check=False)
    shm, findings, ingested = read_all(answer)
    (cage,) = [found for found in findings if found["what"] == "cage"]
    return shm, cage, ingested["media"]


def read_all(text: str) -> list[Any]:
    """The JSON values that follow one another."""
    found, reader = [], json.JSONDecoder()
    while text := text.lstrip():
        value, end = reader.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def test_without_namespaces_and_shared_memory_photos_are_read(tmp_path: Path) -> None:
    shm, cage, media = said(tmp_path, [NO_NAMESPACES])
    assert shm == "no shm"
    assert cage["ok"]
    assert "network of its own" not in cage["says"]
    assert (media["done"], media["failed"]) == (1, 0)


def test_without_the_filter_photos_are_refused(tmp_path: Path) -> None:
    _, cage, media = said(tmp_path, NO_FILTER)
    assert not cage["ok"]
    (failure,) = media["failures"]
    assert media["done"] == 0
    assert "media_unsealed" in failure["cause"]
