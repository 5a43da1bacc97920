"""The capacity proof: its parts on disk, and the table of what was predicted and measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.service.capacity_proof import Predicted, rows_of
from benchmarks.service.proof_measuring import (
    CLIENTS,
    Base,
    Change,
    Load,
    Measured,
    merged,
    read,
    write,
)
from benchmarks.service.proof_rows import Row, table
from benchmarks.service.proof_serving import Heard, InTurn
from capacity.simulator import poisson
from tests.capacity.made_measurements import MACHINE, MEASURED

ROW = Row("embedded, hybrid, 1 at once", "30%: p50, ms", 10.0, 11.0, 10.5, 11.5, 0.15, True)
RATE = 40.0


def part(profile: str = "hybrid", change: Change | None = None) -> Measured:
    """Two processes that search, and a load of two rounds whose answers are not known yet."""
    times = MEASURED.of_profile(profile)[-1]
    turns = tuple(InTurn(n, 60.0 + n) for n in CLIENTS)
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
    took = np.sort(Predicted(asked).played(load))
    alike = tuple(
        Heard(each.due, tuple(np.quantile(took, np.linspace(0, 1, len(each.due))).tolist()))
        for each in load.rounds
    )
    rows = rows_of([replace(asked, loads=(replace(load, rounds=alike),))])
    assert [row.met for row in rows if "p" in row.what.split()[-2]] == [True, True]
    slow = tuple(Heard(each.due, tuple(2 * ms for ms in each.took)) for each in alike)
    rows = rows_of([replace(asked, loads=(replace(load, rounds=slow),))])
    assert not any(row.met for row in rows if row.what.endswith("ms"))


def test_a_round_is_played_at_the_speed_of_its_seconds() -> None:
    asked = part()
    (load,) = asked.loads
    first = load.rounds[0]
    even = replace(load, rounds=(first, first))
    slow = replace(load, rounds=(first, replace(first, slower=1.5)))
    predicted = Predicted(asked)
    half = len(predicted.played(even)) // 2
    assert np.array_equal(predicted.played(even)[:half], predicted.played(slow)[:half])
    alone, slowed = (float(np.median(predicted.played(each)[half:])) for each in (even, slow))
    assert 1.4 * alone < slowed < 3 * alone


def test_blocks_are_merged_at_the_mean_speed_of_all() -> None:
    times = MEASURED.of_profile("hybrid")[-1]
    twice = replace(
        times,
        rows=tuple(tuple(2 * ms for ms in row) for row in times.rows),
        front_ms=2 * times.front_ms,
    )
    both = merged([times, twice])
    assert both.alone == pytest.approx(1.5 * times.alone)
    assert both.front_ms == pytest.approx(1.5 * times.front_ms)
    whole = both.milliseconds.reshape(2, len(times.rows), -1)
    assert whole[0] == pytest.approx(whole[1])  # their speeds differed, and nothing else


@pytest.mark.parametrize(
    ("where", "beside_ms", "met"),
    [
        ("opensearch", 30.0, True),
        ("opensearch", 500.0, False),
        ("remote", 10.0, True),
        ("remote", 100.0, False),
    ],
)
def test_work_beside_is_held_against_a_plans_interval(
    where: str, beside_ms: float, met: bool
) -> None:
    embedded = replace(part(), loads=())
    base = replace(embedded.base, beside_ms=beside_ms, segments=8)
    elsewhere = [replace(embedded, where=where, base=base)]
    assert len(rows_of(elsewhere)) == len(rows_of([embedded])), "a plan needs embedded searches"
    _, there = rows_of([*elsewhere, embedded])[:2]
    assert (there.measured, there.met) == (beside_ms, met)


@pytest.mark.parametrize(("took", "met"), [(60.0, True), (300.0, False)])
def test_a_change_moves_p95_as_predicted(took: float, met: bool) -> None:
    tight = part("hybrid-rerank", Change("a deadline of 20 ms", 20.0))
    (load,) = tight.loads
    slow = tuple(Heard(each.due, (100.0,) * len(each.due)) for each in load.rounds)
    after = tuple(Heard(each.due, (took,) * len(each.due)) for each in load.rounds)
    moved = replace(tight, loads=(replace(load, rounds=after),), without=replace(load, rounds=slow))
    assert [row.met for row in rows_of([moved])] == [met]


def test_a_table_says_what_is_missed() -> None:
    text = table([ROW, replace(ROW, measured=13.0, met=False)], "a machine")
    assert text.count("missed |") == 1
    assert "+30%" in text
    assert "1 of 2 rows miss" in text
