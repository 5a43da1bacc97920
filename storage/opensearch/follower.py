"""The thread that brings into the index what a write could not, and what others recorded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from core.errors import StorageError
from storage.opensearch.projector import Projector

log = logging.getLogger(__name__)
_INTERVAL_S = 0.5
_PAUSE_S = 1.0  # after a failure


class Follower:
    """Runs until `stop`. A failure is noted and tried again; searches go on meanwhile."""

    def __init__(self, projector: Callable[[], Projector]) -> None:
        self._projector = projector
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Tells that something was written."""
        self._wake.set()

    def stop(self) -> None:
        """Ends the thread after the step under way."""
        self._stopped.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(_INTERVAL_S)
            self._wake.clear()
            try:
                self._step(self._projector())
            except Exception:  # the thread must outlive any failure
                log.exception("the index could not be brought up to date")
                self._stopped.wait(_PAUSE_S)

    def _step(self, projector: Projector) -> None:
        try:
            projector.project(pages=1)
            if projector.is_behind():
                self._wake.set()
        except StorageError as error:
            projector.failed(error)
            self._stopped.wait(_PAUSE_S)
        except Exception as error:
            projector.failed(error)
            raise
