"""The default folders: those that ship with the program, and those of this user."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent


def bundled(in_checkout: str, installed: str) -> Path:
    """Return a folder that ships with the program: beside the packages in a checkout, else in the
    data folder of the installation.
    """
    path = _CHECKOUT / in_checkout
    return (
        path if path.is_dir() else Path(sysconfig.get_path("data"), "share", "dateline", installed)
    )


def default_models() -> Path:
    """Return the folder of the bundled models."""
    return bundled("models", "models")


def default_pulled() -> Path:
    """Return the folder of this user's pulled models, which serve every archive."""
    home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share"
    return base / "dateline" / "models"


def demo_folder() -> Path:
    """Return the folder of the demo corpus and the page's examples."""
    return bundled("datasets/demo", "demo")
