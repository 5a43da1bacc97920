"""Instances against the measured machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capacity.instances import (
    BOUNDS,
    ESTIMATE,
    RATIO,
    SAME,
    End,
    instances,
    pair_of,
    processor_kind,
    speeds_of,
    table,
)
from tests.capacity.made_measurements import MACHINE

BY_NAME = {each.name: each for each in instances()}


def test_the_same_processor_is_as_fast_as_measured() -> None:
    found = speeds_of(BY_NAME["c6i.xlarge"], MACHINE)
    assert found.how == SAME
    assert [found.of(bound, End.SLOW) for bound in BOUNDS] == [1, 1, 1]
    two_cores = found.curve(End.MIDDLE)
    assert len(two_cores) == 4
    assert two_cores[-1] == pytest.approx(two_cores[1] * 1.25)  # the measured pair of threads


def test_another_processor_is_an_estimate_with_an_interval() -> None:
    found = speeds_of(BY_NAME["c6a.xlarge"], MACHINE)
    assert found.how == ESTIMATE
    assert found.of("int8", End.SLOW) < found.of("int8", End.MIDDLE) < found.of("int8", End.FAST)


def test_a_file_of_another_machine_replaces_an_estimate() -> None:
    peaks = replace(MACHINE.peaks, int8=3 * MACHINE.peaks.int8)
    other = replace(MACHINE, processor="AMD EPYC 9R14", peaks=peaks, curve=(1.0, 2.0), cores=2)
    found = speeds_of(BY_NAME["c7a.xlarge"], MACHINE, (other,))
    assert found.how == RATIO
    assert found.of("int8", End.SLOW) == found.of("int8", End.FAST) == pytest.approx(3)


def test_an_unknown_measured_machine_widens_every_estimate() -> None:
    unknown = replace(MACHINE, processor="Something 9000")
    assert processor_kind(unknown.processor) == "unknown"
    for bound in BOUNDS:
        known, guessed = (
            speeds_of(BY_NAME["c6a.xlarge"], machine).by_bound[bound]
            for machine in (MACHINE, unknown)
        )
        assert guessed.low <= known.low
        assert guessed.high >= known.high


def test_threads_of_one_core_are_told_where_a_virtual_machine_hides_them() -> None:
    assert pair_of(replace(MACHINE, cores=2)).middle == pytest.approx(1.25)
    assert not pair_of(replace(MACHINE, cores=2, curve=(1.0, 1.9))).known
    assert not pair_of(replace(MACHINE, curve=(1.0,))).known


@pytest.mark.parametrize("end", list(End))
def test_more_busy_threads_never_do_less(end: End) -> None:
    for instance in instances():
        curve = speeds_of(instance, MACHINE).curve(end)
        assert len(curve) == instance.vcpus
        assert list(curve) == sorted(curve)


def test_every_family_names_a_processor_of_the_table() -> None:
    known = set(table()["processors"])
    assert {each.processor for each in instances()} <= known
