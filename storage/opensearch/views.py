"""Chooses the index that a process answers from, while the alias may move to another one.

A process looks at the alias from time to time. When the alias has moved, the process opens a view
of the new index and answers from it. For a short while it answers requests with vectors of the old
encoder from the old index. If it can't open the new index, it goes on with the old one and says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from core.errors import DatelineError
from core.retrieval import Retrieval
from storage.opensearch.nodes.nodes import within
from storage.opensearch.view import View

log = logging.getLogger(__name__)
_LOOK_S = 1.0


Opened = Callable[[bool], View]
"""Opens a view of the index that the alias points to, with `any_space` also one with vectors of
another encoder. Raises StorageError if the index can't be opened.
"""


class Views:
    """The current view and, for `overlap_s` after a move, the one before. Thread-safe."""

    def __init__(self, opened: Opened, follow_s: float, overlap_s: float) -> None:
        self._opened = opened
        self._follow_s = follow_s
        self._overlap_s = overlap_s
        self._before: View | None = None
        self._moved = 0.0
        self._looked = monotonic()
        self._lock = threading.Lock()
        self.current = opened(False)

    def look(self) -> None:
        """Follow the alias, if it is time to look. One thread looks and the others go on. If the
        cluster does not answer, this only logs it; the next request finds out by itself.
        """
        if monotonic() - self._looked < self._follow_s or not self._lock.acquire(blocking=False):
            return
        try:
            self._retire()
            with within(_LOOK_S):
                served = self.current.family.moved_to()
            if served:
                self._follow(served)
        except DatelineError as error:
            log.warning("can't follow the index: %s", error)
            self.current.projector.failed(error)
        finally:
            self._looked = monotonic()
            self._lock.release()

    def _follow(self, served: str) -> None:
        log.info("the archive has moved to index %s", served)
        view = self._opened(True)
        before, self._before = self._before, self.current
        self._moved = monotonic()
        self.current = view
        if before is not None:
            before.close()

    def _retire(self) -> None:
        if self._before is not None and monotonic() - self._moved > self._overlap_s:
            before, self._before = self._before, None
            before.close()

    def of(self, request: Retrieval) -> View:
        """Return the view with the same encoders as the request's vectors; the current one if no
        view has them or both have.
        """
        current, before = self.current, self._before
        if before is not None and current.foreign(request) and not before.foreign(request):
            return before
        return current

    def close(self) -> None:
        """Close every point in time on the cluster."""
        with self._lock:
            for view in filter(None, (self.current, self._before)):
                view.close()


def searchable(request: Retrieval, view: View) -> tuple[Retrieval, tuple[str, ...]]:
    """Return the request without vectors of encoders that the view lacks, and a flag for each left
    out. A cosine between two encoders' vectors means nothing, even at the same width.
    """
    foreign = view.foreign(request)
    if not foreign:
        return request, ()
    flags = [
        f"vectors: field {name} of index {view.family.concrete} is of an encoder that this process"
        " does not have"
        for name in sorted(foreign)
    ]
    if all(query.field in foreign for query in request.vectors):
        return replace(request, vectors=()), tuple(flags)
    return request.without(foreign), tuple(flags)
