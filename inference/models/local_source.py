"""Models from a folder: one that an export wrote, or a copy of the files of a hub."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError
from inference.models.install import Offer, OfferedFile
from inference.models.manifest import ModelManifest

_CHUNK = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder with the files of a manifest under their paths."""

    folder: Path

    def offer(self, manifest: ModelManifest) -> Offer:
        """The files of `manifest` in the folder, with sizes and digests. A file without a sha256 in
        the manifest is taken as it is.

        Raises ModelError where one is missing.
        """
        files = tuple(self._offered(path) for path in manifest.files)
        unchecked = tuple(path for path, digest in manifest.files.items() if not digest)
        return Offer(manifest.revision, files, unchecked)

    def fetch(
        self, file: OfferedFile, revision: str, part: Path, advance: Callable[[int], None]
    ) -> None:
        """Copy `file` to `part`, going on from what is there."""
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
