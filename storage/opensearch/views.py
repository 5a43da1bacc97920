"""Which index a process answers from, while the alias may move to another one.

A process looks at the alias now and then. Where it has moved, the process opens a view on the new
index and answers from that; from the one before, for a short while, what comes with vectors that
were made for it. A process that can't open the new one goes on with the old, and says so.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from time import monotonic
from typing import Protocol

from core.errors import DatelineError
from core.retrieval import Retrieval
from storage.opensearch.nodes.nodes import within
from storage.opensearch.view import View

log = logging.getLogger(__name__)
_LOOK_S = 1.0


class Opened(Protocol):
    """Opens a view of the index that the alias is on."""

    def __call__(self, *, any_space: bool) -> View:
        """Raises StorageError where it can't be had."""
        ...


class Views:
    """The view of now and, for `overlap_s` after a move, the one before. Thread-safe."""

    def __init__(self, opened: Opened, follow_s: float, overlap_s: float) -> None:
        self._opened = opened
        self._follow_s = follow_s
        self._overlap_s = overlap_s
        self._before: View | None = None
        self._moved = 0.0
        self._looked = monotonic()
        self._lock = threading.Lock()
        self.current = opened(any_space=False)

    def look(self) -> None:
        """Follows the alias, if it is time to look. One thread looks, others go on meanwhile; a
        cluster that does not answer is the affair of whoever asks it next.
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
        view = self._opened(any_space=True)
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
        """The view whose vectors are of the encoders that the request's are of, as far as there is
        one; the current one where none or several are.
        """
        current, before = self.current, self._before
        if before is not None and current.foreign(request) and not before.foreign(request):
            return before
        return current

    def close(self) -> None:
        """Gives every point in time back."""
        with self._lock:
            for view in filter(None, (self.current, self._before)):
                view.close()


def searchable(request: Retrieval, view: View) -> tuple[Retrieval, tuple[str, ...]]:
    """The request without vectors that are of another encoder than the view's, and what is to be
    said of them: a cosine between two spaces means nothing, though they may be of one width.
    """
    foreign = view.foreign(request)
    if not foreign:
        return request, ()
    flags = [
        f"vectors: field {name} of index {view.family.concrete} is of an encoder that this process"
        " does not have"
        for name in sorted(foreign)
    ]
    kept = tuple(query for query in request.vectors if query.field not in foreign)
    return replace(request, vectors=kept), tuple(flags)
