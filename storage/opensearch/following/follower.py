"""The thread that writes to the index what a write could not, and what other processes recorded.

While its request is under way, nobody else in this process writes to the index. If the answer is
lost, for example because a node restarted, the thread does not wait the full time of a bulk write:
it soon sends the request again, which does no harm. If the cluster is only slow, the next try may
take twice as long.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from core.errors import StorageError
from storage.opensearch.following.projector import AT_LEISURE_S, Projector
from storage.woken_thread import WokenThread

log = logging.getLogger(__name__)
_INTERVAL_S = 0.5
_PAUSE_S = 1.0  # pause after a failure
_MOST_DOUBLINGS = 5


class Follower:
    """Runs until `stop`. After a failure it notes it and tries again; searches go on meanwhile. A
    step may take `patience_s`, or up to 32 times that after steps that took too long. With nothing
    to project it calls `at_leisure`, which does some work and returns whether there is more.
    """

    def __init__(
        self,
        projector: Callable[[], Projector],
        at_leisure: Callable[[], bool],
        patience_s: float = AT_LEISURE_S,
    ) -> None:
        self._projector = projector
        self._at_leisure = at_leisure
        self._patience_s = patience_s
        self._doublings = 0
        self._thread = WokenThread("follower", _INTERVAL_S, self._step)
        self._thread.start()

    def wake(self) -> None:
        """Tell the thread that something was written."""
        self._thread.wake()

    def stop(self) -> None:
        """End the thread after the step under way."""
        self._thread.stop()

    def _step(self) -> None:
        try:
            self._bring(self._projector())
            if not self._thread.woken and self._at_leisure():
                self._thread.wake()
        except Exception:  # the thread must outlive any failure
            log.exception("the index could not be brought up to date")
            self._thread.pause(_PAUSE_S)

    def _bring(self, projector: Projector) -> None:
        within_s, began = self._patience_s * 2**self._doublings, monotonic()
        try:
            projector.project(pages=1, within_s=within_s)
            if monotonic() - began < within_s / 4:
                self._doublings = max(0, self._doublings - 1)
            if projector.is_behind():
                self._thread.wake()
        except StorageError as error:
            if monotonic() - began >= within_s / 2:  # no quick refusal
                self._doublings = min(_MOST_DOUBLINGS, self._doublings + 1)
            projector.failed(error)
            self._thread.pause(_PAUSE_S)
        except Exception as error:
            projector.failed(error)
            raise
