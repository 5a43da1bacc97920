"""Where things lie if no setting says so: what ships with the program, and what is this user's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent
_INSTALLED = Path(sys.prefix) / "share" / "dateline"


def bundled(in_checkout: str, installed: str) -> Path:
    """A folder that ships with the program: in a checkout beside the packages, else where an
    install puts data.
    """
    path = _CHECKOUT / in_checkout
    return path if path.is_dir() else _INSTALLED / installed


def default_models() -> Path:
    """The bundled models."""
    return bundled("models", "models")


def default_pulled() -> Path:
    """Where this user's programs keep data: pulled models serve any archive."""
    home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share"
    return base / "dateline" / "models"


def default_dev_cache() -> Path:
    """Where this user's programs keep what can be fetched again; for root where others read too,
    since OpenSearch does not run as root.
    """
    return _of_user("XDG_CACHE_HOME", ".cache", "/var/cache")


def default_dev_folder() -> Path:
    """Where this user's programs keep their state; for root as `default_dev_cache`."""
    return _of_user("XDG_STATE_HOME", ".local/state", "/var/lib") / "dev-cluster"


def _of_user(variable: str, below_home: str, of_root: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():
        return named / "dateline"
    return (Path(of_root) if os.getuid() == 0 else Path.home() / below_home) / "dateline"


def demo_folder() -> Path:
    """The demo corpus and the page's examples."""
    return bundled("datasets/demo", "demo")
