"""Refuses to start if the address space is limited to less than the libraries need.

tantivy and ONNX Runtime end the process by a signal if they get no memory, sometimes without a
message. So a limit (`ulimit -v`) that is too low for them is found before any of them is loaded. A
limit to the memory in use (a control group's) needs no such check: the system ends the process, and
acknowledged writes survive.
"""

from __future__ import annotations

import os
import resource
import sys

_NEEDED = 3 << 30  # bytes that the libraries and the models reserve
_FOR_A_PROCESSOR = 256 << 20  # stacks and heaps of the threads that each one brings
_EXIT_SETTING = 3


def needed_bytes() -> int:
    """Return the smallest address space to start with on this machine."""
    return _NEEDED + (os.cpu_count() or 1) * _FOR_A_PROCESSOR


def refuse_too_little() -> None:
    """End the process with a message if the limit is too low."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft in (resource.RLIM_INFINITY, -1) or soft >= needed_bytes():
        return
    sys.stderr.write(
        f"error: the address space of a process is limited to {soft >> 20} MiB here, and"
        f" {needed_bytes() >> 20} MiB are needed\n"
        "  raise it with `ulimit -v`; limit the memory that is used with a control group instead\n"
    )
    raise SystemExit(_EXIT_SETTING)
