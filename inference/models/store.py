"""Where models lie, and whether their files are what their manifests say.

Layout: `ROOT/NAME/manifest.json` beside the files that it lists. A file is read once and hashed,
and the caller loads the same bytes: so nothing can change between the check and the use.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.errors import ModelError
from inference.models.catalogue import Catalogue
from inference.models.file_checks import check_file
from inference.models.manifest import ModelManifest
from inference.models.manifest_json import (
    LONGEST,
    PICKLES,
    may_look_pickled,
    parse_manifest,
    pickled,
)

MANIFEST = "manifest.json"
LARGEST_FILE = 8 * 2**30  # bytes; nothing larger is meant for this service
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_AGAIN = "restore the file, pull the model, or make it again with its recipe in training/"


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """One line of a report: a file of a model, and what is wrong with it ("" if nothing)."""

    model: str
    path: str
    problem: str

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model whose manifest was read; its files are checked as they are read.

    `roots` are the folders of all models, those in which forms of its graphs may be kept.
    """

    path: Path
    manifest: ModelManifest
    roots: tuple[Path, ...] = field(default=(), compare=False)

    @property
    def homes(self) -> tuple[Path, ...]:
        """Folders of models, this model's first: where forms of its graphs may be kept. None for a
        folder that is not in its place yet, because its model may still be refused.
        """
        if self.path.name != self.manifest.name:
            return ()
        own = self.path.parent
        return (own, *(root for root in self.roots if root != own))

    @property
    def size(self) -> int:
        """Bytes of the listed files that are there."""
        places = [self.path / name for name in self.manifest.files]
        return sum(place.stat().st_size for place in places if place.is_file())

    def read(self, name: str) -> bytes:
        """Return the bytes of a listed file, if their sha256 is the manifest's and they are of its
        kind.

        Raises ModelError for a file that is not listed, missing, outside the folder or changed, and
        for one that does not fit the manifest (`inference/models/file_checks.py`).
        """
        place = self.path / name
        expected = self.manifest.files.get(name)
        if expected is None:
            raise ModelError(f"{name} is not in the manifest", where=str(place), mend=_AGAIN)
        if not place.resolve().is_relative_to(self.path.resolve()):
            raise ModelError(
                f"{name} is a link to outside the model's folder", where=str(place), mend=_AGAIN
            )
        content = _bytes_of(place, name)
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            what = f"{name} is not the file of the manifest ({len(content)} bytes, sha256 {found})"
            raise ModelError(what, where=str(place), mend=_AGAIN)
        check_file(self.manifest, name, content, str(place))
        return content

    def refuse_pickles(self) -> None:
        """Raise ModelError if a pickle lies anywhere in the folder, listed or not.

        Nothing here would load it, but our recipes make no folder that has one.
        """
        for place in sorted(self.path.rglob("*")):
            path = place.relative_to(self.path).as_posix()
            if place.suffix.lower() in PICKLES and not may_look_pickled(path, self.manifest.graphs):
                raise pickled(path, str(place))


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The folders of all models: the bundled ones in `root`, then those in `more`, in order.

    Where several have a model of the same name, the first one is taken.
    """

    root: Path
    more: tuple[Path, ...] = ()

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every folder of models, in the order in which a name is looked up."""
        return (self.root, *self.more)

    def names(self) -> tuple[str, ...]:
        """Return names of the models that have a manifest, sorted; empty if no root is there."""
        found = {place.parent.name for root in self.roots for place in root.glob(f"*/{MANIFEST}")}
        return tuple(sorted(name for name in found if _NAME.fullmatch(name)))

    def place(self, name: str) -> Path | None:
        """Return the folder of the model `name`, without reading it; None if there is none."""
        if not _NAME.fullmatch(name):
            return None
        folders = [root / name for root in self.roots]
        return next((folder for folder in folders if (folder / MANIFEST).exists()), None)

    def describe(self, name: str) -> ModelFolder:
        """Return the model's folder with its manifest read and none of its files.

        Raises ModelError for an unknown or malformed name or a bad manifest.
        """
        if not _NAME.fullmatch(name):
            raise ModelError(
                f"{name!r} can't be a model's name", where=str(self.root), mend="check the settings"
            )
        folder = self.place(name)
        if folder is None:
            where = ", ".join(str(root / name / MANIFEST) for root in self.roots)
            mend = f"known: {', '.join(self.names()) or 'none'}"
            if name in Catalogue().names():
                mend = f"`dateline models pull {name}` fetches it; {mend}"
            raise ModelError(f"there is no model {name!r}", where=where, mend=mend)
        return replace(read_folder(folder), roots=self.roots)

    def find(self, name: str) -> ModelFolder:
        """Return the model's folder, for loading it: its manifest was read and it has no pickle;
        each file is checked as it is read.

        Raises ModelError for an unknown or malformed name, a bad manifest, or a pickle.
        """
        folder = self.describe(name)
        folder.refuse_pickles()
        return folder

    def open(self, name: str) -> ModelFolder:
        """Return the model's folder after every file of it was checked, those too that nobody
        loads.

        Raises ModelError for an unknown or malformed name, a bad manifest, or a bad file.
        """
        folder = self.describe(name)
        check_folder(folder)
        return folder

    def verify(self, names: Sequence[str] = ()) -> tuple[CheckedFile, ...]:
        """Check every file of the models `names`, or of all; problems are reported, not raised."""
        return tuple(row for name in names or self.names() for row in self._verified(name))

    def _verified(self, name: str) -> list[CheckedFile]:
        try:
            folder = self.describe(name)
            folder.refuse_pickles()
        except ModelError as error:
            return [CheckedFile(name, MANIFEST, str(error))]
        rows = [CheckedFile(name, MANIFEST, "")]
        for path in sorted(folder.manifest.files):
            try:
                folder.read(path)
            except ModelError as error:
                rows.append(CheckedFile(name, path, str(error)))
            else:
                rows.append(CheckedFile(name, path, ""))
        return rows


def read_folder(path: Path) -> ModelFolder:
    """Return the folder at `path` after its manifest was read; the manifest must have the folder's
    name.

    Raises ModelError for a manifest that is missing, too long or malformed.
    """
    place = path / MANIFEST
    content = _bytes_of(place, MANIFEST, largest=LONGEST)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"the manifest is not UTF-8: {error.reason}"
        raise ModelError(what, where=str(place), mend=_AGAIN) from error
    manifest = parse_manifest(text, where=str(place))
    if manifest.name != path.name:
        what = f"the manifest is of {manifest.name!r}, its folder is {path.name!r}"
        raise ModelError(what, where=str(place), mend="rename the folder")
    return ModelFolder(path, manifest)


def check_folder(folder: ModelFolder) -> None:
    """Check every listed file, and that no pickle lies beside them. Raises ModelError."""
    folder.refuse_pickles()
    for path in folder.manifest.files:
        folder.read(path)


def _bytes_of(place: Path, name: str, *, largest: int = LARGEST_FILE) -> bytes:
    """Return a file's bytes, at most `largest`; raises ModelError."""
    try:
        if place.exists() and not place.is_file():  # reading a pipe would wait for ever
            raise ModelError(f"{name} is not a file", where=str(place), mend=_AGAIN)
        if place.stat().st_size > largest:
            what = f"{name} is longer than {largest:,} bytes"
            raise ModelError(what, where=str(place), mend=_AGAIN)
        return place.read_bytes()
    except OSError as error:
        what = f"{name} can't be read: {error.strerror or error}"
        raise ModelError(what, where=str(place), mend=_AGAIN) from error
