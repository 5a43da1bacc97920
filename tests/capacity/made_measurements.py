"""Measurements as a machine of two threads of one core gives them, made up: round numbers."""

from __future__ import annotations

import numpy as np

from capacity.measurements import (
    HTTP,
    QUANTILES,
    RERANK,
    Archive,
    Calls,
    MachineFacts,
    Measurements,
    Peaks,
    SearchTimes,
)

MACHINE = MachineFacts(
    "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz",
    2,
    1,
    24e9,
    Peaks(6e11, 1e11, 1e10, 2e7, 1.0),
    (1.0, 1.25),
)
STAGES = ("understand", "retrieve", "encode", "lexical", "vectors", RERANK, "page", HTTP)
MEANS = (1.0, 6.0, 2.0, 1.0, 2.0, 0.0, 2.0, 3.0)  # milliseconds: 12 in all, as inner ones overlap


def searches(profile: str, passages: int, rerank: float = 0.0, grown: float = 1.0) -> SearchTimes:
    """Sixty searches whose stages rise together, from .5 to 1.5 times their mean."""
    means = np.array(MEANS)
    means[STAGES.index(RERANK)] = rerank
    for stage in ("lexical", "vectors"):
        means[STAGES.index(stage)] *= grown
    rows = np.round(np.linspace(0.5, 1.5, 60)[:, None] * means, 4)
    deadline = 250.0 if rerank else 0.0
    return SearchTimes(
        profile, passages, STAGES, tuple(map(tuple, rows.tolist())), 1.0, 0.5, 1.0, deadline
    )


def calls(what: str, ms: float, batch: int = 1, tokens: int = 1) -> Calls:
    """Calls that all take the same."""
    return Calls(what, 1, batch, tokens, (ms,) * len(QUANTILES))


MEASURED = Measurements(
    made="2026-12-01",
    version="0.1.0",
    noise=0.05,
    machine=MACHINE,
    searches=(
        searches("hybrid", 25_000, grown=0.8),
        searches("hybrid", 100_000),
        searches("hybrid-rerank", 100_000, rerank=40.0),
    ),
    archives=(
        Archive(25_000, 25_000, 1.5e8, 3e8, 2.5e8, 1.5e8),
        Archive(100_000, 100_000, 6e8, 4e8, 3e8, 5e8),
    ),
    calls=(
        calls("embed 1", 640.0, 64, 128),
        calls("import", 1.0),
        calls("graph", 2.0),
    ),
)
