from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator
from multiprocessing.connection import Connection
from threading import Event, Thread
from typing import Any
from weakref import finalize

import pytest

from api.search.elsewhere import request_bytes
from dateline.serving.collector import REST_S, BetweenSearches, collect_seldom
from dateline.serving.searchers import _answer

_YOUNG, _MIDDLE = 20, 10  # a small collector does as much with fewer objects
_SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "headers": (),
    "state": {"request_id": "1"},
}


class _Cycle:
    """Garbage that only the collector finds."""

    alive = 0

    def __init__(self) -> None:
        self.itself = self
        _Cycle.alive += 1

    def __del__(self) -> None:
        _Cycle.alive -= 1


@pytest.fixture(autouse=True)
def _small_collector() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(_YOUNG, _MIDDLE, 10)
    _Cycle.alive = 0
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
    gc.collect()


def _full_collections() -> int:
    return int(gc.get_stats()[2]["collections"])


def test_garbage_that_grew_old_has_a_limit_and_is_seldom_looked_for() -> None:
    collect_seldom()
    before, most = _full_collections(), 0
    remembered: list[_Cycle] = []
    for _ in range(600):
        remembered = [_Cycle() for _ in range(500)]  # what was remembered before is garbage now
        most = max(most, _Cycle.alive)
    assert 2 <= _full_collections() - before <= 20  # Python's own thresholds: 95 and more
    assert most < 300 * _YOUNG * _MIDDLE * 2
    assert len(remembered) == 500


def test_a_process_that_searches_looks_only_through_what_is_new() -> None:
    between = BetweenSearches()
    for _ in range(100):
        new = _Cycle()
        del new
        between.searched()
        if between.due:
            between.collect()
    assert 0 < _Cycle.alive < 100  # it looked after some searches, and not after each
    while not between.due:
        between.searched()
    between.collect()
    assert _Cycle.alive == 0
    kept = gc.get_freeze_count()
    old = [_Cycle() for _ in range(500)]
    while not between.due:
        between.searched()
    between.collect()
    assert gc.get_freeze_count() >= kept + len(old)
    old.clear()
    gc.collect()
    assert _Cycle.alive == 500  # what stayed once is not looked at again ...
    assert between.patience_s == REST_S
    between.searched()
    between.collect()
    assert _Cycle.alive == 0  # ... until nobody asks


def test_a_process_that_searches_collects_when_nobody_asks() -> None:
    collected = Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        cycle = _Cycle()
        finalize(cycle, collected.set)
        del cycle
        await send({"type": "http.response.start", "status": 200, "headers": ()})
        await send({"type": "http.response.body", "body": b"found"})

    ours, theirs = (Connection(each.detach()) for each in socket.socketpair())
    thread = Thread(target=_answer, args=(theirs, app))
    thread.start()
    try:
        ours.recv_bytes()
        for _ in range(100):
            ours.send_bytes(request_bytes(_SCOPE))
            assert ours.recv_bytes().endswith(b"found")
        assert collected.wait(60)
    finally:
        ours.close()
        thread.join()
        asyncio.set_event_loop(None)


def test_a_process_that_is_asked_all_the_time_collects_too() -> None:
    alive: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        _Cycle()
        alive.append(_Cycle.alive)
        await send({"type": "http.response.start", "status": 200, "headers": ()})
        await send({"type": "http.response.body", "body": b"found"})

    gc.set_threshold(1_000_000)  # no young collections
    ours, theirs = (Connection(each.detach()) for each in socket.socketpair())
    for _ in range(60):
        ours.send_bytes(request_bytes(_SCOPE))  # they wait already when it starts
    thread = Thread(target=_answer, args=(theirs, app))
    thread.start()
    try:
        for _ in range(61):  # that it is ready, and the answers
            ours.recv_bytes()
    finally:
        ours.close()
        thread.join()
        asyncio.set_event_loop(None)
    assert len(alive) == 60
    assert max(alive) < 30
