"""Which writes wait for which: a kill for nothing, a single document for no bulk."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from api.app import create_app
from tests.api.conftest import INGEST, Served, filled, services_over, serving, serving_app
from tests.api.models.model_service import bundled_models

KEY = {"x-api-key": INGEST}
FERRY = "urn:news:ferry"
Crowded = tuple[Served, list[Future[httpx.Response]]]


@pytest.fixture
def crowded() -> Iterator[Crowded]:
    """Every thread that embeds is held, and both queues are full; the answers to come."""
    room = filled()
    room.hold_embedding = threading.Event()
    settings = {
        "max_concurrent_bulks": 1,
        "max_waiting_bulks": 2,
        "max_concurrent_writes": 1,
        "max_waiting": 1,
    }
    with serving(room, **settings) as served, ThreadPoolExecutor(8) as clients:
        begun = [clients.submit(post, served, body) for body in (bulk(0), {"uri": "urn:single"})]
        while room.embedding < len(begun):
            time.sleep(0.001)
        until_refused(served, bulk(1))
        until_refused(served, {"uri": "urn:another"})
        yield served, begun
        room.hold_embedding.set()


def bulk(number: int) -> list[dict[str, object]]:
    return [{"uri": f"urn:bulk:{number}:{n}"} for n in range(20)]


def post(served: Served, body: object) -> httpx.Response:
    return served.http.post("/content", json=body, headers=KEY)


def until_refused(served: Served, body: object) -> None:
    """Until the queue is full; what was accepted before would wait for good, so it is cut off."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            answer = served.http.post("/content", json=body, headers=KEY, timeout=0.3)
        except httpx.TimeoutException:
            continue
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        return
    raise AssertionError("the queue is never full")


def test_a_kill_waits_for_no_other_write(crowded: Crowded) -> None:
    served, begun = crowded
    answer = served.http.patch(
        f"/content/{FERRY}/status", json={"pubstatus": "canceled"}, headers=KEY
    )
    assert answer.status_code == 200
    assert served.get(f"/content/{FERRY}").status_code == 404
    assert not any(each.done() for each in begun)


@pytest.mark.parametrize("member", ["pubstatus", "pubStatus"])
def test_a_document_that_hides_waits_for_no_other_write(crowded: Crowded, member: str) -> None:
    served, begun = crowded
    answer = post(served, {"uri": FERRY, "version": 3, member: "canceled"})
    assert (answer.status_code, answer.json()["data"]["items"][0]["version"]) == (200, 3)
    assert served.get(f"/content/{FERRY}").status_code == 404
    assert not any(each.done() for each in begun)


def test_a_full_queue_refuses_the_others_of_a_list_alone(crowded: Crowded) -> None:
    served, _ = crowded
    answer = post(served, [{"uri": FERRY, "version": 3, "pubstatus": "withheld"}, {"uri": "urn:x"}])
    first, second = answer.json()["data"]["items"]
    assert (answer.status_code, first["outcome"]) == (207, "superseded")
    assert (second["error"]["status"], second["error"]["code"]) == (503, "busy")
    assert served.get(f"/content/{FERRY}").status_code == 404


def test_bulks_wait_for_one_another_and_all_are_written() -> None:
    room = filled()
    room.hold_embedding = threading.Event()
    with (
        serving(room, max_concurrent_bulks=1) as served,
        ThreadPoolExecutor(4) as clients,
    ):
        begun = [clients.submit(post, served, bulk(number)) for number in range(4)]
        while not room.embedding:
            time.sleep(0.001)
        room.hold_embedding.set()
        assert [each.result(20).status_code for each in begun] == [200] * 4
        assert {f"urn:bulk:{number}:19" for number in range(4)} <= set(room.items)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_bulks_and_models_compute_while_what_answers_and_hides_waits() -> None:
    room, before = filled(), {*threading.enumerate()}
    app = create_app(replace(services_over(room), models=bundled_models()))
    with serving_app(room, app) as served:
        asked = [
            post(served, bulk(0)),
            post(served, {"uri": "urn:single"}),
            served.http.patch(
                f"/content/{FERRY}/status", json={"pubstatus": "usable"}, headers=KEY
            ),
            served.get("/content/search", q="ferry"),
            served.http.post("/v1/embeddings", json={"input": "ferry"}, headers=KEY),
        ]
        assert all(answer.is_success for answer in asked), asked
        lanes = {
            thread.name.rpartition("_")[0]: os.getpriority(os.PRIO_PROCESS, thread.native_id or 0)
            for thread in {*threading.enumerate()} - before
        }
    behind = {lanes.pop("bulks"), lanes.pop("model requests")}
    assert {"writes", "changes of state", "searches"} <= set(lanes)
    assert max(lanes[name] for name in ("writes", "changes of state", "searches")) < min(behind)


def test_the_order_of_one_item_in_a_list_is_kept(fresh: Served) -> None:
    versions = [
        {"uri": "urn:twice", "version": 1},
        {"uri": "urn:twice", "version": 2, "pubstatus": "canceled"},
    ]
    items = post(fresh, versions).json()["data"]["items"]
    assert [item["outcome"] for item in items] == ["created", "superseded"]
