from __future__ import annotations

import gc

from dateline.build.service import freeze_loaded


def test_what_is_loaded_does_not_put_off_the_next_full_collection() -> None:
    """The collector waits until what was made since is a quarter of what it looked at last."""
    loaded = [[n] for n in range(400_000)]
    freeze_loaded()
    before = gc.get_stats()[2]["collections"]
    made = [[n] for n in range(120_000)]
    assert gc.get_stats()[2]["collections"] > before
    assert (len(loaded), len(made)) == (400_000, 120_000)
