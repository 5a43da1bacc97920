"""The archive's folder, which only its owner can read: it also holds items under embargo.

Libraries make databases and indexes with mode 0644, so the process's umask makes their files 0600.
It is set when a process gets the folder, before anything in it is opened.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from stat import S_ISLNK

from dateline.settings import Settings

_OTHERS = 0o077
_PARTS = (
    "*.sqlite*",
    "projections",
    "media",
    "spool",
    "workers",
)  # files of the archive in its folder


def archive_folder(settings: Settings) -> Path:
    """Return the folder that the settings name. From now on only this user can read what this
    process makes; if an earlier version left an archive of this user open, it is closed.
    """
    os.umask(_OTHERS)
    folder = settings.data
    if _is_open(folder):
        for part in (path for pattern in _PARTS for path in folder.glob(pattern)):
            for path in (part, *part.rglob("*")):
                _close(path)
        _close(folder)  # last: a closed folder is not searched again
    return folder


def _close(path: Path) -> None:
    with suppress(FileNotFoundError):  # a running process moves its files
        if _is_open(path):
            path.chmod(path.lstat().st_mode & ~_OTHERS)


def _is_open(path: Path) -> bool:
    """Return whether others can read this file or folder of ours. A link counts as closed."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        ours = found.st_uid == os.geteuid() and not S_ISLNK(found.st_mode)
        return ours and bool(found.st_mode & _OTHERS)
    return False
