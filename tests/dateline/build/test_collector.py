from __future__ import annotations

import gc
from math import prod

from dateline.build.service import freeze_loaded


def test_what_is_loaded_does_not_put_off_the_next_full_collection() -> None:
    """The collector waits until what was made since is a quarter of what it looked at last. Its
    thresholds, which differ between Pythons, say after how many new objects it looks at all.
    """
    enough = prod(gc.get_threshold()) * 3 // 2
    loaded = [[n] for n in range(5 * enough)]
    freeze_loaded()
    before = gc.get_stats()[2]["collections"]
    made = [[n] for n in range(enough)]
    assert gc.get_stats()[2]["collections"] > before
    assert (len(loaded), len(made)) == (5 * enough, enough)
