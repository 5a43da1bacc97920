"""Which threads the system's scheduler lets go first where all processors are busy."""

from __future__ import annotations

import os
import sys
import threading

_STEP = 10  # of nice: a tenth of the time of a thread that did not step back
_LEAST = 19


def step_back() -> None:
    """Lowers the priority of this thread for good, where the system has one for each thread: it
    computes while the others wait, and hands the processor over when one of them has work.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread) + _STEP
        os.setpriority(os.PRIO_PROCESS, thread, min(nice, _LEAST))
