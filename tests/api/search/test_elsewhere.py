"""Reads that go elsewhere as bytes are answered as they are here. The processes themselves are in
tests/dateline/serving/test_searchers.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app, create_inner_app
from api.metrics import Figures, Metrics
from api.search.elsewhere import answered
from core.limits import NoLimiter, Share
from tests.api.conftest import READ, Served, services_over, serving_app
from tests.api.newsroom import Newsroom


class Inner:
    """What is elsewhere: an application of its own, over the same newsroom."""

    def __init__(self, room: Newsroom) -> None:
        self.running = 1
        self.asked = 0
        self.metrics = Metrics()
        services = replace(services_over(room), limiter=NoLimiter(), metrics=self.metrics)
        self.app = create_inner_app(replace(services, close=lambda: None))

    def ask(self, request: bytes) -> bytes:
        self.asked += 1
        return asyncio.run(answered(self.app, request))

    def figures(self) -> Sequence[Figures]:
        return [self.metrics.figures()]


@pytest.fixture(scope="module")
def inner(served: Served) -> Iterator[Inner]:
    made = Inner(served.room)
    with TestClient(made.app):  # ends its pools
        yield made


@pytest.fixture(scope="module")
def passing(served: Served, inner: Inner) -> Iterator[Served]:
    """A service whose reads `inner` answers."""
    services = replace(services_over(served.room), elsewhere=inner, close=lambda: None)
    with serving_app(served.room, create_app(services)) as running:
        yield running


def plain(answer: httpx.Response) -> tuple[int, Any, dict[str, str]]:
    """Without what is another one in each answer."""
    body = answer.json()
    for changing in ("timings_ms", "updated"):
        body.get("data", {}).pop(changing, None)
    body.get("error", {}).pop("timestamp", None)
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, body, headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/content/search?q=ferry&explain=true&facets=type,place&page_size=1", 200),
        ("/content/search?q=ferry&q=storm", 400),
        ("/content/search?q=%FF", 400),
        ("/content/search?wrong=1", 400),
        ("/content/search?cursor=nobody-has-it", 410),
        ("/content/urn:news:ferry?versions=all", 200),
        ("/content/https%3A%2F%2Fnews.example%2Fstories%2Fstorm%3Fid%3D1%26x%3D%C3%BC", 200),
        ("/content/urn:news:photo", 404),
        ("/content/urn:news:ferry?include=headline&wrong=1", 400),
        ("/v1/suggest?q=fer", 404),
    ],
)
def test_an_answer_from_elsewhere_is_the_answer_from_here(
    served: Served, passing: Served, inner: Inner, path: str, status: int
) -> None:
    headers = {"x-api-key": READ, "x-request-id": "one-of-mine"}
    before = inner.asked
    here, elsewhere = (plain(one.http.get(path, headers=headers)) for one in (served, passing))
    assert here == elsewhere
    assert here[0] == status
    assert inner.asked == before + (path != "/content/search?q=%FF" and "&q=" not in path)


def test_a_text_goes_with_its_request(served: Served, passing: Served, inner: Inner) -> None:
    headers = {"x-api-key": READ, "x-request-id": "one-of-mine", "content-type": "text/plain"}
    before, body = inner.asked, b"A ferry \xff in the harbour"
    here, elsewhere = (
        plain(one.http.post("/content/search?page_size=1", content=body, headers=headers))
        for one in (served, passing)
    )
    assert here == elsewhere
    assert (here[0], inner.asked) == (200, before + 1)


def test_who_may_not_ask_is_refused_here(passing: Served, inner: Inner) -> None:
    before = inner.asked
    for key in ("", "nobody's key"):
        assert passing.get("/content/search", key=key, q="ferry").status_code == 401
    assert inner.asked == before


def test_writes_and_what_no_process_can_answer_stay_here(passing: Served, inner: Inner) -> None:
    before = inner.asked
    assert passing.http.get("/healthz").status_code == 200
    assert passing.http.put("/content/search", headers={"x-api-key": READ}).status_code == 405
    inner.running = 0
    assert passing.get("/content/search", q="ferry").status_code == 200
    inner.running = 1
    assert inner.asked == before


def test_requests_elsewhere_give_their_place_back(passing: Served) -> None:
    """More than a key may make at the same time, one after the other, of which some fail."""
    for number in range(Share().concurrency + 1):
        path = "/content/search" if number % 2 else "/content/urn:nobody"
        assert passing.get(path).status_code == (200 if number % 2 else 404)


def test_a_failure_elsewhere_is_told_as_one_here(
    passing: Served, inner: Inner, caplog: pytest.LogCaptureFixture
) -> None:
    room = passing.room
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "search", None)  # not callable
        failing = create_inner_app(replace(services_over(room), close=lambda: None))
        patch.setattr(inner, "app", failing)
        with TestClient(failing):
            answer = passing.get("/content/search", q="ferry")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert answer.headers["x-request-id"] in caplog.text
    assert "NoneType" not in answer.text


def test_figures_of_several_processes_are_one_page() -> None:
    one, other = Metrics(), Metrics()
    for metrics, milliseconds in ((one, 2.0), (other, 4.0), (other, 2000.0)):
        metrics.searched({"total": milliseconds}, degraded=milliseconds > 1000)
    one.recall_checked("text", 9, 10)
    other.recall_checked("text", 4, 4)
    page = one.page({"items": 7}, [other.figures()]).decode().splitlines()
    assert 'dateline_recall_checks_total{field="text"} 2.0' in page
    assert 'dateline_recall_wanted_total{field="text"} 14.0' in page
    assert 'dateline_recall_found_total{field="text"} 13.0' in page
    stage = 'dateline_search_stage_seconds_{}stage="total"{} {}'
    assert stage.format("count{", "}", "3.0") in page
    assert stage.format('bucket{le="0.005",', "}", "2.0") in page
    assert stage.format('bucket{le="+Inf",', "}", "3.0") in page
    assert "dateline_search_degraded_total 1.0" in page
    assert "dateline_items 7.0" in page
