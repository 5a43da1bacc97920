"""A service's metrics against its objectives."""

from __future__ import annotations

import pytest

from api.metrics import Metrics
from core.errors import UnavailableError
from dateline.diagnosis import Finding
from dateline.objectives import Page, objectives, read_page
from tests.free_ports import free_port


def missed(metrics: Metrics, status: dict[str, object]) -> set[str]:
    return missed_of(objectives(Page.of_text(metrics.page(status).decode())))


def missed_of(findings: list[Finding]) -> set[str]:
    return {finding.what for finding in findings if not finding.ok}


def test_a_new_service_misses_nothing() -> None:
    assert missed(Metrics(), {}) == set()


def test_each_objective_is_read_from_its_own_metric() -> None:
    metrics = Metrics()
    for number in range(100):
        slow = number % 10 == 0
        metrics.searched({"total": 400.0 if slow else 20.0}, degraded=False)
        metrics.answered("GET", "/content/search", 503 if slow else 200, 0.1)
        route = "/content/{item_id:path}/status"
        metrics.answered("PATCH", route, 200, 2.0 if slow else 0.01)
    metrics.recall_checked("text", 9, 10)
    status = {
        "projections": {"words": {"lag": 3}},
        "clock": {"held_seconds": 90},
        "webhooks": {"oldest_seconds": 400.0},
        "work": {
            "oldest_seconds": {"read": 0.0, "describe": 1000.0},
            "spent_today": 9.0,
            "daily_spend": 10.0,
        },
    }
    assert missed(metrics, status) == {
        "answers without a 5xx",
        "searches within .25 s",
        "changes of state within .5 s",
        "recall@10",
        "freshness",
        "orders of ingests",
        "webhooks",
        "clock",
        "captions",
    }


def test_of_two_readings_only_what_was_counted_between_counts() -> None:
    metrics, lags = Metrics(), {"projections": {"words": {"lag": 3}}}
    for _ in range(100):
        metrics.answered("GET", "/content/search", 503, 0.1)
        metrics.searched({"total": 400.0}, degraded=False)
    before = Page.of_text(metrics.page(lags).decode())
    for _ in range(100):
        metrics.answered("GET", "/content/search", 200, 0.1)
        metrics.searched({"total": 20.0}, degraded=False)
    none = {"projections": {"words": {"lag": 0}}}
    after = Page.of_text(metrics.page(none).decode())
    found = {finding.what: finding for finding in objectives(after, before, 60.0)}
    assert all(finding.ok for finding in found.values())
    assert "100.00% of 100 in 60 s" in found["answers without a 5xx"].says
    assert "p95 at most 0.025 s" in found["searches within .25 s"].says
    assert not all(finding.ok for finding in objectives(after))
    behind = Page.of_text(metrics.page(lags).decode())
    assert missed_of(objectives(behind, before, 60.0)) == {"freshness"}


def test_counts_of_a_service_that_was_restarted_in_between_begin_anew() -> None:
    metrics, restarted = Metrics(), Metrics()
    for _ in range(5):
        metrics.answered("GET", "/content/search", 503, 0.1)
    restarted.answered("GET", "/content/search", 503, 0.1)
    before, after = (Page.of_text(one.page({}).decode()) for one in (metrics, restarted))
    (first, *_) = objectives(after, before, 60.0)
    assert (first.ok, "of 1 in 60 s" in first.says) == (False, True)


def test_a_service_that_does_not_answer_is_named() -> None:
    with pytest.raises(UnavailableError) as caught:
        read_page(f"http://127.0.0.1:{free_port()}", "")
    assert caught.value.mend
