"""Checks the packages that durable ingest needs, before it begins."""

from __future__ import annotations

from importlib.util import find_spec

from core.errors import InputError

_PACKAGES = {
    "av": "av",
    "PIL": "pillow",
    "pdqhash": "pdqhash",
    "sqlalchemy": "sqlalchemy",
    "fsspec": "fsspec",
    "defusedxml": "defusedxml",
}


def need_packages() -> None:
    """Raise InputError if packages for photos and videos are missing."""
    missing = [package for name, package in _PACKAGES.items() if find_spec(name) is None]
    if missing:
        raise InputError(
            f"photos and videos need {', '.join(missing)}, which this installation lacks",
            mend="pip install 'dateline-search[media]'",
        )
