"""Gives memory that was freed back to the system.

glibc keeps memory that threads free, for each thread separately. After some hundreds of searches,
or after building a segment, a service held a tenth more memory than it used. Other C libraries give
it back by themselves.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache


def give_back() -> None:
    """Give freed memory back. It takes some milliseconds, while other threads go on; call it from
    time to time.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
