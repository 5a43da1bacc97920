"""Recency: how much of its score a story keeps as it ages.

A curve with a half-life and a floor: what is `half_life_days` old keeps half of what is above the
floor. It multiplies the fused score and filters nothing: an old story that alone answers the query
is still first. Dates in the future count as now.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from core.retrieval import Floats, Ids

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1) / _MICROSECOND


def utc_now() -> datetime:
    """The clock of a pipeline that was given none."""
    return datetime.now(UTC)


def kept_shares(created: Ids, now: datetime, half_life_days: float, floor: float) -> Floats:
    """float32 [m], floor to 1: which share of its score each candidate keeps. `created` is int64
    [m] in microseconds since 1970 UTC. A half-life of 0 switches the curve off: all keep all.
    """
    if half_life_days <= 0:
        return np.ones(len(created), np.float32)
    ages = np.maximum((now - _EPOCH) // _MICROSECOND - created, 0) / _DAY
    shares: Floats = (floor + (1.0 - floor) * np.exp2(-ages / half_life_days)).astype(np.float32)
    return shares
