"""Where things lie if no setting says so: what ships with the program, and what is this user's."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent


def bundled(in_checkout: str, installed: str) -> Path:
    """A folder that ships with the program: in a checkout beside the packages, else where an
    install puts data.
    """
    path = _CHECKOUT / in_checkout
    return (
        path if path.is_dir() else Path(sysconfig.get_path("data"), "share", "dateline", installed)
    )


def default_models() -> Path:
    """The bundled models."""
    return bundled("models", "models")


def default_pulled() -> Path:
    """Where this user's programs keep data: pulled models serve any archive."""
    home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share"
    return base / "dateline" / "models"


def demo_folder() -> Path:
    """The demo corpus and the page's examples."""
    return bundled("datasets/demo", "demo")
