"""Ten times the searches that a service can answer: it goes on to answer nearly as many as it can,
and soon; its memory stays as it is, kills go through, and all is well right afterwards.

`make deep` overloads it for a minute; OVERLOAD_S says for how long.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.service.overload import STORIES, fill, measure

pytestmark = [pytest.mark.timed, pytest.mark.faults, pytest.mark.deep, pytest.mark.timeout(900)]

SECONDS = float(os.environ.get("OVERLOAD_S", "10"))
WHOLE = SECONDS >= 60
# What else the machine does moves figures of a few seconds more than ones of a minute.
GOODPUT, P99 = (0.8, 2.0) if WHOLE else (0.6, 3.0)
RECOVERED_S = 10.0
MEMORY = 1.05
KILLED_MS = 2000.0


def test_ten_times_too_much_costs_hardly_any_answer(tmp_path: Path) -> None:
    fill(tmp_path, STORIES if WHOLE else STORIES // 3)
    measured = measure(tmp_path, SECONDS, peak_s=20.0 if WHOLE else 5.0)
    found = measured.figures()
    print(found)
    assert {answer.status for answer in measured.overload.answers} <= {200, 429, 503}
    assert found["overload, asked_per_s"] > 9 * found["peak, answers_per_s"]
    assert found["goodput, of the peak's"] >= GOODPUT
    assert found["p99, of the peak's"] <= P99
    assert found["after, recovered_s"] <= RECOVERED_S
    assert found["memory after_mb"] <= MEMORY * found["memory before_mb"]
    assert found["overload, kill max_ms"] <= KILLED_MS
