"""The shelf behind shared cursors, and what is done to it: full, locked, damaged, restored."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.writes import PutItem
from storage.embedded.record import candidate_lists
from storage.embedded.record.archive import Record
from storage.embedded.record.candidate_lists import FILE, CandidateLists
from storage.embedded.record.copies import backup, drop_projections, restore
from tests.storage.world import NOW, make_item


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    opened = Record(tmp_path, {}, lambda: NOW)
    put(opened, "first")
    yield opened
    opened.close()


@pytest.fixture
def shelf(tmp_path: Path, record: Record) -> Iterator[CandidateLists]:
    made = CandidateLists(tmp_path / "projections", record)
    yield made
    made.close()


def put(record: Record, *uris: str) -> None:
    record.put([PutItem(make_item(uri)) for uri in uris])


def other(shelf: CandidateLists, record: Record) -> CandidateLists:
    """What another process has of the same file."""
    return CandidateLists(shelf.path.parent, record)


def test_one_puts_and_another_gets(shelf: CandidateLists, record: Record) -> None:
    assert shelf.put("a", b"\x00value")
    assert other(shelf, record).get("a") == b"\x00value"
    assert other(shelf, record).get("b") is None


def test_nobody_else_on_the_machine_reads_it(shelf: CandidateLists) -> None:
    shelf.put("a", b"x")
    for path in shelf.path.parent.glob(f"{FILE}*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_later_writes_to_the_archive_end_no_list(shelf: CandidateLists, record: Record) -> None:
    shelf.put("a", b"x")
    put(record, "second", "third")
    assert shelf.get("a") == b"x"


def test_a_restored_backup_ends_the_lists_of_what_came_after_it(
    tmp_path: Path, record: Record
) -> None:
    """Ids given after the backup are given again, to other items. A process that kept its file
    through the restore, or a copied folder, must not mix them up.
    """
    folder, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    first = Record(folder, {}, lambda: NOW)
    put(first, "one")
    lists = CandidateLists(elsewhere, first)
    lists.put("before", b"b")
    backup(folder, tmp_path / "copy")
    put(first, "two")
    lists.put("after", b"a")
    first.close()
    (folder / "projections").mkdir()
    restore(tmp_path / "copy", folder, force=True)
    again = Record(folder, {}, lambda: NOW)
    restored = CandidateLists(elsewhere, again)
    assert restored.get("before") == b"b"
    assert restored.get("after") is None
    put(again, "another two")
    assert restored.get("after") is None
    for opened in (lists, restored, again):
        opened.close()


def test_another_archive_is_another_archive(shelf: CandidateLists, tmp_path: Path) -> None:
    shelf.put("a", b"x")
    stranger = Record(tmp_path / "stranger", {}, lambda: NOW)
    put(stranger, "other")
    assert other(shelf, stranger).get("a") is None
    stranger.close()


def test_a_rebuild_ends_every_list(shelf: CandidateLists, record: Record, tmp_path: Path) -> None:
    shelf.put("a", b"x")
    drop_projections(tmp_path)
    assert shelf.get("a") is None
    assert shelf.put("b", b"y")
    assert other(shelf, record).get("b") == b"y"


def test_the_file_has_a_bound(tmp_path: Path, record: Record) -> None:
    most = 2**20
    small = CandidateLists(tmp_path / "small", record, most_bytes=most)
    for number in range(400):
        small.put(f"{number}", bytes(20_000))
    small.close()  # waits for the work in the background
    again = CandidateLists(tmp_path / "small", record, most_bytes=most)
    assert again.get("399") is not None
    assert again.get("0") is None
    # The bound, and what may come in between two looks at it, of 10 MB in all.
    assert small.path.stat().st_size < most + 3 * 32 * 24_576
    again.close()


def test_lists_that_are_too_old_make_room(tmp_path: Path, record: Record) -> None:
    now = [0.0]
    lists = CandidateLists(tmp_path / "old", record, lifetime_s=10, now=lambda: now[0])
    lists.put("a", b"x")
    now[0] = 11
    for number in range(32):
        lists.put(f"{number}", b"y")
    lists.close()
    kept = sqlite3.connect(tmp_path / "old" / FILE).execute("SELECT count(*) FROM lists")
    assert kept.fetchone()[0] == 32


@pytest.mark.parametrize("junk", [b"", b"no database" * 999, bytes(8192)])
def test_a_damaged_file_is_made_anew(
    tmp_path: Path, record: Record, junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / FILE).write_bytes(junk)
    lists = CandidateLists(folder, record)
    assert lists.get("a") is None
    lists.put("a", b"x")
    assert lists.put("b", b"y")
    assert lists.get("b") == b"y"
    assert lists.failure == ""
    lists.close()


def test_damage_in_the_middle_is_no_error(shelf: CandidateLists) -> None:
    for number in range(20):
        shelf.put(f"{number}", os.urandom(9000))
    shelf.close()
    shelf.path.with_name(FILE + "-wal").unlink(missing_ok=True)
    data = bytearray(shelf.path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    shelf.path.write_bytes(data)
    fresh = CandidateLists(shelf.path.parent, shelf._record)
    assert fresh.get("3") is None
    fresh.put("x", b"x")
    assert fresh.put("y", b"y")
    fresh.close()


def test_a_later_schema_is_emptied(shelf: CandidateLists, record: Record) -> None:
    shelf.put("a", b"x")
    with sqlite3.connect(shelf.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    later = other(shelf, record)
    assert later.get("a") is None
    assert later.put("b", b"y")
    later.close()


def test_a_locked_file_costs_no_search_more_than_a_moment(
    shelf: CandidateLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(candidate_lists, "monotonic", lambda: now[0])
    shelf.put("a", b"x")
    writer = sqlite3.connect(shelf.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert not shelf.put("b", b"y")
    assert "locked" in shelf.failure
    assert shelf.get("a") == b"x"  # reading goes on
    writer.execute("ROLLBACK")
    assert not shelf.put("b", b"y")  # rests for a while: other searches don't wait either
    now[0] += 6
    assert shelf.put("b", b"y")
    assert shelf.failure == ""
    writer.close()


def test_a_folder_that_can_t_be_made(tmp_path: Path, record: Record) -> None:
    (tmp_path / "file").write_text("not a folder")
    lists = CandidateLists(tmp_path / "file" / "below", record)
    assert not lists.put("a", b"x")
    assert lists.get("a") is None
    assert lists.failure
    lists.close()


def test_a_full_disk_fails_no_search(tmp_path: Path, record: Record) -> None:
    """The kernel refuses to let any file of this process grow, as a full disk does."""
    lists = CandidateLists(tmp_path / "full", record)
    assert lists.put("a", b"x")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
        assert not lists.put("b", bytes(200_000))
        assert lists.failure
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert lists.get("a") == b"x"
    lists.close()


def test_threads_and_processes_at_once(shelf: CandidateLists, record: Record) -> None:
    """Four threads on two connections to one file: every list that was kept is found."""
    shelves = [shelf, other(shelf, record)]
    kept: list[str] = []

    def work(number: int) -> None:
        for turn in range(25):
            key = f"{number}.{turn}"
            if shelves[number % 2].put(key, key.encode() * 500):
                kept.append(key)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept
    for key in kept:
        assert shelves[0].get(key) == shelves[1].get(key) == key.encode() * 500
    shelves[1].close()


def test_after_the_end_nothing_is_kept(shelf: CandidateLists) -> None:
    shelf.put("a", b"x")
    shelf.close()
    assert not shelf.put("b", b"y")
