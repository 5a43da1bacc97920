"""The example of docs/capacity.md, reckoned again from its measurements."""

from __future__ import annotations

import pytest

from capacity.demand import Demand
from capacity.fleet import needed
from capacity.instances import GIBI, instances
from capacity.plan import Planner
from capacity.prices import read_prices
from capacity.service_model import ServiceModel, demand_passages, on_measured
from tests.capacity.made_measurements import MACHINE, MEASURED
from tests.demo_service import ROOT

PAGE = " ".join((ROOT / "docs" / "capacity.md").read_text("utf-8").split())
DEMAND = Demand(5, 10, 150, 3e5, "hybrid", engine="embedded")
PASSAGES = demand_passages(DEMAND)


def test_the_work_of_a_search() -> None:
    model, host = ServiceModel(MACHINE, MEASURED.of_profile("hybrid")), on_measured(MACHINE, 2)
    assert f"works {model.mean_work(host, 100_000):g} ms" in PAGE
    assert f"it takes {model.growing.times('lexical', PASSAGES):.2f} times" in PAGE
    assert f"by a + b ln n, {model.growing.times('vectors', PASSAGES):.2f} times" in PAGE
    work = model.mean_work(host, PASSAGES)
    assert f"the work is {work:.2f} ms" in PAGE
    most = MACHINE.curve[1] / work * 1000
    assert f"{MACHINE.curve[1]:g} / {work:.2f} ms = {most:.1f} searches" in PAGE


def test_the_bill() -> None:
    some = [each for each in instances() if each.family in ("c6i", "m6i", "r6i")]
    best = Planner(MEASURED, read_prices(), some=some).plan(DEMAND).best
    (role,) = best.roles
    assert f"one more to spare: {role.count} x {role.type}." in PAGE
    rate = best.holds / (role.count - 1)
    assert rate == pytest.approx(74, abs=3)
    assert best.binds in PAGE
    need = needed(MEASURED.archives, PASSAGES, 2).memory / GIBI
    assert f"{need:.1f} GiB are needed" in PAGE
    assert f"= ${best.bill[0].dollars:.2f} a month" in PAGE
    assert f"the bill is ${best.dollars:.2f}" in PAGE
    assert f"and {best.largest.name} is its largest line" in PAGE
