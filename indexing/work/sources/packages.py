"""Checks the packages that durable ingest needs, before it begins."""

from __future__ import annotations

from core.extras import need_extra

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
    need_extra("media", "photos and videos", _PACKAGES)
