"""The default folders of the development cluster."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return where the OpenSearch that was fetched is kept: DATELINE_DEV_CLUSTER_CACHE, else the
    folder where this user's programs keep data that can be fetched again. As root it is a folder
    that others can read, because OpenSearch does not run as root.
    """
    named = os.environ.get("DATELINE_DEV_CLUSTER_CACHE")
    return Path(named) if named else _of_user("XDG_CACHE_HOME", ".cache", "/var/cache")


def cluster_folder() -> Path:
    """Return the folder of data, logs and what runs: DATELINE_DEV_CLUSTER_FOLDER, else where this
    user's programs keep their state; for root as `cache_folder`.
    """
    named = os.environ.get("DATELINE_DEV_CLUSTER_FOLDER")
    if named:
        return Path(named)
    return _of_user("XDG_STATE_HOME", ".local/state", "/var/lib") / "dev-cluster"


def _of_user(variable: str, below_home: str, of_root: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():
        return named / "dateline"
    return (Path(of_root) if os.getuid() == 0 else Path.home() / below_home) / "dateline"
