"""The file of measurements: written, read, and refused where no machine gives it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from capacity.measurements import (
    Measurements,
    SearchTimes,
    read_measurements,
    write_measurements,
)
from core.errors import InputError
from tests.capacity.made_measurements import MACHINE, MEASURED, calls


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(write_measurements(MEASURED))
    assert read_measurements(path) == MEASURED


@pytest.mark.parametrize(
    "wrong",
    [
        replace(MEASURED, machine=replace(MACHINE, curve=(1.0, 0.5))),
        replace(MEASURED, machine=replace(MACHINE, curve=())),
        replace(MEASURED, machine=replace(MACHINE, cores=3)),
        replace(MEASURED, archives=()),
        replace(MEASURED, searches=(replace(MEASURED.searches[0], rows=((1.0,),)),)),
        replace(MEASURED, searches=(replace(MEASURED.searches[0], width=0.0),)),
        replace(MEASURED, calls=(replace(calls("tag", 1.0), ms=(1.0,)),)),
        replace(MEASURED, format=2),
    ],
)
def test_numbers_that_no_machine_gives(wrong: Measurements, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(write_measurements(wrong))
    with pytest.raises(InputError) as caught:
        read_measurements(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 1, "made": 3}'])
def test_what_is_no_file_of_measurements(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_measurements(path)
    assert "capacity measure" in caught.value.mend


def test_a_wrong_value_is_named_by_its_place(tmp_path: Path) -> None:
    tree = orjson.loads(write_measurements(MEASURED))
    tree["machine"]["peaks"]["int8"] = "fast"
    path = tmp_path / "m.json"
    path.write_bytes(orjson.dumps(tree))
    with pytest.raises(InputError) as caught:
        read_measurements(path)
    assert "machine.peaks.int8" in caught.value.what


def test_a_profile_that_was_not_measured_names_those_that_were() -> None:
    with pytest.raises(InputError) as caught:
        MEASURED.of_profile("best")
    assert "hybrid-rerank" in caught.value.mend
    assert [each.passages for each in MEASURED.of_profile("hybrid")] == [25_000, 100_000]


def test_searches_with_a_filter_are_apart() -> None:
    narrow = replace(MEASURED.searches[1], filter="date", allowed=0.1, passages=100_000)
    slower = replace(narrow, rows=tuple(tuple(1.5 * ms for ms in row) for row in narrow.rows))
    found = replace(MEASURED, searches=(*MEASURED.searches, slower))
    assert found.of_profile("hybrid") == MEASURED.of_profile("hybrid")
    assert found.narrowed("hybrid", "") is None
    assert found.narrowed("hybrid", "date") == slower
    assert found.filters() == {"date": pytest.approx(1.5)}
    with pytest.raises(InputError) as caught:
        found.narrowed("hybrid-rerank", "date")
    assert caught.value.where == "--filter"


def test_a_plan_takes_calls_on_one_thread_with_the_longest_texts() -> None:
    some = (
        replace(calls("embed 1", 4.0, 64, 128), threads=2),
        calls("embed 1", 3.0, 64, 32),
        calls("embed 1", 640.0, 64, 128),
        calls("embed 1", 90.0, 8, 128),
    )
    found = replace(MEASURED, calls=some).call("embed 1")
    assert found is not None
    assert (found.threads, found.batch, found.tokens) == (1, 64, 128)


def test_a_stage_that_never_ran_takes_nothing() -> None:
    times: SearchTimes = MEASURED.searches[0]
    assert times.of("fold").tolist() == [0.0] * len(times.rows)


def test_the_mean_of_a_call_is_that_of_its_quantiles() -> None:
    assert calls("tag", 3.0).mean == pytest.approx(3.0)
    uneven = replace(calls("tag", 0.0), ms=(0, 0.5, 2.5, 5, 7.5, 9, 9.5, 9.9, 10.0))
    assert uneven.mean == pytest.approx(5.0)


def test_a_backfill_reckons_with_long_texts_in_the_best_batch() -> None:
    some = (
        calls("embed 1", 1.0, 1, 16),
        calls("embed 1", 9.0, 1, 128),
        calls("embed 1", 64.0, 64, 128),
    )
    found = replace(MEASURED, calls=some).call("embed 1")
    assert found is not None
    assert (found.batch, found.tokens) == (64, 128)
    assert MEASURED.call("shots") is None
