"""A service's metrics against its objectives."""

from __future__ import annotations

import pytest

from api.metrics import Metrics
from core.errors import UnavailableError
from dateline.objectives import Page, objectives, read_page
from tests.free_ports import free_port


def missed(metrics: Metrics, status: dict[str, object]) -> set[str]:
    page = Page.of_text(metrics.page(status).decode())
    return {finding.what for finding in objectives(page) if not finding.ok}


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
    }
    assert missed(metrics, status) == {
        "answers without a 5xx",
        "searches within .25 s",
        "changes of state within .5 s",
        "recall@10",
        "freshness",
        "webhooks",
        "clock",
    }


def test_a_service_that_does_not_answer_is_named() -> None:
    with pytest.raises(UnavailableError) as caught:
        read_page(f"http://127.0.0.1:{free_port()}", "")
    assert caught.value.mend
