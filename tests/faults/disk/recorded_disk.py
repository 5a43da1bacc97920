"""What a disk may hold after the power failed: of what a process did to files, as `disk_shim.c`
recorded it.

What was synced is there. Of what was not, each write to a file may be there, be lost, or be there
in some of its sectors, whatever was written after it. Names of a folder change in their order: the
first changes are there, the later ones are lost, until the folder is synced.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from pathlib import Path

import pytest

_HEAD = struct.Struct("<6Q")
_SECTOR = 512


class Did(IntEnum):
    """The kinds of entries, as in disk_shim.c."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    SYNC_FOLDER = 5
    RENAME = 6
    UNLINK = 7
    LINK = 8
    MKDIR = 9
    RMDIR = 10
    SAID = 11


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done. `number` is a place in a file, a size, or whether `data` is all."""

    kind: Did
    inode: int
    number: int
    path: str
    other: str
    data: bytes


@cache
def shim() -> Path:
    """The compiled shim. Skips where there is no compiler; fails there in CI."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("no C compiler; in CI this test must run")
        pytest.skip("no C compiler")
    library = Path(tempfile.mkdtemp(prefix="dateline-shim-")) / "disk_shim.so"
    source = Path(__file__).with_name("disk_shim.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl", "-lpthread"],
        check=True,
    )
    return library


def environment(root: Path, record: Path) -> dict[str, str]:
    """Of a process whose files below `root` are recorded in the file `record`."""
    return {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "LD_PRELOAD": str(shim()),
        "DATELINE_DISK_ROOT": str(root),
        "DATELINE_DISK_LOG": str(record),
    }


def read_record(path: Path) -> list[Entry]:
    """Everything that was done, in its order."""
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        kind, inode, number, *lengths = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        parts = []
        for length in lengths:
            parts.append(data[place : place + length])
            place += length
        found.append(
            Entry(Did(kind), inode, number, parts[0].decode(), parts[1].decode(), parts[2])
        )
    return found


@dataclass(slots=True)
class _File:
    """What is on the disk, and what was written since."""

    durable: bytes = b""
    since: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut there

    def now(self) -> bytes:
        content = bytearray(self.durable)
        for place, data in self.since:
            _apply(content, place, data)
        return bytes(content)

    def left(self, rng: random.Random) -> bytes:
        """What a power failure may leave."""
        content = bytearray(self.durable)
        for place, data in self.since:
            fate = rng.random()
            if fate < 0.4:
                _apply(content, place, data)
            elif fate < 0.6 and data is not None:
                for part, sector in _sectors(place, data):
                    if rng.random() < 0.5:
                        _apply(content, part, sector)
        return bytes(content)


def _sectors(place: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < len(data):
        end = start + _SECTOR - (place + start) % _SECTOR
        yield place + start, data[start:end]
        start = end


def _apply(content: bytearray, place: int, data: bytes | None) -> None:
    if len(content) < place:
        content.extend(bytes(place - len(content)))
    if data is None:
        del content[place:]
    else:
        content[place : place + len(data)] = data


_FOLDER = -1
Names = dict[str, int]  # the key of a file, or _FOLDER


@dataclass(slots=True)
class _Folder:
    """Its names on the disk, and those after each change since."""

    durable: Names = field(default_factory=dict)
    since: list[Names] = field(default_factory=list)

    @property
    def now(self) -> Names:
        return self.since[-1] if self.since else self.durable

    def change(self, name: str, key: int | None) -> None:
        names = dict(self.now)
        names.pop(name, None)
        if key is not None:
            names[name] = key
        self.since.append(names)


class RecordedDisk:
    """The files below `root`, as far as the entries went that it was given."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._files: dict[int, _File] = {}
        self._keys: dict[int, int] = {}  # of files by inode; an inode may be used again
        self._folders: dict[str, _Folder] = {root: _Folder()}
        self.said = b""

    def take(self, entry: Entry) -> None:
        """Does what was done."""
        if entry.kind is Did.SAID:
            self.said += entry.data
        elif entry.kind in (Did.WRITE, Did.TRUNCATE):
            data = entry.data if entry.kind is Did.WRITE else None
            self._file(entry.inode).since.append((entry.number, data))
        elif entry.kind is Did.SYNC:
            file = self._file(entry.inode)
            file.durable = entry.data if entry.number else file.now()
            file.since.clear()
        elif entry.kind is Did.SYNC_FOLDER:
            self._sync_names(entry)
        else:
            self._rename(entry)

    def _file(self, inode: int) -> _File:
        if inode not in self._keys:
            self._new(inode)
        return self._files[self._keys[inode]]

    def _new(self, inode: int) -> int:
        key = self._keys[inode] = len(self._files) + 1
        self._files[key] = _File()
        return key

    def _folder(self, path: str) -> _Folder:
        return self._folders.setdefault(path, _Folder())

    def _at(self, path: str) -> tuple[_Folder, str]:
        folder, _, name = path.rpartition("/")
        return self._folder(folder), name

    def _sync_names(self, entry: Entry) -> None:
        folder = self._folder(entry.path)
        names: Names = {}
        for line in entry.data.decode().splitlines():
            inode, is_folder, name = line.split(" ", 2)
            if is_folder == "1":
                names[name] = _FOLDER
            else:
                names[name] = self._keys.get(int(inode)) or self._new(int(inode))
        folder.durable = names
        folder.since.clear()

    def _rename(self, entry: Entry) -> None:
        folder, name = self._at(entry.path)
        if entry.kind is Did.CREATE:
            folder.change(name, self._new(entry.inode))
        elif entry.kind is Did.MKDIR:
            self._folders[entry.path] = _Folder()
            folder.change(name, _FOLDER)
        elif entry.kind in (Did.UNLINK, Did.RMDIR):
            folder.change(name, None)
        elif (key := folder.now.get(name)) is not None:
            target, to = self._at(entry.other)
            if entry.kind is Did.RENAME:
                folder.change(name, None)
                if target is folder:  # in one step
                    folder.since.pop(-1)
                    names = {n: k for n, k in folder.now.items() if n != name}
                    folder.since.append({**names, to: key})
                    return
            target.change(to, key)

    def fail(self, place: Path, rng: random.Random) -> None:
        """Writes into the folder `place` what may be left when the power fails now."""
        self._leave(self._root, place, rng)

    def stop(self, place: Path) -> None:
        """Writes into the folder `place` what is there when the process is killed now: all."""
        self._leave(self._root, place, None)

    def _leave(self, path: str, place: Path, rng: random.Random | None) -> None:
        place.mkdir(parents=True)
        folder = self._folder(path)
        names = rng.choice([folder.durable, *folder.since]) if rng else folder.now
        for name, key in names.items():
            if key == _FOLDER:
                self._leave(f"{path}/{name}", place / name, rng)
            else:
                file = self._files[key]
                (place / name).write_bytes(file.left(rng) if rng else file.now())
