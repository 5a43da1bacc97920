"""The capacity proof: its parts on disk, and the table of what was predicted and measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.service.capacity_proof import Predicted, rows_of
from benchmarks.service.proof_measuring import Base, Change, Load, Measured, read, write
from benchmarks.service.proof_rows import Row, table
from benchmarks.service.proof_serving import Heard, InTurn
from capacity.simulator import poisson
from tests.capacity.made_measurements import MACHINE, MEASURED

ROW = Row("embedded, hybrid, 1 at once", "30%: p50, ms", 10.0, 11.0, 10.5, 11.5, 0.15, True)
RATE = 40.0


def part(profile: str = "hybrid", change: Change | None = None) -> Measured:
    """Two processes that search, and a load of two rounds whose answers are not known yet."""
    times = MEASURED.of_profile(profile)[-1]
    turns = tuple(InTurn(n, 4, 60.0, 1.0, 8.0 + n, 0.5) for n in (1, 2))
    base = Base("2026-12-01", MACHINE, times, turns, deadline=250.0, batch_ms=5.0)
    due = tuple(tuple(poisson(RATE, 300, seed).tolist()) for seed in (1, 2))
    heard = tuple(Heard(each, (20.0,) * len(each)) for each in due)
    return Measured("embedded", profile, 2, base, 0.2, (Load(0.6, RATE, heard),), change)


def test_parts_are_kept_by_what_they_are_of(tmp_path: Path) -> None:
    one, other = part(), part("hybrid-rerank", Change("a deadline of 60 ms", 60.0))
    for each in (one, other, one):
        write(tmp_path, each)
    assert set(read(tmp_path)) == {one, other}


def test_a_service_that_does_what_the_model_says_misses_nothing() -> None:
    asked = part()
    (load,) = asked.loads
    took = np.sort(Predicted(asked).played(load).milliseconds)
    alike = tuple(
        Heard(each.due, tuple(np.quantile(took, np.linspace(0, 1, len(each.due))).tolist()))
        for each in load.rounds
    )
    rows = rows_of([replace(asked, loads=(replace(load, rounds=alike),))])
    assert [row.met for row in rows if "p" in row.what.split()[-2]] == [True, True]
    slow = tuple(Heard(each.due, tuple(2 * ms for ms in each.took)) for each in alike)
    rows = rows_of([replace(asked, loads=(replace(load, rounds=slow),))])
    assert not any(row.met for row in rows if row.what.endswith("ms"))


@pytest.mark.parametrize(("took", "met"), [(60.0, True), (300.0, False)])
def test_a_change_moves_p95_as_predicted(took: float, met: bool) -> None:
    whole = part("hybrid-rerank")
    tight = part("hybrid-rerank", Change("a deadline of 20 ms", 20.0))
    slow = tuple(Heard(each.due, (100.0,) * len(each.due)) for each in whole.loads[0].rounds)
    after = tuple(Heard(each.due, (took,) * len(each.due)) for each in slow)
    parts = (
        replace(whole, loads=(replace(whole.loads[0], rounds=slow),)),
        replace(tight, loads=(replace(tight.loads[0], rounds=after),)),
    )
    assert [row.met for row in rows_of(parts) if not row.aim] == [met]


def test_a_table_says_what_is_missed() -> None:
    text = table([ROW, replace(ROW, measured=13.0, met=False)], "a machine")
    assert text.count("missed |") == 1
    assert "+30%" in text
    assert "1 of 2 rows miss" in text
