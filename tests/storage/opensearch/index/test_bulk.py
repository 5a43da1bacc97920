"""Bulk writes against a server that answers late, refuses, is full, or cuts the connection."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from core.errors import BusyError, StorageFullError
from storage.opensearch.index.bulk import BulkSettings, BulkWriter, Operation
from storage.opensearch.nodes.connection import Cluster, ClusterSettings
from storage.opensearch.nodes.nodes import AwayError, NodeSettings, SlowError, within
from tests.bulk_server import BulkServer, Entry, bulk_server

pytestmark = pytest.mark.timed

QUICK = BulkSettings(start_bytes=20_000, pause_s=0.001, tries=4)
WAITS = NodeSettings(connect_s=0.2, timeout_s=0.5, passed_over_s=0.1, failures=3, pause_s=0.3)
DOCUMENT = b'{"all":"' + b"x" * 900 + b'"}'


@pytest.fixture
def server() -> Iterator[BulkServer]:
    with bulk_server() as running:
        yield running


def cluster_of(*urls: str) -> Cluster:
    return Cluster(ClusterSettings(urls, nodes=WAITS, bulk_timeout_s=1.0))


@pytest.fixture
def writer(server: BulkServer) -> Iterator[BulkWriter]:
    cluster = cluster_of(server.url)
    yield BulkWriter(cluster, "name", QUICK)
    cluster.close()


def documents(count: int, version: int = 1) -> list[Operation]:
    return [Operation(seq, version, DOCUMENT) for seq in range(count)]


def test_only_what_was_not_taken_is_sent_again(server: BulkServer, writer: BulkWriter) -> None:
    refused = Counter[int]()

    def busy(entries: Sequence[Entry]) -> list[int]:
        """Every third one is refused once."""
        statuses = []
        for _, id_, _, _ in entries:
            refused[id_] += 1
            statuses.append(429 if id_ % 3 == 0 and refused[id_] == 1 else 0)
        return statuses

    server.fault = busy
    writer.write(documents(100))
    assert sorted(server.held) == list(range(100))
    sent = Counter(id_ for request in server.requests for id_ in request)
    assert sent == {id_: 2 if id_ % 3 == 0 else 1 for id_ in range(100)}


def test_a_busy_cluster_gets_smaller_requests_until_it_takes_them(
    server: BulkServer, writer: BulkWriter
) -> None:
    writer = BulkWriter(writer._cluster, "name", replace(QUICK, start_bytes=200_000, tries=8))
    limit = 20_000
    server.fault = lambda entries: 429 if sum(len(e[3] or b"") for e in entries) > limit else 0
    writer.write(documents(400))
    assert sorted(server.held) == list(range(400))
    assert writer.bytes <= 2 * limit
    assert max(server.sizes) > 150_000
    assert len(server.sizes) < 60, "after the first few it knows the size"


def test_it_gives_up_on_a_cluster_that_stays_busy(server: BulkServer, writer: BulkWriter) -> None:
    server.fault = lambda _: 429
    with pytest.raises(BusyError, match="too much to do"):
        writer.write(documents(5))
    assert len(server.requests) == QUICK.tries
    began = time.monotonic()
    slow = BulkWriter(writer._cluster, "name", replace(QUICK, pause_s=0.1, tries=100))
    with pytest.raises(BusyError):
        slow.write(documents(5), within_s=0.5)
    assert time.monotonic() - began < 6, "all tries take ten seconds"


def test_a_full_disk_is_told_at_once(server: BulkServer, writer: BulkWriter) -> None:
    server.fault = lambda entries: [403] * len(entries)
    with pytest.raises(StorageFullError):
        writer.write(documents(5))
    assert len(server.requests) == 1


def test_a_document_that_is_refused_is_named_and_holds_nothing_up(
    server: BulkServer, writer: BulkWriter
) -> None:
    server.fault = lambda entries: [400 if id_ in (7, 41) else 0 for _, id_, _, _ in entries]
    written = writer.write(documents(50))
    assert set(written.refused) == {7, 41}
    assert all("failed to parse field [seq]" in reason for reason in written.refused.values())
    assert sorted(server.held) == [seq for seq in range(50) if seq not in (7, 41)]


def test_an_older_version_is_superseded(server: BulkServer, writer: BulkWriter) -> None:
    writer.write(documents(10, version=5))
    written = writer.write([*documents(4, version=4), Operation(9, 3), Operation(8, 6)])
    assert written.outdated == 5
    assert not written.refused
    held = {seq: version for seq, (version, _) in server.held.items()}
    assert held == {seq: 5 for seq in range(10) if seq != 8}


def test_a_connection_cut_in_the_middle_loses_and_doubles_nothing(
    server: BulkServer, writer: BulkWriter
) -> None:
    cuts = iter([True, False, True])
    server.fault = lambda _: "cut" if next(cuts, False) else 0
    writer.write(documents(60))
    assert sorted(server.held) == list(range(60))
    assert len(server.requests) > 3


def test_the_size_of_requests_follows_how_long_they_take(server: BulkServer) -> None:
    cluster = cluster_of(server.url)
    settings = BulkSettings(start_bytes=20_000, most_bytes=100_000, target_s=0.05)
    writer = BulkWriter(cluster, "name", settings)
    writer.write(documents(1500))
    assert writer.bytes == 100_000, "a quick cluster gets the largest"
    server.slow_s = 0.15
    writer.write(documents(250, version=2))
    assert writer.bytes < 50_000, "a slow one gets smaller ones"
    server.slow_s = 0.0
    writer.write(documents(10, version=3))
    small = writer.bytes
    writer.write(documents(1500, version=4))
    assert writer.bytes > 2 * small
    cluster.close()


@contextmanager
def mute_node() -> Iterator[str]:
    """Its URL; it takes connections and says nothing."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(64)
        yield f"http://127.0.0.1:{mute.getsockname()[1]}"


