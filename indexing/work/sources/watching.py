"""A folder as a live source: a new file is ingested as soon as it has stopped growing.

The whole folder is searched when watching begins, so earlier files are not missed. A file counts as
whole if neither its size nor its time has changed for a while: most programs that put files
somewhere do not rename them into place.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from core.errors import InputError
from indexing.media.metadata.sidecars import sidecar_names
from indexing.sources import is_inside
from indexing.work.sources.listing import is_media, stamp_of

SETTLED_S = 2.0
_TICK_MS = 500
_MOST = 1_000  # settled files in one list


class WatchedFolder:
    """Watches a folder and those below it. `settled_s` is how long a file must stay the same."""

    def __init__(self, folder: Path, *, settled_s: float = SETTLED_S) -> None:
        if not folder.is_dir():
            raise InputError("no such folder", where=str(folder))
        self._folder = folder
        self._settled_s = settled_s
        self._growing: dict[Path, tuple[str, float]] = {}

    def settled(self, stop: threading.Event) -> Iterator[list[Path]]:
        """Yield new or changed files that are whole, and from time to time an empty list, so that
        the caller can do something else. Ends soon after `stop`.
        """
        from watchfiles import watch

        changes = watch(
            self._folder,
            stop_event=stop,
            rust_timeout=_TICK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
        )
        walked = False
        for change in changes:
            if not walked:  # after watching has begun: no file comes between the two
                self._note(self._walk())
                walked = True
            self._note(Path(name) for _, name in change)
            yield self._whole(time.monotonic())

    def _walk(self) -> Iterator[Path]:
        for top, folders, files in os.walk(self._folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(top, name) for name in sorted(files))

    def _note(self, paths: Iterable[Path]) -> None:
        for path in paths:
            if not any(part.startswith(".") for part in path.relative_to(self._folder).parts):
                self._growing[path] = ("", time.monotonic())

    def _whole(self, now: float) -> list[Path]:
        """Return the files that have not changed since the last look; check the others again."""
        found: list[Path] = []
        for path, (stamp, since) in list(self._growing.items()):
            if len(found) == _MOST:
                break
            try:
                there = path.is_file() and is_inside(path, self._folder)
                is_now = stamp_of(path) if there else None
            except OSError:
                is_now = None
            if is_now is None:
                del self._growing[path]
            elif is_now != stamp:
                self._growing[path] = (is_now, now)
            elif now - since >= self._settled_s:
                del self._growing[path]
                found.append(path)
        return found


def media_meant(path: Path) -> list[Path]:
    """Return the media files that a changed file is, or describes."""
    if is_media(path.name):
        return [path]
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - names only
    except OSError:
        return []
    spoken_of = (name for name in sorted(names) if is_media(name))
    return [path.with_name(name) for name in spoken_of if path.name in sidecar_names(name)]
