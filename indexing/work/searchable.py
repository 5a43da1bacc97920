"""Waits until searches find what an order recorded, and writes the last span of its trace then.

The record is written first, and indexes follow. So a thread waits until they have what was recorded
before, for all orders that ended meanwhile, and writes a span `searchable` for each, from the end
of the order on. Only traces that are kept are waited for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from time import perf_counter

from core.errors import DatelineError
from core.tracing import done, place
from core.work import Order, Stage
from indexing.work.stages.stage import Stop

log = logging.getLogger(__name__)

REST_S = 1.0  # between two looks: where this process writes the indexes, a look makes it do so
TRIES = 60  # looks at indexes that stay behind


class Searchable:
    """Carries out orders by `run`. `cover` lets searches find what is recorded and returns "", or a
    note if that took too long.
    """

    def __init__(
        self, run: Callable[[Order, Stop], None], cover: Callable[[], str], rest_s: float = REST_S
    ) -> None:
        self._run = run
        self._cover = cover
        self._rest_s = rest_s
        self._ended: list[tuple[Context, float]] = []
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="orders: searchable", daemon=True)
        self._thread.start()

    def run(self, order: Order, stop: Stop) -> None:
        """Carry out an order, and note its end if it wrote the record."""
        self._run(order, stop)
        here = place()
        if order.queue == Stage.APPLY and here is not None and here.kept:
            with self._changed:
                self._ended.append((copy_context(), perf_counter()))
                self._changed.notify()

    def close(self) -> None:
        """Wait for the last look, and end."""
        with self._changed:
            self._closed.set()
            self._changed.notify()
        self._thread.join()

    def _look(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._closed.is_set())
                ended, self._ended = self._ended, []
            if not ended:
                return
            found = self._is_found()
            now = perf_counter()
            for context, began in ended:
                context.run(done, "searchable", began, now, {} if found else _LATE)
            self._closed.wait(self._rest_s)

    def _is_found(self) -> bool:
        """Return whether searches find what is recorded; wait for that."""
        for _ in range(TRIES):
            try:
                if not self._cover():
                    return True
            except DatelineError as error:
                log.warning("it is not known what searches find: %s", error)
            if self._closed.wait(self._rest_s):
                break
        return False


_LATE = {"error.type": "late"}
