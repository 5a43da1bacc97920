"""Forms of portable graphs that were made on this machine, kept for the next load.

A form is kept by everything that decides its bytes: the model's manifest (which has the digests of
its files), the runtime and its version, the processor's instructions, and the version of the code
that makes forms. The file begins with its own sha256 and that key. A file of another user, one that
others can write, one with another key and one that is damaged are all the same: the form is made
again from the portable graph, whose checksum is checked then.

Layout: `ROOT/.prepared/MODEL.RUNTIME.KEY`, 0600 in a folder of 0700, where ROOT is the first folder
of models that can be written. Where none can be, the form is made at each load.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.models.manifest import companions
from inference.models.store import LARGEST_FILE, ModelFolder
from inference.runtimes.kept import this_processor

# Raise it when `forms` makes other bytes of a graph than before: kept forms are then made again.
VERSION = 1
FOLDER = ".prepared"
MOST_KEPT = 3  # forms of one model for one runtime: machines that share a folder may need several
PATIENCE = 20.0  # seconds to wait for another process that makes forms
_LOCK, _PARTIAL = ".lock", ".partial"
_LEFT_BEHIND = 3600.0  # seconds after which a partial file belongs to nobody
_LONGEST_KEY = 65_536
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Form:
    """What a runtime loads in the place of a portable graph.

    - `runtime`: its name in the settings; `of`: its version, and what else decides the form
    - `make`: the portable graph's bytes to the form's
    """

    runtime: str
    of: tuple[str, ...]
    make: Callable[[bytes], bytes]


def prepared(folder: ModelFolder, path: str, form: Form) -> bytes:
    """Return the form of the graph at `path`: the one that is kept, or one that is made and kept
    now.

    Raises ModelError for a portable graph that is missing or not the manifest's, and what
    `form.make` raises.
    """
    key = _key(folder, path, form)
    stem = f"{folder.manifest.name}.{form.runtime}."
    places = [home / FOLDER / (stem + _digest(key)[:16]) for home in folder.homes]
    for place in places:
        if (kept := _read(place, key)) is not None:
            return kept or folder.read(path)
    return _made(folder, path, form, places, key)


def _made(
    folder: ModelFolder, path: str, form: Form, places: list[Path], key: Mapping[str, Any]
) -> bytes:
    """Return the form, kept at the first of `places` that can be written."""
    for place in places:
        with _turn(place.parent) as can_write:
            if not can_write:
                continue
            if (kept := _read(place, key)) is not None:  # made while this process waited
                return kept or folder.read(path)
            graph = folder.read(path)
            made = form.make(graph)
            # A form that is the portable graph is kept as nothing, and not as a second copy.
            if _write(place, key, b"" if made == graph else made):
                _tidy(place)
                return made
    return form.make(folder.read(path))


def _key(folder: ModelFolder, path: str, form: Form) -> dict[str, Any]:
    """Return all that decides the form, as JSON has it. Sizes and times of the portable files are
    part of it, so that a file that was changed is read, and refused, although its form is kept.
    """
    files = (path, *companions(path, folder.manifest.files))
    marks = []
    for name in files:
        with suppress(OSError):  # the reader of the file reports what is wrong
            found = (folder.path / name).stat()
            marks.append([name, found.st_size, found.st_mtime_ns])
    return {
        "manifest": hashlib.sha256(folder.manifest.to_json().encode()).hexdigest(),
        "files": marks,
        "runtime": [form.runtime, *form.of],
        "instructions": this_processor().instructions,
        "version": VERSION,
    }


def _digest(key: Mapping[str, Any]) -> str:
    """Return what a form's file is called after: its key without the times of the portable files,
    so that a model that was copied or restored replaces its form.
    """
    lasting = {name: value for name, value in key.items() if name != "files"}
    return hashlib.sha256(json.dumps(lasting).encode()).hexdigest()


def _read(place: Path, key: Mapping[str, Any]) -> bytes | None:
    """Return the form at `place`, empty if it is the portable graph; None if there is none that
    this user made for this key and that is whole.
    """
    try:
        if not _is_ours(place.parent.lstat(), stat.S_ISDIR):
            return None
        # A link is not followed, and a pipe is not waited for.
        number = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(number, "rb") as stream:
            found = os.fstat(number)
            if not _is_ours(found, stat.S_ISREG) or found.st_size > LARGEST_FILE:
                return None
            told = stream.readline(128).strip()
            head = stream.readline(_LONGEST_KEY)
            form = stream.read()
    except OSError:
        return None
    return form if told == _checksum(head, form) and head == _head(key) else None


def _write(place: Path, key: Mapping[str, Any], form: bytes) -> bool:
    """Keep a form at `place`, whole or not at all; False if it can't be kept."""
    partial = None
    try:
        number, name = tempfile.mkstemp(_PARTIAL, place.name, place.parent)
        partial = Path(name)
        with os.fdopen(number, "wb") as stream:
            head = _head(key)
            stream.writelines((_checksum(head, form), b"\n", head, form))
        partial.replace(place)
    except OSError:
        if partial is not None:
            with suppress(OSError):
                partial.unlink()
        return False
    return True


def _head(key: Mapping[str, Any]) -> bytes:
    return json.dumps(key).encode() + b"\n"


def _checksum(head: bytes, form: bytes) -> bytes:
    digest = hashlib.sha256(head)
    digest.update(form)
    return digest.hexdigest().encode()


def _is_ours(found: os.stat_result, kind: Callable[[int], bool]) -> bool:
    """Return whether a file or folder is of this kind, this user's, and nobody else can write
    it.
    """
    return (
        kind(found.st_mode) and found.st_uid == os.geteuid() and not (found.st_mode & _OTHERS_WRITE)
    )


@contextmanager
def _turn(folder: Path) -> Iterator[bool]:
    """Whether forms can be kept in `folder`, which is made if it is missing. One process at a time
    keeps forms there; nobody waits for a stopped one longer than PATIENCE.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder.lstat(), stat.S_ISDIR):
            raise PermissionError(str(folder))
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        number = os.open(folder / _LOCK, flags, 0o600)
    except OSError:
        yield False
        return
    try:
        _wait_for(number)
        yield True
    finally:
        os.close(number)


def _wait_for(number: int) -> None:
    """Lock the open file, unless another process holds it for all of PATIENCE."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.01)
        else:
            return


def _tidy(place: Path) -> None:
    """Remove older forms of the same model and runtime beyond MOST_KEPT, and partial files that a
    killed process left.
    """
    stem = place.name.rpartition(".")[0]
    found = {}
    for each in place.parent.iterdir():
        with suppress(OSError):
            found[each] = each.stat().st_mtime
    old = time.time() - _LEFT_BEHIND
    left = [each for each in found if each.name.endswith(_PARTIAL) and found[each] < old]
    forms = [each for each in found if each.name.rpartition(".")[0] == stem and each != place]
    forms.sort(key=lambda each: found[each], reverse=True)
    for each in (*left, *forms[MOST_KEPT - 1 :]):
        with suppress(OSError):
            each.unlink()
