"""Models from a Hugging Face hub, at one revision.

Only files that a manifest lists are asked for, and a manifest lists no pickles. A token is taken
from the variable HF_TOKEN only, and is sent over https to the hub that was named.
"""

import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

from core.errors import ModelError
from inference.models.install import Offer, OfferedFile
from inference.models.manifest import ModelManifest

SITE = "https://huggingface.co/"
_COMMIT = re.compile("[0-9a-f]{40}")
_HERE = ("127.0.0.1", "localhost", "::1")
_PATIENCE = 30.0  # seconds for the list of files


def repository(manifest: ModelManifest) -> str:
    """Return the `owner/name` on the hub, from a manifest's source.

    Raises ModelError if the source is not on a hub.
    """
    name = manifest.source.removeprefix(SITE)
    if name == manifest.source or name.count("/") != 1:
        what = f"{manifest.name} does not come from a hub: {manifest.source}"
        raise ModelError(what, where=manifest.name, mend="pull it with --from FOLDER")
    return name


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of a hub at a revision: a commit, a branch or a tag, resolved to a commit."""

    repository: str
    revision: str
    endpoint: str
    token: str

    @classmethod
    def of(cls, repository: str, revision: str, endpoint: str = "") -> "HubSource":
        """Return the repository at `endpoint`, or at HF_ENDPOINT, or at huggingface.co.

        Raises ModelError if a token would be sent in the clear.
        """
        place = (endpoint or constants.ENDPOINT).rstrip("/")
        token = os.environ.get("HF_TOKEN", "")
        address = urlsplit(place)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ModelError("that is not a hub's address", where=place, mend="give its URL")
        if token and address.scheme != "https" and address.hostname not in _HERE:
            what = "HF_TOKEN would be sent without encryption"
            raise ModelError(what, where=place, mend="use https, or unset HF_TOKEN")
        return cls(repository, revision, place, token)

    def offer(self, manifest: ModelManifest) -> Offer:
        """Return the files of `manifest` at the hub, with their sizes and digests.

        Raises ModelError if one is missing.
        """
        api = HfApi(endpoint=self.endpoint, token=self.token or False, library_name="dateline")
        with self._told("its files can't be listed"):
            info = api.model_info(
                self.repository, revision=self.revision, files_metadata=True, timeout=_PATIENCE
            )
        commit = info.sha or ""
        pinned = bool(_COMMIT.fullmatch(self.revision))
        if not _COMMIT.fullmatch(commit) or (pinned and commit != self.revision):
            what = f"the hub answers with the revision {commit!r}"
            raise ModelError(what, where=self._where, mend="don't trust this hub")
        there = {sibling.rfilename: sibling for sibling in info.siblings or ()}
        files = tuple(self._offered(path, there.get(path)) for path in manifest.files)
        return Offer(commit, files)

    def fetch(
        self, file: OfferedFile, revision: str, part: Path, advance: Callable[[int], None]
    ) -> None:
        """Write `file` to `part`, and continue after the bytes that are there. Raises ModelError;
        what has arrived stays in `part`.
        """
        url = hf_hub_url(self.repository, file.path, revision=revision, endpoint=self.endpoint)
        headers = {"user-agent": "dateline"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        told = self._told(f"{file.path} did not come")
        with _Counted(part, file, advance) as target, told, _quiet():
            there = target.seek(0, io.SEEK_END)
            http_get(url, target, resume_size=there, headers=headers, expected_size=file.size)

    def _offered(self, path: str, sibling: Any) -> OfferedFile:
        """Return what the hub says of one file."""
        if sibling is None or sibling.size is None:
            what = f"the repository has no {path} at this revision"
            raise ModelError(what, where=self._where, mend="name a revision that has it")
        sha256 = sibling.lfs.sha256 if sibling.lfs else ""
        return OfferedFile(path, sibling.size, sha256, "" if sha256 else sibling.blob_id or "")

    @property
    def _where(self) -> str:
        return f"{self.endpoint}/{self.repository} at {self.revision}"

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Whatever the client raises, as a ModelError without the token."""
        try:
            yield
        except ModelError:
            raise
        except Exception as error:
            said = str(error).strip().split("\n", 1)[0] or type(error).__name__
            if self.token:
                said = said.replace(self.token, "…")
            mend = "check the name, the revision, the network and HF_TOKEN, then pull again"
            raise ModelError(f"{what}: {said}", where=self._where, mend=mend) from error


class _Counted(io.FileIO):
    """A file that reports the bytes that come, and refuses more than were announced."""

    def __init__(self, place: Path, file: OfferedFile, advance: Callable[[int], None]) -> None:
        super().__init__(place, "r+" if place.exists() else "w+")
        self._file = file
        self._advance = advance

    def write(self, data: Any) -> int:
        """Write all of `data`. Raises ModelError beyond the file's announced size."""
        if self.tell() + len(data) > self._file.size:
            what = f"more than {self._file.size:,} bytes come for {self._file.path}"
            raise ModelError(what, where=str(self.name), mend="don't trust this hub")
        left = memoryview(data)
        while left:
            left = left[super().write(left) :]
        self._advance(len(data))
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Begin again if the hub can't continue; bytes that are dropped are no longer counted."""
        before = self.seek(0, io.SEEK_END) if size is not None else os.fstat(self.fileno()).st_size
        after = super().truncate(size)
        self._advance(after - before)
        return after


@contextmanager
def _quiet() -> Iterator[None]:
    """Run without the hub client's own progress bars."""
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
