"""When Python's garbage collector runs in a process that serves.

No search is answered during a collection. A full one takes half a second in a process that
searches, once its caches are full. So such a process collects between two searches, and only what
is new since the last collection. What is left then is frozen: no collection sees it until nobody
has asked for a minute.
"""

from __future__ import annotations

import gc

from dateline.build.service import freeze_loaded

IDLE_S = 0.005  # wait for a request before what is new is collected
REST_S = 60.0  # without a request, after which everything is collected
_ENOUGH, _MOST = 4, 8  # searches between collections: if nobody asks, and if somebody does
_SELDOM = 200  # collections of the middle generation before a full one; Python has 10
_NEVER = 1_000_000  # young collections before one of an older generation


def collect_seldom() -> None:
    """Start the collector, with full collections a twentieth as often as Python makes them. What is
    loaded now is frozen.
    """
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _SELDOM)
    freeze_loaded()
    gc.enable()


class BetweenSearches:
    """Collects garbage while no search runs. What is loaded when it is made is frozen."""

    def __init__(self) -> None:
        gc.set_threshold(gc.get_threshold()[0], _NEVER, _NEVER)
        freeze_loaded()
        gc.enable()
        self._new = self._old = 0  # searches since the last collection, and since a full one

    @property
    def due(self) -> bool:
        """Say whether `collect` can't wait for a pause."""
        return self._new >= _MOST

    @property
    def patience_s(self) -> float:
        """Return how many seconds to wait for a request before calling `collect`."""
        return IDLE_S if self._new >= _ENOUGH else REST_S

    def searched(self) -> None:
        """Count a search."""
        self._new += 1
        self._old += 1

    def collect(self) -> None:
        """Collect what is new, or everything after a long pause."""
        if self._new < _ENOUGH and self._old:
            gc.unfreeze()
            self._old = 0
        gc.collect()
        gc.freeze()
        self._new = 0
