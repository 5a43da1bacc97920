"""What still protects where a machine offers less: without namespaces and /dev/shm media are read,
without the filter of system calls they are refused.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dateline
from dateline.diagnosis import cage
from dateline.settings import Settings
from indexing.media.cage.limits import CageProtection
from tests.indexing.media.clips import photo

ROOT = Path(dateline.__file__).parent.parent
READ = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from core.errors import DatelineError
from dateline.diagnosis import cage
from dateline.settings import Settings
from indexing.media.reading import CagedReader
said = {"shm": Path("/dev/shm").is_dir()}
with CagedReader() as reader:
    try:
        found = reader.protection()
        said["own_network"], said["enough"] = found.own_network, found.is_enough
        said["width"] = reader.probe(Path(sys.argv[2])).width
    except DatelineError as error:
        said["refused"] = type(error).__name__, error.where
(doctor,) = cage(Settings())
said["doctor"] = doctor.ok
print(json.dumps(said))
"""
# A user namespace may limit those below it: the processes of the cage then get none of their own.
BARE = """
set -e
echo 0 > /proc/sys/user/max_user_namespaces
place=$(mktemp -d)
mount -t tmpfs none "$place"
for name in null urandom; do touch "$place/$name"; mount --bind "/dev/$name" "$place/$name"; done
mount --rbind "$place" /dev
exec "$@"
"""


def said(picture: Path, *before: str) -> dict[str, Any]:
    command = [*before, sys.executable, "-c", READ, str(ROOT), str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine can't be made poorer: {done.stderr[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    photo((320, 240)).save(path)
    return path


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare")
def test_namespaces_and_shared_memory_are_not_needed(picture: Path) -> None:
    """As on Lambda."""
    found = said(picture, "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", BARE, "sh")
    assert found == {
        "shm": False,
        "own_network": False,
        "enough": True,
        "width": found["width"],
        "doctor": True,
    }
    assert found["width"] > 0


@pytest.mark.skipif(shutil.which("setarch") is None, reason="no setarch")
def test_without_the_filter_media_are_refused(picture: Path) -> None:
    """For a processor whose system calls are not known there is no filter."""
    found = said(picture, "setarch", "i686")
    assert found["refused"] == ["SettingsError", "media_unsealed"]
    assert not found["doctor"]


def test_the_least_is_each_of_four() -> None:
    whole = {"no_open": True, "no_network": True, "no_new_privileges": True, "memory": True}
    assert CageProtection(**whole, own_network=False).is_enough
    for name in whole:
        assert not CageProtection(**{**whole, name: False}, own_network=True).is_enough


def test_doctor_says_what_protects() -> None:
    (found,) = cage(Settings())
    assert found.what == "cage"
    assert found.ok == ("opens no file" in found.says)
