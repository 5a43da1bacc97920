"""Who writes first, how long a write holds the record, and what a failing disk is called."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import DiskError, StorageFullError
from core.items import PubStatus
from core.writes import Outcome, PutItem, SetStatus, Written
from storage.embedded.record.archive import FILE, Record
from storage.record.turns import Turns, in_short_turns
from tests.storage.world import ENCODER, FIELD, SetClock, make_item, vector_of, vectors

SPACES = {FIELD: ENCODER}
MANY = 1500


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    made = Record(tmp_path, SPACES, SetClock())
    yield made
    made.close()


def puts(*uris: str) -> list[PutItem]:
    return [
        PutItem(make_item(uri, body="what a story says " * 100), (vectors(vector_of(uri)),))
        for uri in uris
    ]


@contextmanager
def bulk_under_way(record: Record) -> Iterator[threading.Thread]:
    """A bulk that has written something and is far from its end."""
    many = puts(*(f"urn:{n}" for n in range(MANY)))
    bulk = threading.Thread(target=record.put, args=(many,))
    before = record.last_change()
    bulk.start()
    while record.last_change() == before:
        time.sleep(0.001)
    yield bulk
    bulk.join()
    assert record.reads.count_items() >= MANY


@pytest.mark.timed
def test_a_kill_goes_before_the_rest_of_a_bulk(record: Record) -> None:
    record.put(puts("urn:killed"))
    with bulk_under_way(record) as bulk:
        (written,) = record.set_status([SetStatus("urn:killed", PubStatus.CANCELED)])
        assert bulk.is_alive()
        assert record.reads.count_items() < MANY
    assert written.outcome is Outcome.UPDATED


@pytest.mark.timed
def test_a_kill_of_another_process_goes_before_the_rest_of_a_bulk(
    record: Record, tmp_path: Path
) -> None:
    other = Record(tmp_path, SPACES, SetClock())
    try:
        record.put(puts("urn:killed"))
        with bulk_under_way(record) as bulk:
            other.set_status([SetStatus("urn:killed", PubStatus.CANCELED)])
            assert bulk.is_alive()
            assert record.reads.count_items() < MANY
    finally:
        other.close()


def test_urgent_work_goes_first_in_whatever_order_it_comes() -> None:
    turns = Turns()
    order: list[str] = []
    held, go = threading.Event(), threading.Event()

    def work(name: str, *, urgent: bool) -> None:
        with turns.taken(urgent=urgent):
            order.append(name)
            if name == "first":
                held.set()
                go.wait(120)

    threads = [threading.Thread(target=work, args=("first",), kwargs={"urgent": False})]
    threads[0].start()
    held.wait(120)
    for name, urgent in (("bulk", False), ("kill", True)):
        threads.append(threading.Thread(target=work, args=(name,), kwargs={"urgent": urgent}))
        threads[-1].start()
        while turns.waiting < len(threads) - 1:
            time.sleep(0.001)
    go.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "kill", "bulk"]


def test_what_a_later_transaction_fails_with_costs_nothing_before_it() -> None:
    room = [2, 2, 0]

    def take_turn(works: Sequence[str]) -> list[Written]:
        if not (taken := room.pop(0)):
            raise StorageFullError("no room")
        return [Written(uri, 1, Outcome.CREATED) for uri in works[:taken]]

    works = [f"urn:{n}" for n in range(6)]
    assert [written.uri for written in in_short_turns(works, take_turn)] == works[:4]
    room.append(0)
    with pytest.raises(StorageFullError):
        in_short_turns(works[4:], take_turn)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writes beyond so many bytes of a file fail (EFBIG), as on a disk that fails there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failing_disk_is_no_full_one_and_the_writer_opens_anew(
    record: Record, tmp_path: Path
) -> None:
    record.put(puts("urn:before"))
    with largest_file((tmp_path / f"{FILE}-wal").stat().st_size):
        with pytest.raises(DiskError) as failed:
            record.put(puts("urn:lost"))
        assert "nothing" not in failed.value.what
    (written,) = record.put(puts("urn:after"))
    assert written.outcome is Outcome.CREATED
    assert {item.uri for item in record.reads.all_items()} >= {"urn:before", "urn:after"}
