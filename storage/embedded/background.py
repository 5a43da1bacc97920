"""The owner's background thread: commits the lexical index, seals and merges vector segments."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import Protocol

from core.errors import BusyError
from storage.embedded.lexical import LexicalIndex
from storage.embedded.ownership import Ownership
from storage.embedded.projector import Projector

log = logging.getLogger(__name__)
_INTERVAL_S = 0.2
_IDLE_AFTER_S = 5.0
_KEPT_FAILURES = 20


class Projected(Protocol):
    """What the thread needs of the engine."""

    lexical: LexicalIndex
    projector: Projector
    ownership: Ownership

    def catch_up(self) -> None:  # noqa: D102 - see the engine
        ...

    def take_over(self) -> bool:  # noqa: D102
        ...

    def reopen_lexical(self) -> None:  # noqa: D102
        ...


class Background:
    """Runs until `stop`. An error (a full disk, say) is noted and tried again; searches go on from
    memory and from the record meanwhile.
    """

    def __init__(self, engine: Projected) -> None:
        self._engine = engine
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._busy_until = monotonic() + _IDLE_AFTER_S
        self._thread = threading.Thread(target=self._run, name="projector", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Tells that something was written."""
        self._busy_until = monotonic() + _IDLE_AFTER_S
        self._wake.set()

    def stop(self) -> None:
        """Ends the thread after the step under way, with everything applied."""
        self._stopped.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(_INTERVAL_S)
            self._wake.clear()
            self._step()
        self._step()

    def _step(self) -> None:
        try:
            self._engine.take_over()
            self._engine.catch_up()
            if self._engine.ownership.held and not self._stopped.is_set():
                self._tend_segments()
        except Exception as error:  # noqa: BLE001 - the thread must outlive any failure
            self._failed(error)

    def _tend_segments(self) -> None:
        projector = self._engine.projector
        idle = monotonic() > self._busy_until
        for name in projector.field_names:
            settings = projector.settings
            projector.seal(name, settings.idle_seal_rows if idle else settings.seal_rows)
            projector.merge(name, idle=idle)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, BusyError):  # the record can't be asked just now; no file is at fault
            log.warning("the projections wait for the record: %s", error)
            self._stopped.wait(1.0)
            return
        log.exception("the projections could not be brought up to date")
        failures = self._engine.projector.progress.failures
        failures.append(f"{type(error).__name__}: {error}")
        del failures[:-_KEPT_FAILURES]
        self._stopped.wait(1.0)
        try:
            self._engine.reopen_lexical()
        except Exception:
            log.exception("the lexical index could not be opened again")
