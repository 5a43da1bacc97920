"""Puts a model's folder in place: every file is checked, then the whole folder is renamed.

Files are gathered in a hidden folder beside the target. So an interrupted installation leaves
nothing that a store would find, and the next attempt goes on from what was gathered, also in the
middle of a file. The source of files that is here is a folder: one that an export wrote, or a copy
of the files of a hub.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from core.errors import ModelError
from inference.models.manifest import ModelManifest
from inference.models.store import MANIFEST, ModelFolder, check_folder, read_folder

LARGEST_MODEL = 8 * 2**30  # bytes
_SPARE = 200 * 2**20  # bytes that stay free on the disk
_REVISION = ".revision"


@dataclass(frozen=True, slots=True)
class OfferedFile:
    """A file of a source: its size in bytes, and what is known of its content.

    `sha256` and `git_blob` (git's own sha1 of it) are in hex, or "" if the source has none.
    """

    path: str
    size: int
    sha256: str = ""
    git_blob: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """The files of a model that a source has. `unchecked` ones are taken as they are, because
    neither the catalogue nor the source has a checksum of them.
    """

    revision: str
    files: tuple[OfferedFile, ...]
    unchecked: tuple[str, ...] = ()


class Source(Protocol):
    """Where a model's files come from."""

    def offer(self, manifest: ModelManifest) -> Offer:
        """Return what the source has of the files of `manifest`. Raises ModelError if one is
        missing.
        """
        ...

    def fetch(
        self, file: OfferedFile, revision: str, part: Path, advance: Callable[[int], None]
    ) -> None:
        """Write `file` of the offer's `revision` to `part`, and continue after the bytes that are
        there.

        `advance` is called with bytes as they come. Raises ModelError; what has arrived stays in
        `part`.
        """
        ...


class Observer(Protocol):
    """Follows an installation."""

    def begin(self, total: int) -> None:
        """`total` bytes are to come."""
        ...

    def advance(self, path: str, count: int) -> None:
        """`count` more bytes of the file `path` are there, negative where it begins again."""
        ...


@dataclass(frozen=True, slots=True)
class Installed:
    """A model in its place. `fresh` is false where it was there before, undamaged."""

    folder: ModelFolder
    fresh: bool
    unchecked: tuple[str, ...]


def install(manifest: ModelManifest, source: Source, root: Path, observer: Observer) -> Installed:
    """Bring the model of `manifest` from `source` to `root`/NAME, in place of another version.

    Raises ModelError if the source lacks a file, where a file is not the expected one, is a pickle
    or does not fit the manifest, and if there is no room. The earlier model then stays.
    """
    with _on_disk(root):
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root, manifest.name):
            return _install(manifest, source, root, observer)


def installed(manifest: ModelManifest, root: Path) -> Installed | None:
    """Return the model of `manifest` at `root`/NAME, if it is there and undamaged; its source is
    not asked. None if it is not, or where the manifest lacks a checksum.
    """
    if not all(manifest.files.values()):
        return None
    there = _installed(root / manifest.name, manifest, Offer(manifest.revision, ()))
    return None if there is None else Installed(there, False, ())


def _install(manifest: ModelManifest, source: Source, root: Path, observer: Observer) -> Installed:
    offer = source.offer(manifest)
    wanted = replace(manifest, revision=offer.revision)
    _check_offer(wanted, offer, root)
    target = root / manifest.name
    there = _installed(target, wanted, offer)
    if there is not None:
        return Installed(there, False, ())
    partial = _prepared(root / f".{manifest.name}.partial", offer.revision)
    observer.begin(sum(file.size for file in offer.files))
    sums = {
        file.path: _gather(_pinned(file, manifest), offer.revision, source, partial, observer)
        for file in offer.files
    }
    _finish(partial, replace(wanted, files=sums))
    _swap(partial, target)
    return Installed(read_folder(target), True, offer.unchecked)


def _check_offer(wanted: ModelManifest, offer: Offer, root: Path) -> None:
    """Raise ModelError for a checksum that is not the catalogue's, and for lack of room."""
    for file in offer.files:
        pinned = wanted.files[file.path]
        if pinned and file.sha256 and pinned != file.sha256:
            raise ModelError(
                f"the source's {file.path} has sha256 {file.sha256}, the manifest's is {pinned}",
                where=f"{wanted.source} at {offer.revision}",
                mend="name the revision that it is of, or pull another with --revision",
            )
    total = sum(file.size for file in offer.files)
    if total > LARGEST_MODEL:
        what = f"the model has {total:,} bytes, the most allowed is {LARGEST_MODEL:,}"
        raise ModelError(what, where=wanted.source, mend="choose a smaller model or format")
    free = shutil.disk_usage(root).free
    if total + _SPARE > free:
        what = f"{total:,} bytes are to come and only {free:,} are free"
        raise ModelError(what, where=str(root), mend="free some space, or set pulled_models")


def _installed(target: Path, wanted: ModelManifest, offer: Offer) -> ModelFolder | None:
    """Return the model at `target` if it is the wanted one and undamaged."""
    try:
        folder = read_folder(target)
        check_folder(folder)
    except ModelError:
        return None
    sums = folder.manifest.files
    known = {**wanted.files, **{file.path: file.sha256 for file in offer.files if file.sha256}}
    same = replace(folder.manifest, files={}) == replace(wanted, files={})
    fits = sums.keys() == known.keys() and all(
        sums[path] == known[path] or not known[path] for path in known
    )
    return folder if same and fits else None


