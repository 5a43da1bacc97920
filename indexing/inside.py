"""Files below a named folder, and no others: links that lead out of it are not followed.

A person who may put files into a folder must not choose other files of this machine to be read. A
link to another place below the folder counts as a file; so does a link that was named itself.
"""

from __future__ import annotations

from pathlib import Path

LEADS_OUT = "a link that leads out of the folder: name its target to ingest that"


def is_inside(path: Path, top: Path) -> bool:
    """Return whether the real place of `path` is at or below that of `top`. A path that is missing
    or can't be looked at counts as inside: its reader says why it can't be read.
    """
    try:
        return path.resolve().is_relative_to(top.resolve())
    except (OSError, RuntimeError):
        return True
