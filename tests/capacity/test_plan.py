"""Plans: what they cost, what binds, and that more never costs less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capacity.demand import Demand, backfill
from capacity.fleet import needed, pooled, unit_ms
from capacity.instances import instances
from capacity.plan import Planner
from capacity.prices import HOURS, read_prices
from capacity.report import plan_markdown, plan_tree
from capacity.service_model import constant
from core.errors import InputError
from tests.capacity.made_measurements import MEASURED

SOME = [each for each in instances() if each.name in ("c6i.large", "c6i.xlarge", "r6i.xlarge")]
PRICES = read_prices()
DEMAND = Demand(5, 10, 150, 3e5, "hybrid", engine="embedded")


@pytest.fixture(scope="module")
def planner() -> Planner:
    """One planner, which plays each host once."""
    return Planner(MEASURED, PRICES, some=SOME, requests=300)


def test_the_bill_adds_up_and_each_line_says_how(planner: Planner) -> None:
    best = planner.plan(DEMAND).best
    (role,) = best.roles
    instance = next(each for each in SOME if each.name == role.type)
    hosts = next(line for line in best.bill if line.name == "search hosts")
    assert hosts.dollars == pytest.approx(
        role.count * (PRICES.instance_hour(instance) or 0) * HOURS
    )
    assert best.dollars == pytest.approx(sum(line.dollars for line in best.bill))
    assert best.largest.dollars == max(line.dollars for line in best.bill)
    assert all(line.why for line in best.bill)


def test_a_burst_is_held_with_one_host_missing(planner: Planner) -> None:
    best = planner.plan(DEMAND).best
    assert best.roles[0].count >= 2
    assert best.holds >= DEMAND.peak
    assert best.p50 <= best.p95 <= min(best.p99, DEMAND.p95_ms)


def test_more_load_never_costs_less(planner: Planner) -> None:
    costs = [planner.plan(replace(DEMAND, qps=qps)).best.dollars for qps in (1, 4, 5, 6, 20, 60)]
    assert costs == sorted(costs)


def test_a_shorter_p95_never_costs_less(planner: Planner) -> None:
    costs = [planner.plan(replace(DEMAND, p95_ms=ms)).best.dollars for ms in (1000, 150, 60, 30)]
    assert costs == sorted(costs)


def test_more_items_never_cost_less_and_memory_binds_at_last(planner: Planner) -> None:
    plans = [planner.plan(replace(DEMAND, items=n)).best for n in (1e5, 3e5, 1.2e6)]
    costs = [each.dollars for each in plans]
    assert costs == sorted(costs)
    assert plans[-1].roles[0].type == "r6i.xlarge"


def test_what_no_host_meets_is_said_with_the_reason(planner: Planner) -> None:
    with pytest.raises(InputError) as caught:
        planner.plan(replace(DEMAND, items=1e9))
    assert "GiB" in caught.value.what


def test_where_nothing_holds_the_nearest_plans_do_with_one_change(planner: Planner) -> None:
    asked = replace(DEMAND, profile="hybrid-rerank", p95_ms=30, items=1e5)
    plan = planner.plan(asked)
    assert not plan.holds
    assert dict(plan.alone)["rerank"] > asked.p95_ms
    whats = [each.change.what for each in plan.nearest]
    assert "hybrid, without reranking" in whats
    assert any("p95" in what for what in whats)
    costs = [each.mix.dollars for each in plan.nearest]
    assert costs == sorted(costs)
    for each in plan.nearest:
        assert each.mix.p95 <= each.change.demand.p95_ms
        assert each.mix.holds >= asked.peak
        assert planner.plan(each.change.demand).best.dollars == pytest.approx(each.mix.dollars)
    text = plan_markdown(plan, ())
    assert "reranking alone takes more than the 30 ms" in text
    assert all(each.mix.name in text for each in plan.nearest)


def test_a_deadline_leaves_a_part_of_the_reranking(planner: Planner) -> None:
    asked = replace(DEMAND, profile="hybrid-rerank", items=1e5)
    whole, part = (planner.plan(replace(asked, deadline_ms=ms)).best for ms in (1000, 30))
    assert whole.reranked == pytest.approx(1)
    assert 0.1 < part.reranked < 0.9
    assert part.p95 < whole.p95


def test_a_larger_reranking_needs_more(planner: Planner) -> None:
    asked = replace(DEMAND, profile="hybrid-rerank", items=1e5, p95_ms=400)
    costs = [planner.plan(replace(asked, rerank=share)).best.dollars for share in (0.25, 1, 2)]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


def test_inverted_lists_need_less_memory_and_are_for_millions(planner: Planner) -> None:
    large = replace(DEMAND, items=6e5, p95_ms=400)
    graphs, lists = (
        planner.plan(replace(large, vectors=name)).best for name in ("graphs", "lists")
    )
    assert lists.roles[0].memory < graphs.roles[0].memory
    assert "faiss-ivf" in lists.notes[0]
    assert planner.plan(large).best.dollars == min(graphs.dollars, lists.dollars)
    assert {mix.vectors for mix in planner.plan(replace(large, items=1e5)).mixes} == {"graphs"}


def test_the_next_mixes_cost_more_and_say_why(planner: Planner) -> None:
    first, *others = planner.plan(replace(DEMAND, remote="any")).mixes
    assert others
    assert all(mix.dollars >= first.dollars and mix.loses for mix in others)


@pytest.mark.parametrize("kind", ["ec2", "sagemaker", "serverless", "lambda"])
def test_models_elsewhere_are_in_the_bill(planner: Planner, kind: str) -> None:
    plan = planner.plan(replace(DEMAND, remote=kind))
    mix = plan.best
    assert any(line.startswith("call_work_ms: ") for line in plan.estimates)
    assert {role.name for role in mix.roles} == {"search", "models"}
    assert next(line for line in mix.bill if line.name == "models").dollars > 0
    if kind in ("serverless", "lambda"):
        assert "starts" in mix.notes[0]


def test_opensearch_has_its_own_nodes(planner: Planner) -> None:
    mix = planner.plan(replace(DEMAND, engine="opensearch")).best
    nodes = next(role for role in mix.roles if role.name == "nodes")
    assert nodes.count >= 2
    assert nodes.memory <= nodes.of_memory


def test_a_fleet_holds_what_its_plan_says(planner: Planner) -> None:
    best = planner.plan(DEMAND).best
    role = best.roles[0]
    found = planner.holds(DEMAND, {role.type: role.count})
    assert found.holds == pytest.approx(best.holds)
    more = planner.holds(DEMAND, {role.type: role.count + 1})
    assert more.holds > found.holds
    with pytest.raises(InputError):
        planner.holds(DEMAND, {"z9.huge": 2})


def test_a_backfill_takes_thread_hours(planner: Planner) -> None:
    photos = backfill("3M photos/5d")
    plan = planner.plan(replace(DEMAND, ingest=(photos,)))
    (found,) = plan.backfills
    each_ms, _ = unit_ms(MEASURED, "photos", DEMAND)
    hours = 3e6 * each_ms / 3.6e6
    paces = found.count * 5 * 24  # instance hours that there are
    assert paces > hours / found.instance.vcpus
    assert {line.name for line in plan.captions} >= {"captions by claude-3-haiku"}
    quicker = planner.plan(replace(DEMAND, ingest=(backfill("3M photos/12h"),))).backfills[0]
    assert quicker.count > found.count
    assert quicker.dollars == pytest.approx(found.dollars)


def test_growth_is_priced_over_a_year(planner: Planner) -> None:
    months = planner.plan(replace(DEMAND, grows=0.5)).growth
    assert [month for month, _, _ in months] == [0, 6, 12]
    assert months[-1][1] == pytest.approx(1.5 * months[0][1])
    assert [cost for _, _, cost in months] == sorted(cost for _, _, cost in months)


def test_a_log_and_bursts_are_played_on_the_best_mix(planner: Planner) -> None:
    calm = [second / 4 for second in range(400)]
    flood = [second / 400 for second in range(400)]
    assert "0.0% refused" in planner.plan(DEMAND, calm).replayed
    assert "0.0% refused" not in planner.plan(DEMAND, flood).replayed
    assert planner.plan(DEMAND).replayed
    assert not planner.plan(replace(DEMAND, burst=1.0)).replayed


def test_memory_follows_the_measured_archives() -> None:
    small, large = (needed(MEASURED.archives, n, 2).memory for n in (25_000, 100_000))
    assert large - small == pytest.approx(3.5e8 + 1e8 + 2 * 5e7, rel=1e-6)


def test_own_memory_beyond_the_measured_archives_grows_by_a_constant() -> None:
    """Two small archives of which one filled its caches would say gigabytes for a million."""
    small, large = (needed(MEASURED.archives, n, 2).memory for n in (100_000, 1_100_000))
    mapped = 3.5e8 / 75_000 * 1e6
    assert large - small == pytest.approx(mapped + 3e6 * constant("own_bytes").high, rel=1e-6)


def test_pooled_machines_do_as_much_as_they_are() -> None:
    assert pooled((1.0, 1.25), 3)[-1] == pytest.approx(3.75)
    assert pooled((1.0, 1.25), 1) == pytest.approx((1.0, 1.25))


def test_markdown_has_the_bill_and_what_is_an_estimate(planner: Planner) -> None:
    plan = planner.plan(replace(DEMAND, ingest=(backfill("1M photos/5d"),)))
    text = plan_markdown(plan, ("the age of the prices",))
    assert f"${plan.best.dollars:,.0f}" in text
    assert "the age of the prices" in text
    assert "photo_ms" in text
    assert plan_tree(plan)["mixes"][0]["dollars"] == plan.best.dollars
