"""The owner's background work: commits words, seals and merges segments, gives memory back.

glibc keeps memory that threads free, for each thread separately. After some hundreds of searches,
or after building a segment, a service held a tenth more memory than it used. Other C libraries give
it back by themselves.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from functools import cache
from time import monotonic

from core.errors import BusyError
from storage.embedded.projections import Projections
from storage.woken_thread import WokenThread


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


log = logging.getLogger(__name__)
_INTERVAL_S = 0.2
_PAUSE_S = 1.0  # pause after a failure
_REST, _MOST_REST_S = 3.0, 1.0  # times a commit, and at most this
_BUILD_REST, _MOST_BUILD_REST_S = 20.0, 5.0  # likewise, of a look at the segments
_IDLE_AFTER_S = 5.0
_KEPT_FAILURES = 20
_SAVED_SHARE = 0.05  # changes after which a checkpoint is written: one of ten million takes seconds
_FREED_S = 60.0  # how often freed memory is given back


class Background:
    """Runs until `stop`. Words and segments have a thread each, because building segments takes
    long. After an error (a full disk, for example) it notes it and tries again; meanwhile searches
    use memory and the record.
    """

    def __init__(self, projections: Projections) -> None:
        self._projections = projections
        self._busy_until = monotonic() + _IDLE_AFTER_S
        self._freed_at = monotonic() + _FREED_S
        self._thread = WokenThread("projector", _INTERVAL_S, self._step, last=self._step)
        self._builder = WokenThread("segments", _INTERVAL_S, self._build)
        self._thread.start()
        self._builder.start()

    def wake(self) -> None:
        """Tell the thread that something was written."""
        self._busy_until = monotonic() + _IDLE_AFTER_S
        self._thread.wake()

    def stop(self) -> None:
        """End the threads after the steps under way, with everything applied."""
        self._builder.stop()
        self._thread.stop()

    def _step(self) -> None:
        """Bring the projections up to date, then rest. A commit of 25 stories takes as much
        processor time as one of 100, so while many are written, commits are few and large.
        """
        began = monotonic()
        try:
            self._projections.take_over()
            self._projections.catch_up()
            self._thread.pause(min(_MOST_REST_S, _REST * (monotonic() - began)))
        except Exception as error:  # noqa: BLE001 - the thread must outlive any failure
            self._failed(error, self._thread)

    def _build(self) -> None:
        """Tend the segments, then rest: to look at the segments of ten million takes 14 ms."""
        began = monotonic()
        try:
            if self._projections.owns:
                self._tend_segments()
                self._builder.pause(min(_MOST_BUILD_REST_S, _BUILD_REST * (monotonic() - began)))
            if monotonic() > self._freed_at:
                self._freed_at = monotonic() + _FREED_S
                give_back()
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error, self._builder)

    def _tend_segments(self) -> None:
        projector = self._projections.projector
        idle = monotonic() > self._busy_until
        for name in projector.field_names:
            settings = projector.settings
            projector.seal(name, settings.idle_seal_rows if idle else settings.seal_rows)
            projector.merge(name, idle=idle)
        self._projections.save(_SAVED_SHARE)

    def _failed(self, error: Exception, thread: WokenThread) -> None:
        if isinstance(error, BusyError):  # the record does not answer now; no file is at fault
            log.warning("the projections wait for the record: %s", error)
        else:
            failures, said = self._projections.projector.progress.failures, _line(error)
            # A full disk fails every second: where from is told once, or the log fills it, too.
            trace = None if said in failures[-1:] else error
            log.error("the projections could not be brought up to date: %s", said, exc_info=trace)
            failures.append(said)
            del failures[:-_KEPT_FAILURES]
        thread.pause(_PAUSE_S)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
