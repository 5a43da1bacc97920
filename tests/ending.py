"""How a run of tests ends: at once, with its own exit status.

After the last test there is nothing left to learn, but codecs, ONNX Runtime and the like bring
threads of their own, and one of them has held up the interpreter's end for an hour. A thread of
ours that is left over is a defect, and is shown with where it stands.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import sys
import threading
from collections.abc import Iterator
from time import monotonic

import pytest

_PATIENCE_S = 5.0
_STATUS = pytest.StashKey[int]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Keeps what the run came to, once that is told: a run that can not tell it has failed."""
    yield
    session.config.stash[_STATUS] = int(session.exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the process, once what is registered for its end was done."""
    if hasattr(config, "workerinput") or _STATUS not in config.stash:
        return  # a part of a run, which another process ends; or no run at all
    until = monotonic() + _PATIENCE_S
    main = threading.main_thread()
    for thread in threading.enumerate():
        if thread is not main and not thread.daemon:
            thread.join(max(0.0, until - monotonic()))
    left = [each.name for each in threading.enumerate() if each is not main and not each.daemon]
    if left:
        print(f"threads that did not end: {', '.join(left)}", file=sys.stderr)
        faulthandler.dump_traceback(sys.stderr, all_threads=True)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(config.stash[_STATUS])
