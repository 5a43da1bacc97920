"""Laws of growth: found again where they hold, honest where they don't."""

from __future__ import annotations

import math

import pytest

from core.errors import InputError
from eval.tune.graphs.growth import Grown, fit, fitted, predict

SIZES = (10_000, 30_000, 100_000, 300_000)


def grown(rows: int, wobble: float = 1.0) -> Grown:
    """Builds of n ln n / 10^5 s, 1,700 bytes a row, a query of .1 + .05 ln n ms, p95 twice it."""
    time = (0.1 + 0.05 * math.log(rows)) * wobble
    return Grown(
        rows=rows,
        real=rows,
        build_seconds=rows * math.log(rows) / 1e5 * wobble,
        memory=1700.0 * rows + 4096,
        disk=1700.0 * rows,
        ef=128,
        qps=1000 / time,
        p95=2 * time,
    )


def test_laws_that_hold_are_found_and_carried_on() -> None:
    growth = fitted("faiss", 0.99, 100, [grown(rows) for rows in SIZES])
    assert growth.query is not None
    assert growth.build.worst < 1e-9
    assert growth.memory.worst < 1e-9
    assert (growth.query.a, growth.query.b) == pytest.approx((0.1, 0.05))
    found = predict(growth, 10_000_000)
    assert found.build_seconds == pytest.approx(1e7 * math.log(1e7) / 1e5)
    assert found.memory == pytest.approx(1.7e10 + 4096)
    assert found.qps == pytest.approx(1000 / (0.1 + 0.05 * math.log(1e7)))
    assert found.p95 == pytest.approx(2 * (0.1 + 0.05 * math.log(1e7)))
    assert found.shards == 1
    assert found.far
    assert not predict(growth, 1_000_000).far


def test_shards_are_the_fewest_that_meet_the_target() -> None:
    growth = fitted("faiss", 0.99, 100, [grown(rows) for rows in SIZES])
    found = predict(growth, 100_000_000, memory=8e9)
    assert found.shards == 22  # 170 GB in parts of at most 8
    assert found.shard_memory <= 8e9 < growth.memory.at(1e8 / 21)
    quick = predict(growth, 100_000_000, p95=1.8)
    assert quick.shards is not None
    assert quick.shard_p95 <= 1.8
    assert predict(growth, 10**8, p95=0.1).shards is None


def test_residuals_show_what_a_law_gets_wrong() -> None:
    sizes = [grown(rows, 1.3 if rows == 100_000 else 1.0) for rows in SIZES]
    growth = fitted("faiss", 0.99, 100, sizes)
    assert growth.query is not None
    assert growth.build.worst > 0.1
    assert growth.query.worst > 0.1
    assert min(growth.query.residuals) == growth.query.residuals[2]  # it was slower than the law


def test_noise_never_predicts_that_more_vectors_are_faster() -> None:
    sizes = [grown(10_000), grown(30_000, 0.5)]
    law = fit("a + b ln n", [each.rows for each in sizes], [each.p95 for each in sizes])
    assert law.b == 0
    assert law.at(1e8) == law.at(1e4) > 0


def test_sizes_that_missed_the_recall_are_left_out_of_its_fits() -> None:
    missed = Grown(100_000, 100_000, 11.5, 1.7e8, 1.7e8, math.nan, math.nan, math.nan)
    growth = fitted("faiss", 0.99, 100, [grown(10_000), missed])
    assert growth.query is None
    found = predict(growth, 10_000_000, p95=5.0)
    assert math.isnan(found.qps)
    assert found.shards is None
    assert predict(growth, 10_000_000, memory=1e10).shards == 2


def test_one_size_is_no_growth() -> None:
    with pytest.raises(InputError, match="two sizes"):
        fitted("faiss", 0.99, 100, [grown(10_000), grown(10_000)])
