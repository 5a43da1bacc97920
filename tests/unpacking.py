"""Unpacks tar files on every Python that the project promises: 3.11.2, which Debian 12 has, knows
no filter yet.
"""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpack(packed: Path, folder: Path) -> None:
    """Unpack a tar file into a folder."""
    with tarfile.open(packed) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
