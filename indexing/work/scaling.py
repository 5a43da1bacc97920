"""Scales stills to the size that a captioner takes, with the same caged reader as all else."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from core.errors import StorageError
from core.media_ports import MediaReader
from indexing.captions.gate import jpeg_size


class Scaler:
    """Scales JPEGs to at most `edge` pixels; through a file in `folder`, because readers read
    files. Thread-safe.
    """

    def __init__(self, reader: MediaReader, folder: Path, edge: int) -> None:
        self._reader = reader
        self._folder = folder
        self._edge = edge

    def scaled(self, jpeg: bytes) -> bytes:
        """Return the picture scaled, or unchanged if it is small. Raises MediaError,
        StorageError.
        """
        size = jpeg_size(jpeg)
        if size is not None and max(size) <= self._edge:
            return jpeg
        path = self._folder / f"{os.urandom(8).hex()}.jpg"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
        except OSError as error:
            raise StorageError(f"can't be written: {error.strerror}", where=str(path)) from error
        try:
            _, (still,) = self._reader.picture(path, (self._edge,))
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return still.jpeg
