"""Gives memory that was freed back to the system.

glibc keeps what threads free, for each thread apart: after some hundreds of searches, or a segment
that was built, a service held a tenth more than it used. Other C libraries give it back themselves.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache


def give_back() -> None:
    """Takes some milliseconds, in which other threads go on: for now and then."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
