"""A key's share over HTTP: 429 with Retry-After for who asks for more, and nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.access.keys import KeyRing
from api.access.shares import Shares
from api.problems import TooManyError
from core.callers import Caller
from core.limits import MemoryLimiter, Share
from tests.api import conftest
from tests.api.conftest import INGEST, OTHER, READ, Served, filled, serving

FEW, SLOW = "few-key", "slow-key"


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    wire = frozenset({"wire"})
    more = {
        FEW: Caller("Two at once", wire, writes=wire, share=Share(concurrency=2)),
        SLOW: Caller("One in a minute", wire, writes=wire, share=Share(rate=1 / 60)),
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(conftest, "CALLERS", {**conftest.CALLERS, **more})
        with serving(filled(), max_concurrent_searches=2, max_waiting=4) as running:
            yield running


def metric(served: Served, name: str) -> float:
    lines = served.get("/metrics", key=INGEST).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])


def in_flight(served: Served) -> int:
    return round(metric(served, "dateline_http_in_flight")) - 1  # without the one that asks


def test_a_rate_that_is_used_up_is_429_and_says_when(shared: Served) -> None:
    assert shared.get("/content/search", key=SLOW, q="ferry").status_code == 200
    for path in ("/content/search?q=ferry", "/content/urn:news:ferry", "/v1/suggest?q=f"):
        answer = shared.get(path, key=SLOW)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
        assert 50 <= int(answer.headers["retry-after"]) <= 60
    assert shared.get("/content/search", q="ferry").status_code == 200  # another key


def test_a_kill_counts_in_no_share(shared: Served) -> None:
    while shared.get("/content/urn:news:mixed", key=SLOW).status_code != 429:
        pass
    path, headers = "/content/urn:news:mixed/status", {"x-api-key": SLOW}
    answer = shared.http.patch(path, json={"pubstatus": "canceled"}, headers=headers)
    assert answer.status_code == 200


def test_documents_that_kill_count_in_no_share(shared: Served) -> None:
    """Beside others, too, which are refused; and not where so much comes that it is no kill."""
    while shared.get("/content/urn:news:mixed", key=SLOW).status_code != 429:
        pass
    headers = {"x-api-key": SLOW}
    kill = {"uri": "urn:kill:early", "headline": "Kill", "pubstatus": "canceled"}
    story = {"uri": "urn:other", "headline": "Other"}
    answer = shared.http.post("/content", json=kill, headers=headers)
    assert (answer.status_code, answer.json()["data"]["items"][0]["outcome"]) == (201, "created")
    answer = shared.http.post("/content", json=[story, {**kill, "version": 2}], headers=headers)
    told = answer.json()["data"]["items"]
    assert answer.status_code == 207
    assert told[0]["error"]["code"] == "too_many_requests"
    assert told[1]["outcome"] == "superseded"
    for refused in (story, {**kill, "body_text": "x" * 70_000}):
        answer = shared.http.post("/content", json=refused, headers=headers)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 1
    assert shared.get("/content/urn:other").status_code == 404


def test_so_many_at_the_same_time_and_the_next_is_429(shared: Served) -> None:
    shared.room.hold = threading.Event()
    try:
        with ThreadPoolExecutor(4) as crowd:
            begun = len(shared.room.asked)
            held = [crowd.submit(shared.get, "/content/search", FEW, q="ferry") for _ in range(2)]
            while len(shared.room.asked) < begun + 2:
                time.sleep(0.01)
            refused = shared.get("/content/search", key=FEW)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            other = crowd.submit(shared.get, "/content/search", READ, q="ferry")
            shared.room.hold.set()
            assert [one.result().status_code for one in (*held, other)] == [200, 200, 200]
        assert shared.get("/content/search", key=FEW).status_code == 200  # their places are free
    finally:
        shared.room.hold = None


def test_one_key_does_not_stand_before_another(shared: Served) -> None:
    """Six requests of one key fill threads and queue; another key's is answered next."""
    shared.room.hold = threading.Event()
    try:
        with ThreadPoolExecutor(8) as crowd:
            begun = len(shared.room.asked)
            first = [crowd.submit(shared.get, "/content/search", READ, q="a") for _ in range(6)]
            while in_flight(shared) < 6:
                time.sleep(0.01)
            modest = crowd.submit(shared.get, "/content/search", OTHER, q="b")
            statuses: list[int] = []
            while not statuses:  # the newest of the crowd makes room
                statuses = [one.result().status_code for one in first if one.done()]
                time.sleep(0.01)
            shared.room.hold.set()
            assert modest.result().status_code == 200
            assert sorted(one.result().status_code for one in first) == [200] * 5 + [503]
            names = [caller.name for _, caller in shared.room.asked[begun:]]
            assert names.index("Photo Weekly") in (2, 3)  # two threads become free at once
    finally:
        shared.room.hold = None


def test_refusals_are_counted(shared: Served) -> None:
    before = metric(shared, "dateline_http_refused_total")
    while shared.get("/content/urn:news:ferry", key=SLOW).status_code != 429:
        pass
    assert metric(shared, "dateline_http_refused_total") == before + 1


def test_a_refused_request_leaves_no_trace() -> None:
    caller = Caller("a", frozenset(), share=Share(rate=0.001, concurrency=1))
    shares = Shares(MemoryLimiter())
    shares.enter(caller)()
    for _ in range(3):
        with pytest.raises(TooManyError) as refused:
            shares.enter(caller)
        assert refused.value.retry_after > 1.0  # by its rate, not by the one place that it has


def test_a_share_is_no_part_of_who_a_caller_is() -> None:
    ring = KeyRing.of({"key": Caller("a", frozenset({"p"}), share=Share(rate=1.0))})
    assert ring.caller("key") == Caller("a", frozenset({"p"}))
