"""Points in time that many searches share: asked for once, waited for no longer than allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import pytest

from core.errors import BusyError, StorageError
from storage.opensearch.index.body import IndexSettings, VectorSpace
from storage.opensearch.index.family import IndexFamily
from storage.opensearch.nodes.connection import Cluster, ClusterSettings
from storage.opensearch.nodes.nodes import NodeSettings, within
from storage.opensearch.nodes.searcher import Searcher
from tests.opensearch_node import new_name
from tests.tcp_proxy import Proxy, proxy_before

pytestmark = pytest.mark.timed

SPACES = {"text": VectorSpace("space-a", 8)}
WAITS = NodeSettings(connect_s=2.0, timeout_s=4.0, failures=100)
SLACK_S = 3.0  # for a machine that has other work
SEARCHES = 8
OPENING = b"point_in_time?"
CLOSING = b"DELETE /_search/point_in_time"
EVERY = {"query": {"match_all": {}}}


@dataclass
class Archive:
    """What a searcher is told of the archive: the newest change, which another one follows at each
    look while there are `steady` writes, and which index is its own.
    """

    identity: str
    generation: int = 1
    steady: bool = False

    def newest(self) -> int:
        self.generation += self.steady
        return self.generation


@dataclass
class World:
    """A searcher whose requests go through a proxy, and threads that search."""

    proxy: Proxy
    searcher: Searcher
    threads: ThreadPoolExecutor
    archive: Archive

    def search(self, within_s: float = 60.0) -> tuple[float, str]:
        """How long a search took in s, and the error that it ended in."""
        began, error = time.monotonic(), ""
        try:
            with within(within_s):
                self.searcher.ask([EVERY])
        except BusyError as caught:
            error = str(caught)
        return time.monotonic() - began, error

    def begin(self, count: int, within_s: float = 60.0) -> list[Future[tuple[float, str]]]:
        return [self.threads.submit(self.search, within_s) for _ in range(count)]

    def await_asked(self, count: int, what: bytes = OPENING) -> None:
        deadline = time.monotonic() + 240
        while self.proxy.count(what) < count:
            assert time.monotonic() < deadline, f"not asked for: {what!r}"
            time.sleep(0.005)


@pytest.fixture
def world(opensearch: str) -> Iterator[World]:
    with proxy_before(opensearch) as proxy, ThreadPoolExecutor(2 * SEARCHES) as threads:
        cluster = Cluster(ClusterSettings((proxy.url,), nodes=WAITS))
        family = IndexFamily(cluster, new_name(), IndexSettings(replicas=0), SPACES)
        family.open()
        archive = Archive(family.uuid)
        searcher = Searcher(
            cluster, family.concrete, archive.newest, lambda: archive.identity, threads
        )
        proxy.concerns = lambda line: OPENING in line
        yield World(proxy, searcher, threads, archive)
        proxy.hangs = False
        searcher.close()
        for name in (family.concrete, family.meta):
            with suppress(StorageError):
                cluster.ask("DELETE", f"/{name}", timeout_s=30)
        cluster.close()


def test_searches_that_wait_for_a_point_in_time_fail_together(world: World) -> None:
    world.proxy.hangs = True
    ended = [each.result() for each in world.begin(SEARCHES)]
    assert all(error for _, error in ended)
    assert max(took for took, _ in ended) < WAITS.timeout_s + WAITS.connect_s + SLACK_S
    assert world.proxy.count(OPENING) <= 2, "one attempt for all, which tries another node"
    world.proxy.hangs = False
    assert world.search()[1] == "", "the next one has it"


def test_searches_that_wait_get_the_same_one(world: World) -> None:
    world.proxy.hangs = True
    waiting = world.begin(SEARCHES)
    world.await_asked(1)
    world.proxy.hangs = False
    assert [each.result()[1] for each in waiting] == [""] * SEARCHES
    assert world.proxy.count(OPENING) == 1


def test_none_waits_longer_than_it_may(world: World) -> None:
    world.proxy.hangs = True
    (patient,) = world.begin(1)
    world.await_asked(1)
    (hasty,) = world.begin(1, within_s=0.2)
    took, error = hasty.result()
    assert not patient.done(), "who may wait longer does"
    assert took < WAITS.timeout_s / 2, "which is when the patient one's first request ends"
    assert "in time" in error
    world.proxy.hangs = False
    assert patient.result()[1] == ""


def test_one_that_was_begun_before_a_change_does_not_do(world: World) -> None:
    world.proxy.hangs = True
    (before,) = world.begin(1)
    world.await_asked(1)
    world.archive.generation += 1
    (after,) = world.begin(1)
    world.proxy.hangs = False
    assert (before.result()[1], after.result()[1]) == ("", "")
    assert world.proxy.count(OPENING) == 2


def test_a_search_waits_for_no_change_that_came_after_it_began(world: World) -> None:
    """Under steady writes there is always a newer one: each would wait for one of its own."""
    world.archive.steady = True
    world.proxy.hangs = True
    waiting = world.begin(SEARCHES)
    deadline = time.monotonic() + 240
    while world.archive.generation < SEARCHES:
        assert time.monotonic() < deadline, "not all of them wait"
        time.sleep(0.005)
    world.proxy.hangs = False
    assert [each.result()[1] for each in waiting] == [""] * SEARCHES
    assert world.proxy.count(OPENING) <= 3


def test_where_no_thread_can_be_had_the_next_search_has_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", NoThread)
        with pytest.raises(RuntimeError, match="new thread"):
            world.searcher.ask([EVERY])
    assert world.search(within_s=10.0)[1] == ""


def test_one_that_can_not_be_checked_is_given_back(world: World) -> None:
    """Its id does not tell whose it is, and neither does the cluster."""
    world.archive.identity = "unheard of"
    world.proxy.concerns = lambda line: b"/_settings/" in line
    world.proxy.hangs = True
    assert "in time" in world.search()[1]
    world.await_asked(1, CLOSING)


def test_a_search_whose_answer_drips_ends_in_the_time_of_two_requests(world: World) -> None:
    assert world.search()[1] == ""
    world.proxy.concerns = lambda line: b"_msearch" in line
    world.proxy.drip_s = 0.5
    took, error = world.search()
    assert "did not answer in time" in error
    assert took < 2 * WAITS.timeout_s + WAITS.connect_s + SLACK_S
    world.proxy.drip_s = 0.0
    assert world.search()[1] == ""