def _prepared(partial: Path, revision: str) -> Path:
    """Return the folder for files to come, with what an earlier attempt at this revision left in
    it.
    """
    mark = partial / _REVISION
    if not mark.is_file() or mark.read_text("utf-8") != revision:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        mark.write_text(revision, "utf-8")
    (partial / MANIFEST).unlink(missing_ok=True)
    return partial


def _pinned(file: OfferedFile, manifest: ModelManifest) -> OfferedFile:
    """Return `file` with the manifest's checksum where the source has none."""
    return replace(file, sha256=file.sha256 or manifest.files[file.path])


def _gather(
    file: OfferedFile, revision: str, source: Source, partial: Path, observer: Observer
) -> str:
    """Bring `file` to `partial` and check it; return its sha256."""
    place = partial / file.path
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_file():
        observer.advance(file.path, file.size)
        return _checked(place, file)
    part = place.with_name(f"{place.name}.part")
    if part.is_file() and part.stat().st_size > file.size:
        part.unlink()
    if part.is_file():
        observer.advance(file.path, part.stat().st_size)
    source.fetch(file, revision, part, lambda count: observer.advance(file.path, count))
    digest = _checked(part, file)
    part.rename(place)
    return digest


def _checked(place: Path, file: OfferedFile) -> str:
    """Return the sha256 of the file at `place`. Removes it and raises ModelError if it is not
    `file`.
    """
    size = place.stat().st_size
    with place.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    problem = ""
    if size != file.size:
        problem = f"{file.path} came with {size:,} bytes instead of {file.size:,}"
    elif file.sha256 and found != file.sha256:
        problem = f"{file.path} came with sha256 {found} instead of {file.sha256}"
    elif file.git_blob and _git_blob(place, size) != file.git_blob:
        problem = f"{file.path} is not the one that the source lists"
    if problem:
        place.unlink()
        raise ModelError(
            problem, where=str(place), mend="try again; if it stays so, don't trust the source"
        )
    return found


def _git_blob(place: Path, size: int) -> str:
    """Return Git's name for a file's content: the sha1 of a header and the bytes."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    digest.update(place.read_bytes())
    return digest.hexdigest()


def _finish(partial: Path, manifest: ModelManifest) -> None:
    """Check the gathered files against `manifest`, then write the manifest. A file that is refused
    is removed, and so is one that an earlier attempt gathered in another format.
    """
    for place in [place for place in partial.rglob("*") if place.is_file()]:
        if place.relative_to(partial).as_posix() not in (*manifest.files, _REVISION):
            place.unlink()
    try:
        check_folder(ModelFolder(partial, manifest))
    except ModelError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    (partial / _REVISION).unlink()
    (partial / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    for place in (*(partial / path for path in manifest.files), partial / MANIFEST):
        with place.open("rb") as stream:
            os.fsync(stream.fileno())


def _swap(partial: Path, target: Path) -> None:
    """Rename `partial` to `target`, and remove what was there."""
    old = target.with_name(f".{target.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _alone(root: Path, name: str) -> Iterator[None]:
    """Hold the lock of this model. Raises ModelError if another process installs it."""
    with (root / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            what = f"another process is installing {name}"
            raise ModelError(what, where=str(root), mend="wait for it to end") from error
        yield


@contextmanager
def _on_disk(root: Path) -> Iterator[None]:
    """Turn an error of the disk, such as a folder that can't be written, into a ModelError."""
    try:
        yield
    except OSError as error:
        what = f"the model can't be written: {error.strerror or error}"
        mend = "mend the disk, or set pulled_models to a folder that may be written"
        raise ModelError(what, where=str(error.filename or root), mend=mend) from error


_CHUNK = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder with the files of a manifest under their paths."""

    folder: Path

    def offer(self, manifest: ModelManifest) -> Offer:
        """Return the files of `manifest` in the folder, with sizes and digests. A file without a
        sha256 in the manifest is taken as it is.

        Raises ModelError if one is missing.
        """
        files = tuple(self._offered(path) for path in manifest.files)
        unchecked = tuple(path for path, digest in manifest.files.items() if not digest)
        return Offer(manifest.revision, files, unchecked)

    def fetch(
        self, file: OfferedFile, revision: str, part: Path, advance: Callable[[int], None]
    ) -> None:
        """Copy `file` to `part`, and continue after the bytes that are there."""
        done = part.stat().st_size if part.exists() else 0
        with (self.folder / file.path).open("rb") as source, part.open("ab") as target:
            source.seek(done)
            while chunk := source.read(_CHUNK):
                target.write(chunk)
                advance(len(chunk))

    def _offered(self, path: str) -> OfferedFile:
        place = self.folder / path
        if not place.resolve().is_relative_to(self.folder.resolve()):
            what = f"{path} is a link to outside the folder"
            raise ModelError(what, where=str(place), mend="copy the file itself")
        try:
            with place.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                return OfferedFile(path, stream.tell(), digest)
        except OSError as error:
            what = f"{path} can't be read: {error.strerror or error}"
            raise ModelError(what, where=str(place), mend="give the folder that has it") from error
