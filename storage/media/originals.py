"""Serves an archive's media: stills from the media store, originals from their own places.

An original is read from the location in its item, but only below the folders and stores that were
named to an ingest. A path that leads out of them, by dots or a link, counts as missing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote

from core.errors import NotFoundError, StorageError
from core.items import MediaFile
from core.media import is_url
from core.ports.media import MediaStore

_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ServedMedia:
    """The media that a service serves. `named` returns the current files, folders and stores' URLs
    at or below which originals lie; without any, no original is served.
    """

    stills: MediaStore
    named: Callable[[], Sequence[str]] = lambda: ()

    def still(self, name: str) -> BinaryIO:
        """Open a thumbnail, a preview or a shot's still by its name. Raises NotFoundError."""
        return self.stills.open(name)

    def has_original(self, location: str) -> bool:
        """Return whether a file at `location` would be served; this does not look for the file."""
        return self._root_of(location) is not None

    def original(self, media: MediaFile) -> BinaryIO:
        """Open the original for reading and seeking. Raises NotFoundError if it is outside of every
        root, is gone, or has not the ingested size, because then it is another file.
        """
        root = self._root_of(media.location)
        if root is None:
            raise _missing(media.location)
        stream = _remote(media.location) if is_url(root) else _local(media.location, root)
        size = stream.seek(0, 2)
        stream.seek(0)
        if size != media.size:
            stream.close()
            raise _missing(media.location)
        return stream

    def _root_of(self, location: str) -> str | None:
        parts = unquote(location).replace("\\", "/").split("/")
        if ".." in parts or "\0" in location or not location:
            return None
        if location.startswith(("file:", "local:")):  # these would follow links out of the root
            return None
        below = (
            root
            for root in self.named()
            if location == root or location.startswith(root.rstrip("/") + "/")
        )
        return next((root for root in below if is_url(root) == is_url(location)), None)


def _local(location: str, root: str) -> BinaryIO:
    """Open a regular file whose resolved path is below the root."""
    try:
        path, top = Path(location).resolve(strict=True), Path(root).resolve(strict=True)
        if not path.is_relative_to(top):
            raise _missing(location)
        # If the file became a link since it was resolved, the system refuses it (O_NOFOLLOW).
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError, RuntimeError) as error:
        raise _missing(location) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise _missing(location)
    return os.fdopen(number, "rb")


def _remote(location: str) -> BinaryIO:
    try:
        import fsspec  # type: ignore[import-untyped]
    except ImportError as error:
        raise StorageError(
            "originals in stores need the package fsspec",
            where=location.partition("://")[0],
            mend="pip install 'dateline[media,s3]'",
        ) from error
    try:
        system, path = fsspec.core.url_to_fs(location)
        return cast("BinaryIO", system.open(path, "rb", block_size=_BLOCK_BYTES))
    except Exception as error:  # errors of stores, such as botocore's, are not OSErrors
        raise _missing(location) from error


def _missing(location: str) -> NotFoundError:
    del location  # errors do not show where originals are
    return NotFoundError("there is no such original")
