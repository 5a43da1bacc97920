"""When Python's collector of garbage looks through everything in a process that serves.

Nobody is answered meanwhile. The more a process remembers, the longer it takes: a tenth of a second
once the caches are full. Python does it about once in 150 searches. What they leave behind needs it
far less often, because the younger generations are still collected as Python does.
"""

from __future__ import annotations

import gc

from dateline.build.service import freeze_loaded

REST_S = 0.5  # without a request, after which a process that searches is at rest
_MOST = 200  # collections of the middle generation before a full one; Python has 10
_WORTH_IT = 20  # at rest: about 200 searches


def collect_seldom() -> None:
    """Collect from now on, and look through everything only after some 2,000 searches. What is
    loaded now stays.
    """
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _MOST)
    freeze_loaded()
    gc.enable()


def collect_at_rest() -> None:
    """Look through everything, if there was some work since the last time."""
    if gc.get_count()[-1] >= _WORTH_IT:
        gc.collect()
