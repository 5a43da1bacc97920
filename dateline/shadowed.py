"""Refuses to start if a foreign module has the name of one of ours: Python takes the first that it
finds, and `core` and `api` are common names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOMS = (
    "api",
    "capacity",
    "core",
    "customers",
    "eval",
    "indexing",
    "inference",
    "rerank",
    "search",
    "storage",
    "training",
)
_ROOT = Path(__file__).resolve().parent.parent
_EXIT_SETTING = 3


def refuse_others() -> None:
    """End the process, and name each module that hides one of ours."""
    others = list(_others())
    if not others:
        return
    for name, place in others:
        sys.stderr.write(
            f"error: Python finds another module in place of Dateline's {name}\n  where: {place}\n"
        )
    sys.stderr.write(
        "  mend:  rename it, take its folder out of PYTHONPATH, or give Dateline a virtual"
        " environment of its own\n"
    )
    raise SystemExit(_EXIT_SETTING)


def _others() -> Iterator[tuple[str, str]]:
    """Yield each room's name that Python finds elsewhere, and the place."""
    for name in ROOMS:
        spec = find_spec(name)  # it imports nothing
        place = None if spec is None else spec.origin
        if place is not None and Path(place).resolve().parent != _ROOT / name:
            yield name, place
