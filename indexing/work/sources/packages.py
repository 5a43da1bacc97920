"""Which packages durable ingest needs, told before anything is begun."""

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
    """Raises InputError where photos and videos can't be ingested for want of packages."""
    missing = [package for name, package in _PACKAGES.items() if find_spec(name) is None]
    if missing:
        raise InputError(
            f"photos and videos need {', '.join(missing)}, which this installation lacks",
            mend="pip install 'dateline-search[media]'",
        )
