"""Files below a folder that was named, and no others: links that lead out of it are not followed.

Who may put files into a folder must not choose which other files of this machine are read. A link
to another place below the folder is as good as a file, and so is one that was named itself.
"""

from __future__ import annotations

from pathlib import Path

LEADS_OUT = "a link that leads out of the folder: name its target to ingest that"


def is_inside(path: Path, top: Path) -> bool:
    """Whether the real place of `path` is at or below that of `top`. What is not there, or can't be
    looked at, is inside: who reads it says why it can't be.
    """
    try:
        return path.resolve().is_relative_to(top.resolve())
    except (OSError, RuntimeError):
        return True
