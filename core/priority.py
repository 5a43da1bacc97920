"""Lowers the priority of threads, so that the scheduler runs others first on a busy machine."""

from __future__ import annotations

import os
import sys
import threading

_STEP = 10  # steps of nice: a tenth of the time of a thread at normal priority
_LEAST = 19


def step_back() -> None:
    """Lowers the priority of this thread for good, on systems where each thread has one. It
    computes while others wait, and gives the processor up when one of them has work.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread) + _STEP
        os.setpriority(os.PRIO_PROCESS, thread, min(nice, _LEAST))
