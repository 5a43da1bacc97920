"""The two usual ways to make one list of several, for libraries that leave it to their users. It
imports numpy only, as `entrant` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

_RRF = 60.0

Lists = Sequence[Mapping[int, float]]


def reciprocal_ranks(lists: Lists) -> dict[int, float]:
    """Return the sums of 1 / (60 + rank), by document."""
    fused: dict[int, float] = {}
    for scores in lists:
        for rank, n in enumerate(sorted(scores, key=scores.__getitem__, reverse=True), 1):
            fused[n] = fused.get(n, 0.0) + 1 / (_RRF + rank)
    return fused


def min_max(lists: Lists) -> dict[int, float]:
    """Return the mean of the scores, each from 0 for the worst of its list to 1 for its best."""
    fused: dict[int, float] = {}
    for scores in lists:
        values = np.array([*scores.values()] or [0.0])
        low, span = float(values.min()), float(np.ptp(values)) or 1.0
        for n, score in scores.items():
            fused[n] = fused.get(n, 0.0) + (score - low) / span / len(lists)
    return fused
