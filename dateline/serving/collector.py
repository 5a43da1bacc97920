"""When Python's collector of garbage looks through what a process that serves remembers.

Nobody is answered meanwhile. The more a process remembers, the longer it takes: half a second once
the caches of a process that searches are full. So such a process looks between two searches, and
only through what came since the last time; what is still there then stays unseen until nobody has
asked for a minute.
"""

from __future__ import annotations

import gc

from dateline.build.service import freeze_loaded

IDLE_S = 0.005  # without a request, after which a process that searches looks
REST_S = 60.0  # without a request, after which it looks through everything
_ENOUGH, _MOST = 4, 8
_SELDOM = 200  # collections of the middle generation before a full one; Python has 10
_NEVER = 1_000_000  # young collections before one of an older generation


def collect_seldom() -> None:
    """Collect from now on, and look through everything a twentieth as often as Python does. What is
    loaded now stays.
    """
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _SELDOM)
    freeze_loaded()
    gc.enable()


class BetweenSearches:
    """Looks for garbage when no search runs. What is loaded when it is made stays."""

    def __init__(self) -> None:
        gc.set_threshold(gc.get_threshold()[0], _NEVER, _NEVER)
        freeze_loaded()
        gc.enable()
        self._new = self._old = 0  # searches since the last look, and through everything

    @property
    def patience_s(self) -> float:
        """Return for how many seconds to wait for a request before `rest`."""
        if self._new >= _MOST:
            return 0.0
        return IDLE_S if self._new >= _ENOUGH else REST_S

    def searched(self) -> None:
        """Count a search."""
        self._new += 1
        self._old += 1

    def rest(self) -> None:
        """Look, as nobody asked for `patience_s`: through everything if it was long."""
        if self._new < _ENOUGH and self._old:
            gc.unfreeze()
            self._old = 0
        gc.collect()
        gc.freeze()
        self._new = 0
