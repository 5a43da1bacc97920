"""The recording of a live source on disk, and what a killed process needs to go on with it.

A part of a source has three files side by side: `NAME-001.ts`, its recording; `NAME-001.ts.json`,
the document of its item, which an ingest of the recording reads; and `NAME.live`, the state of the
whole.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any

import orjson

from core.errors import InputError, StorageError, StorageFullError

_PACKET = 188  # bytes of MPEG-TS that belong together


@dataclass(frozen=True, slots=True)
class LiveState:
    """A source that was begun. `uri` is its item's, `source` its address or path as it was named,
    `document` the members of ninjs that its parts share. The part number `part`, from 1, began at
    second `part_s` of the whole, and the whole at `began`, seconds since 1970. `notes` say what
    went wrong in the present part.
    """

    uri: str
    source: str
    document: Mapping[str, Any]
    began: float = 0.0
    part: int = 1
    part_s: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def part_uri(self) -> str:
        """The uri of the present part's item; the first part has that of the whole."""
        return self.uri if self.part == 1 else f"{self.uri}:part-{self.part}"


@dataclass(slots=True)
class LiveFolder:
    """The folder in which live sources are recorded, with the state of each that has not ended."""

    folder: Path

    def running(self, source: str, uri: str) -> LiveState | None:
        """Return the state of the source, or of the item `uri` if one is named, that was begun and
        has not ended. Raises InputError for a damaged one.
        """
        for path in sorted(self.folder.glob("*.live")):
            state = _read(path)
            if uri == state.uri or (not uri and source == state.source):
                return state
        return None

    def keep(self, state: LiveState) -> None:
        """Make a state durable. Raises StorageError."""
        self._write(self._path(state.uri, ".live"), orjson.dumps(asdict(state)))

    def forget(self, state: LiveState) -> None:
        """Take away the state of a source that has ended."""
        self._path(state.uri, ".live").unlink(missing_ok=True)

    def file_of(self, state: LiveState) -> Path:
        """Return the recording of a state's present part."""
        return self._path(state.uri, f"-{state.part:03}.ts").absolute()

    def files(self, state: LiveState) -> list[Path]:
        """Return the recordings of all parts so far that have something in them."""
        paths = [self.file_of(replace(state, part=part)) for part in range(1, state.part + 1)]
        return [path for path in paths if path.is_file() and path.stat().st_size]

    def describe(self, state: LiveState, document: Mapping[str, Any]) -> None:
        """Write the document beside the recording of the present part. Raises StorageError."""
        path = self.file_of(state)
        self._write(path.with_name(f"{path.name}.json"), orjson.dumps(document))

    def _path(self, uri: str, end: str) -> Path:
        words = "".join(c if c.isalnum() else "-" for c in uri)[-40:].strip("-")
        return self.folder / f"{words}-{hashlib.sha256(uri.encode()).hexdigest()[:8]}{end}"

    def _write(self, path: Path, data: bytes) -> None:
        new = path.with_name(f".{path.name}.new")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(path)
        except OSError as error:
            raise _unwritten(path, error) from error


def _read(path: Path) -> LiveState:
    try:
        tree = orjson.loads(path.read_bytes())
        return LiveState(**{**tree, "notes": tuple(tree["notes"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        mend = "take the file away; its recording beside it can be ingested as any other"
        raise InputError(
            f"no state of a live source: {error}", where=str(path), mend=mend
        ) from error


class Recorder:
    """Writes what a source sends into the file of its part, at most `most` bytes in this run.
    `trouble` gets why it records no more.
    """

    def __init__(self, most: int, trouble: Callable[[str], None]) -> None:
        self._most, self._trouble = most, trouble
        self._stream: FileIO | None = None
        self._written = 0
        self._next: Path | None = None
        self._is_over = False

    @property
    def waits(self) -> bool:
        """Whether it still writes into the file of the part before."""
        return self._next is not None and self._stream is not None

    def then(self, path: Path) -> None:
        """Go on with another file: at once if none is open, else at the next cut. A file that is
        there is continued.
        """
        self._next = path

    def connected(self) -> None:
        """Note that a connection begins, with whose first bytes a file can begin."""
        if self._next is not None:
            self.close()

    def __call__(self, data: bytes, is_cut: bool) -> None:
        """Take MPEG-TS; `is_cut` says that a file can begin with it."""
        if self._is_over:
            return
        try:
            if self._next is not None and (is_cut or self._stream is None):
                path, self._next = self._next, None
                self.close()
                self._stream = _opened(path)
            self._write(data)
        except OSError as error:
            self._stop(f"recorded until the disk failed: {error.strerror}")

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _write(self, data: bytes) -> None:
        if self._written + len(data) > self._most:
            self._stop(f"recorded up to {self._most:,} bytes only")
            return
        view = memoryview(data)
        while view and self._stream is not None:
            view = view[self._stream.write(view) or 0 :]
        self._written += len(data)

    def _stop(self, why: str) -> None:
        self._is_over = True
        self.close()
        self._trouble(why)


def _opened(path: Path) -> FileIO:
    """Return a recording, open behind its last whole packet: a kill may have cut one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = FileIO(path, "r+" if path.exists() else "x+")
    size = os.fstat(stream.fileno()).st_size // _PACKET * _PACKET
    stream.truncate(size)
    stream.seek(size)
    return stream


def _unwritten(path: Path, error: OSError) -> StorageError:
    kind = StorageFullError if error.errno == errno.ENOSPC else StorageError
    return kind(f"can't be written: {error.strerror}", where=str(path), mend="free space there")