def took(cluster: Cluster) -> float:
    """How long a question takes, answered or not, in s."""
    began = time.monotonic()
    with suppress(AwayError):
        assert cluster.ask("GET", "/")["version"]
    return time.monotonic() - began


def test_another_node_is_asked_where_one_does_not_answer(server: BulkServer) -> None:
    with mute_node() as mute:
        cluster = cluster_of(mute, server.url)
        over, waited = time.monotonic() + 2.0, []
        while time.monotonic() < over:
            waited.append(took(cluster))
            time.sleep(0.01)
        cluster.close()
    assert max(waited) < WAITS.timeout_s + 2 * WAITS.connect_s + 0.5
    assert sum(each > WAITS.timeout_s for each in waited) == 1, "then it is only looked at"
    assert any(WAITS.connect_s < each < WAITS.timeout_s for each in waited), "and it is, again"


def test_a_node_that_is_slow_is_not_taken_for_one_that_is_away(server: BulkServer) -> None:
    server.slow_s = 0.8
    cluster = cluster_of(server.url)
    for _ in range(WAITS.failures + 1):
        with pytest.raises(SlowError):
            cluster.ask("POST", "/_bulk", b'{"delete":{"_id":"1","version":1}}\n')
    server.slow_s = 0.0
    assert cluster.ask("GET", "/")["version"], "no pause"
    cluster.close()


def test_a_cluster_that_is_away_is_told_within_milliseconds_and_tried_again(
    server: BulkServer,
) -> None:
    with mute_node() as mute:
        cluster = cluster_of(mute)
        assert all(took(cluster) > WAITS.connect_s for _ in range(WAITS.failures))
        assert sum(took(cluster) for _ in range(20)) < WAITS.connect_s
        time.sleep(WAITS.pause_s)
        assert took(cluster) > WAITS.connect_s, "one tries"
        assert took(cluster) < WAITS.connect_s, "and the others go by what it has found"
        cluster.close()


def test_no_answer_is_waited_for_beyond_the_limit(server: BulkServer) -> None:
    server.slow_s = 3.0
    cluster = cluster_of(server.url)
    began = time.monotonic()
    with within(0.1), pytest.raises(SlowError):
        cluster.ask("POST", "/_bulk", b'{"delete":{"_id":"1","version":1}}\n')
    assert time.monotonic() - began < 2.5
    cluster.close()


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_faults_the_newest_states_are_there(server: BulkServer, seed: int) -> None:
    """Two writers at once, each with all operations in an order of its own; the model is a dict."""
    chance = random.Random(seed)
    operations = [
        Operation(chance.randrange(20), version, DOCUMENT + b" " * version)
        for version in range(1, 200)
    ]

    def faulty(entries: Sequence[Entry]) -> int | str | list[int]:
        kind = chance.randrange(8)
        if kind == 0:
            return "cut"
        if kind == 1:
            return 429
        return [429 if chance.random() < 0.1 else 0 for _ in entries]

    server.fault = faulty
    cluster = cluster_of(server.url)
    many = replace(QUICK, start_bytes=5_000, tries=50)
    for _ in range(2):
        chance.shuffle(operations)
        BulkWriter(cluster, "name", many).write(operations)
    newest = {each.id: each for each in sorted(operations, key=lambda each: each.version)}
    assert server.held == {seq: (each.version, each.document) for seq, each in newest.items()}
    cluster.close()
