"""Where models lie, and that each is what its manifest says.

Layout: `ROOT/NAME/manifest.json` beside the files it lists. A file is read once, hashed, and
the hashed bytes are what the caller loads: nothing can change between the check and the use.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError
from inference.manifest import PICKLES, ModelManifest, parse_manifest

MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_AGAIN = "restore the file, or make the model again with its recipe in training/"


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """One line of a report: a model's file, and what is wrong with it ("" if nothing)."""

    model: str
    path: str
    problem: str

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model whose manifest was read; its files are checked as they are read."""

    path: Path
    manifest: ModelManifest

    def read(self, name: str) -> bytes:
        """The bytes of a listed file, if their sha256 is the manifest's.

        Raises ModelError for a file that is not listed, missing, outside the folder or changed.
        """
        place = self.path / name
        expected = self.manifest.files.get(name)
        if expected is None:
            raise ModelError(f"{name} is not in the manifest", where=str(place), mend=_AGAIN)
        if not place.resolve().is_relative_to(self.path.resolve()):
            raise ModelError(
                f"{name} is a link to outside the model's folder", where=str(place), mend=_AGAIN
            )
        try:
            content = place.read_bytes()
        except OSError as error:
            what = f"{name} can't be read: {error.strerror or error}"
            raise ModelError(what, where=str(place), mend=_AGAIN) from error
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            what = f"{name} is not the file of the manifest ({len(content)} bytes, sha256 {found})"
            raise ModelError(what, where=str(place), mend=_AGAIN)
        return content

    def refuse_pickles(self) -> None:
        """Raise ModelError if a pickle lies anywhere in the folder, listed or not.

        Nothing here would load it, but a folder that has one was not made by our recipes.
        """
        for place in sorted(self.path.rglob("*")):
            if place.suffix.lower() in PICKLES:
                raise ModelError(
                    f"{place.name} is a pickle, and loading one can run any code",
                    where=str(place),
                    mend="remove it; only ONNX and safetensors are loaded",
                )


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The folder of all models."""

    root: Path

    def names(self) -> tuple[str, ...]:
        """Names of the models that have a manifest, sorted; empty if the root is missing."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted(place.parent.name for place in self.root.glob(f"*/{MANIFEST}")))

    def open(self, name: str) -> ModelFolder:
        """The model's folder after every file of it was checked.

        Raises ModelError for an unknown or malformed name, a bad manifest, or a bad file.
        """
        folder = self._manifested(name)
        folder.refuse_pickles()
        for path in folder.manifest.files:
            folder.read(path)
        return folder

    def verify(self) -> tuple[CheckedFile, ...]:
        """Check every file of every model; problems are reported, not raised."""
        return tuple(row for name in self.names() for row in self._verified(name))

    def _verified(self, name: str) -> list[CheckedFile]:
        try:
            folder = self._manifested(name)
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

    def _manifested(self, name: str) -> ModelFolder:
        """The folder with its manifest read and nothing else."""
        if not _NAME.fullmatch(name):
            raise ModelError(
                f"{name!r} can't be a model's name", where=str(self.root), mend="check the settings"
            )
        place = self.root / name / MANIFEST
        try:
            text = place.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            known = ", ".join(self.names()) or "none"
            raise ModelError(
                f"there is no readable model {name!r}", where=str(place), mend=f"known: {known}"
            ) from error
        manifest = parse_manifest(text, where=str(place))
        if manifest.name != name:
            what = f"the manifest is of {manifest.name!r}, its folder is {name!r}"
            raise ModelError(what, where=str(place), mend="rename the folder")
        return ModelFolder(self.root / name, manifest)
