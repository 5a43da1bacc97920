"""`scripts/environment`: what locks install is kept by their digest; a clone's code is its own."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import dateline

SCRIPT = Path(dateline.__file__).parent.parent / "scripts" / "environment"
pytestmark = pytest.mark.deep  # `.ci/run` makes its own environments by the script
BACKEND = """
import os, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "clone-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("clone.pth", os.getcwd())
        for file, text in {
            "METADATA": "Metadata-Version: 2.1\\nName: clone\\nVersion: 1.0\\n",
            "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            "RECORD": "",
        }.items():
            wheel.writestr("clone-1.0.dist-info/" + file, text)
    return name
"""


def write_wheel(folder: Path) -> str:
    """A wheel of the package `tiny` with a program of its own; returns its sha256."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    files = {
        "tiny.py": "def main(): print('tiny', __import__('ours').WHERE)\n",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        "Generator: t\nTag: py3-none-any\n",
        "tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny = tiny:main\n",
    }
    digests = {
        name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        for name, text in files.items()
    }
    lines = [f"{name},sha256={digests[name]},{len(files[name])}" for name in files]
    files["tiny-1.0.dist-info/RECORD"] = "\n".join([*lines, "tiny-1.0.dist-info/RECORD,,"]) + "\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Clone:
    """A clone with the script, a lock that names a package, and a module of its own."""

    def __init__(self, place: Path, wheels: Path, digest: str) -> None:
        self.place = place
        (place / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, place / "scripts")
        (place / "ours.py").write_text(f"WHERE = {str(place)!r}\n")
        (place / "backend.py").write_text(BACKEND)
        (place / "pyproject.toml").write_text(
            "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
            "[project]\nname = 'clone'\nversion = '1.0'\n"
        )
        lock = f"--no-index\n--find-links {wheels}\ntiny==1.0 --hash=sha256:{digest}\n"
        (place / "tiny.lock").write_text(lock)

    def make(self, cache: Path, *, code: int = 0) -> None:
        """Runs the script."""
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHON": sys.executable}
        command = ["bash", "scripts/environment", ".venv", "tiny.lock"]
        done = subprocess.run(
            command, cwd=self.place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr

    def says(self) -> str:
        """What the package's program prints in the clone's environment."""
        program = self.place / ".venv" / "bin" / "tiny"
        done = subprocess.run([program], capture_output=True, text=True, check=True)
        return done.stdout.strip()


def test_a_second_clone_installs_nothing_and_runs_its_own_code(tmp_path: Path) -> None:
    wheels, cache = tmp_path / "wheels", tmp_path / "cache"
    wheels.mkdir()
    digest = write_wheel(wheels)
    one, other, third = (Clone(tmp_path / name, wheels, digest) for name in ("a", "b", "c"))
    one.make(cache)
    (wheels / "tiny-1.0-py3-none-any.whl").rename(wheels / "away")
    other.make(cache)  # from what was kept: there is nothing to install from
    assert one.says() == f"tiny {one.place}"
    assert other.says() == f"tiny {other.place}"
    (stamp,) = cache.glob("dateline/environments/venv/*/.complete")
    stamp.unlink()  # as a run that was ended half-way leaves it
    third.make(cache, code=1)
    assert not (third.place / ".venv").exists()
    (wheels / "away").rename(wheels / "tiny-1.0-py3-none-any.whl")
    third.make(cache)
    assert third.says() == f"tiny {third.place}"
    assert one.says() == f"tiny {one.place}"
