"""The shelf that hosts share, on the server of the record, and what is done to it: full, locked,
restarted, gone, restored.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from core.writes import PutItem
from storage.postgres import candidate_lists
from storage.postgres.candidate_lists import PostgresCandidateLists
from storage.postgres.record import PostgresRecord
from tests.postgres_server import Server, server
from tests.storage.postgres_world import address_of
from tests.storage.world import SetClock, make_item


@pytest.fixture
def address(postgres: Server, folder: Path) -> str:
    return address_of(postgres, folder)


@pytest.fixture
def record(address: str) -> Iterator[PostgresRecord]:
    opened = PostgresRecord(address, {}, SetClock())
    put(opened, "first")
    yield opened
    opened.close()


@pytest.fixture
def shelf(address: str, record: PostgresRecord) -> Iterator[PostgresCandidateLists]:
    made = PostgresCandidateLists(address)
    yield made
    made.close()


@pytest.fixture
def other(address: str, record: PostgresRecord) -> Iterator[PostgresCandidateLists]:
    """What a process on another host has."""
    made = PostgresCandidateLists(address)
    yield made
    made.close()


def put(record: PostgresRecord, *uris: str) -> None:
    record.put([PutItem(make_item(uri)) for uri in uris])


def run(address: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_one_host_puts_and_another_gets(
    shelf: PostgresCandidateLists, other: PostgresCandidateLists
) -> None:
    assert shelf.put("a", b"\x00value")
    assert other.get("a") == b"\x00value"
    assert other.get("b") is None
    shelf.close()  # ends with its process; the list does not
    assert other.get("a") == b"\x00value"


def test_lists_of_an_empty_record_and_later_writes(address: str) -> None:
    record, lists = PostgresRecord(address, {}, SetClock()), PostgresCandidateLists(address)
    assert lists.put("before", b"x")
    put(record, "second", "third")
    assert lists.put("after", b"y")
    put(record, "fourth")
    assert (lists.get("before"), lists.get("after")) == (b"x", b"y")
    for opened in (record, lists):
        opened.close()


def test_a_restored_backup_ends_the_lists_of_what_came_after_it(
    address: str, shelf: PostgresCandidateLists, record: PostgresRecord
) -> None:
    """Ids given after the backup are given again, to other items."""
    shelf.put("before", b"b")
    put(record, "two")
    shelf.put("after", b"a")
    run(address, "DELETE FROM changes WHERE n = 2; DELETE FROM items WHERE seq = 2")
    assert shelf.get("before") == b"b"
    assert shelf.get("after") is None
    put(record, "another two")
    assert run(address, "SELECT max(n) FROM changes") == [(2,)]
    assert shelf.get("after") is None


def test_the_lists_of_all_hosts_together_have_a_bound(address: str, record: PostgresRecord) -> None:
    most = 2**20
    hosts = [PostgresCandidateLists(address, most_bytes=most) for _ in range(2)]
    for number in range(400):
        hosts[number % 2].put(f"{number}", bytes(20_000))
    assert not hosts[0].put("huge", bytes(most + 1))
    for host in hosts:
        host.close()  # waits for the work in the background
    again = PostgresCandidateLists(address, most_bytes=most)
    assert again.get("399") is not None
    assert again.get("0") is None
    again.close()
    # The bound, and what may come in between two looks at it, of 8 MB in all.
    (kept,) = run(address, "SELECT sum(octet_length(value)), sum(size) FROM candidate_lists")
    assert kept[0] == kept[1]
    assert int(str(kept[0])) < most + 2 * 3 * 32 * 20_000


def test_lists_that_are_too_old_are_not_given_out_and_make_room(
    address: str, shelf: PostgresCandidateLists, other: PostgresCandidateLists
) -> None:
    for number in range(200):
        shelf.put(f"{number}", b"x")
    run(address, "UPDATE candidate_lists SET until = now() - interval '1 second'")
    assert shelf.get("3") is None
    other.put("fresh", b"y")  # a process looks at its first
    other.close()
    assert run(address, "SELECT key FROM candidate_lists") == [("fresh",)]


@pytest.mark.timed
def test_a_locked_table_costs_no_search_more_than_a_moment(
    address: str, shelf: PostgresCandidateLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(candidate_lists, "monotonic", lambda: now[0])
    shelf.put("a", b"x")
    with psycopg.connect(address) as writer:
        writer.execute("LOCK TABLE candidate_lists IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        assert not shelf.put("b", b"y")
        assert time.monotonic() - began < 2
        assert "lock timeout" in shelf.failure
        assert shelf.get("a") is None
        writer.rollback()
    assert shelf.get("a") == b"x"
    assert not shelf.put("b", b"y")  # rests for a while: other searches don't wait either
    now[0] += 6
    assert shelf.put("b", b"y")
    assert shelf.failure == ""


def test_what_the_server_refuses_fails_no_search(
    address: str, shelf: PostgresCandidateLists, caplog: pytest.LogCaptureFixture
) -> None:
    run(address, "DROP TABLE candidate_lists")
    assert not shelf.put("a", b"secret words")
    assert shelf.get("a") is None
    assert "candidate_lists" in shelf.failure
    assert "secret words" not in caplog.text


def test_no_server_at_all() -> None:
    lists = PostgresCandidateLists("postgresql://desk:hunter2@127.0.0.1:1/archive")
    assert not lists.put("a", b"x")
    assert lists.get("a") is None
    assert lists.failure
    assert "hunter2" not in lists.failure
    lists.close()


def test_threads_of_two_hosts_at_once(
    shelf: PostgresCandidateLists, other: PostgresCandidateLists
) -> None:
    """Twelve threads, more than either has connections: what was kept is found by both."""
    hosts, kept = [shelf, other], []

    def work(number: int) -> None:
        for turn in range(20):
            key = f"{number}.{turn}"
            if hosts[number % 2].put(key, key.encode() * 500):
                kept.append(key)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 12 * 20
    for key in kept:
        assert shelf.get(key) == other.get(key) == key.encode() * 500


def test_after_the_end_nothing_is_kept(shelf: PostgresCandidateLists) -> None:
    shelf.put("a", b"x")
    shelf.close()
    assert not shelf.put("b", b"y")
    assert shelf.get("a") is None


@pytest.mark.faults
def test_a_restarted_server_keeps_lists_and_a_crashed_one_ends_them(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connections of before are replaced by themselves."""
    monkeypatch.setattr(candidate_lists, "_REST_S", 0.0)
    with server() as own:
        record = PostgresRecord(own.url(), {}, SetClock())
        lists = PostgresCandidateLists(own.url())
        assert lists.put("a", b"x")
        own.stop()
        assert not lists.put("b", b"y")
        own.start()
        assert lists.get("a") == b"x"
        assert lists.put("b", b"y")
        own.stop(signal.SIGQUIT)
        own.start()
        assert lists.get("a") is None  # and no error
        assert lists.put("c", b"z")
        assert lists.get("c") == b"z"
        for opened in (record, lists):
            opened.close()
