"""Orders in DBOS: carried out once, by priority, and by the next process where one was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.work import Job, JobState, Stage
from indexing.work.order_book import OrderBook
from indexing.work.queues import QueueSettings, QueueWorker
from indexing.work.stages.chunks import Order
from indexing.work.workers import ProcessName, Sweeper
from storage.databases import Database, open_database
from storage.work.beats import StoredBeats
from tests.postgres_server import Server

PATIENCE_S = 240.0
ROOT = Path(__file__).resolve().parents[3]


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)


def job(name: str, priority: int = 10) -> Job:
    return Job(name, {}, priority, JobState.RUNNING, 0.0)


@pytest.fixture
def sqlite(folder: Path) -> Iterator[Database]:
    database = open_database(folder / "work.sqlite")
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        found = open_database(folder / "work.sqlite")
    else:
        server: Server = request.getfixturevalue("postgres")
        name = f"work_{os.urandom(4).hex()}"
        server.run(f"CREATE DATABASE {name}")
        found = open_database(server.url(name))
    yield found
    found.close()


@contextmanager
def working(
    database: Database,
    run: Callable[[Order], None],
    *,
    read: Callable[[str], bool] = lambda _: True,
    again: Callable[[str, str], None] = lambda _, __: None,
    process: str = "here",
) -> Iterator[QueueWorker]:
    worker = QueueWorker(
        database.engine,
        process,
        lambda order, _: run(order),
        lambda job_id, _: read(job_id),
        again,
        QueueSettings({"decode": 1, "apply": 1, "read": 1}, poll_s=0.02),
    )
    try:
        yield worker
    finally:
        worker.close(within_s=5)


def test_an_order_is_carried_out_once_however_often_it_is_given(database: Database) -> None:
    book = OrderBook(database.engine)
    done: list[Order] = []
    with working(database, done.append):
        for _ in range(3):
            for chunk in range(5):
                book.give(job("a"), chunk, Stage.DECODE, "0.0")
        wait_until(lambda: len(done) >= 5, "five orders")
        book.give(job("a"), 0, Stage.DECODE, "0.0")
        book.give(job("a"), 0, Stage.APPLY, "0.01")
        wait_until(lambda: len(done) >= 6, "the next stage")
    assert len(done) == 6
    assert {order.chunk for order in done} == set(range(5))
    book.close()


def test_lower_numbers_go_first(sqlite: Database) -> None:
    book = OrderBook(sqlite.engine)
    for chunk in range(4):
        book.give(job("old", 10), chunk, Stage.DECODE, "0.0")
    for chunk in range(2):
        book.give(job("new", 1), chunk, Stage.DECODE, "0.0")
    done: list[str] = []
    with working(sqlite, lambda order: done.append(order.job)):
        wait_until(lambda: len(done) == 6, "six orders")
    assert done == ["new", "new", "old", "old", "old", "old"]
    book.close()


def test_what_is_taken_back_is_not_carried_out(database: Database) -> None:
    book = OrderBook(database.engine)
    for chunk in range(3):
        book.give(job("a"), chunk, Stage.DECODE, "0.0")
    book.give(job("a"), 3, Stage.DECODE, "0.0r", delay_s=0.5)
    book.give(job("b"), 0, Stage.DECODE, "0.0")
    book.take_back("a")
    done: list[str] = []
    with working(database, lambda order: done.append(order.job)):
        wait_until(lambda: bool(done), "the other job's order")
        book.give(job("a"), 0, Stage.DECODE, "1.0")
        wait_until(lambda: len(done) == 2, "the order of the next epoch")
        time.sleep(0.7)  # longer than the delay: what must not happen has had its chance
    assert done == ["b", "a"]
    book.close()


def test_an_order_that_fails_unforeseen_stays(sqlite: Database) -> None:
    book = OrderBook(sqlite.engine)
    book.give(job("a"), 0, Stage.DECODE, "0.0")
    tries: list[int] = []

    def fail(order: Order) -> None:
        tries.append(order.chunk)
        raise ZeroDivisionError

    with working(sqlite, fail):
        wait_until(lambda: bool(tries), "a try")
    done: list[Order] = []
    with working(sqlite, done.append):
        wait_until(lambda: bool(done), "the same order again")
    assert done == [Order("a", 0, Stage.DECODE, "0.0")]
    book.close()


def test_reading_that_is_not_done_is_ordered_again(sqlite: Database) -> None:
    book = OrderBook(sqlite.engine)
    trails: list[str] = []
    answers = iter([False, False, True])

    def again(job_id: str, trail: str) -> None:
        trails.append(trail)
        book.give_reading(job(job_id), trail)

    read: list[str] = []
    book.give_reading(job("a"), "0")
    with working(
        sqlite,
        lambda _: None,
        read=lambda job_id: read.append(job_id) is None and next(answers),
        again=again,
    ):
        wait_until(lambda: len(read) == 3, "three readings")
    assert trails == ["0r", "0rr"]
    book.close()


VICTIM = """
import sys, time
from pathlib import Path
from indexing.work.queues import QueueSettings, QueueWorker
from indexing.work.workers import ProcessName
from storage.databases import open_database

folder = Path(sys.argv[1])
database = open_database(folder / "work.sqlite")
name = ProcessName(folder / "workers")

def run(order, stop):
    print(name.name, flush=True)
    time.sleep(600)

QueueWorker(database.engine, name.name, run, lambda *_: True, lambda *_: None,
            QueueSettings({"decode": 1}, poll_s=0.02))
time.sleep(600)
"""


def test_a_killed_process_s_order_goes_to_another_one(folder: Path, sqlite: Database) -> None:
    book = OrderBook(sqlite.engine)
    book.give(job("a"), 0, Stage.DECODE, "0.0")
    mine = ProcessName(folder / "workers")  # held first, so that the victim has another name
    victim = subprocess.Popen(
        [sys.executable, "-P", "-c", VICTIM, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert victim.stdout is not None
    theirs = victim.stdout.readline().decode().strip()
    assert theirs != mine.name
    done: list[Order] = []
    with working(sqlite, done.append, process=mine.name) as worker:
        healed: list[int] = []
        sweeper = Sweeper(
            mine,
            book,
            StoredBeats(sqlite),
            lambda: worker.working,
            lambda: healed.append(len(book.left_by(theirs))),
        )
        sweeper.sweep()
        assert book.left_by(theirs) == ["a/0/0.0"]  # alive: its order is its own
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        victim.stdout.close()
        sweeper.sweep()
        wait_until(lambda: bool(done), "the order of the killed process")
        assert healed == [1, 0]  # at the start, and after its order was given again
        sweeper.close()
    mine.release()
    book.close()


def test_orders_of_a_silent_host_are_given_again(folder: Path, sqlite: Database) -> None:
    book = OrderBook(sqlite.engine)
    begun, let_go = threading.Event(), threading.Event()
    book.give(job("a"), 0, Stage.DECODE, "0.0")

    def hang(_: Order) -> None:
        begun.set()
        let_go.wait(PATIENCE_S)

    with working(sqlite, hang, process="elsewhere-0"):
        assert begun.wait(PATIENCE_S)
        assert book.left_by("elsewhere-0") == ["a/0/0.0"]
        beats = StoredBeats(sqlite)
        beats.beat("elsewhere-0")
        mine = ProcessName(folder / "workers")
        sweeper = Sweeper(mine, book, beats, set, lambda: None)
        sweeper.sweep()
        assert book.left_by("elsewhere-0") == ["a/0/0.0"]
        sqlite.run(lambda c: c.exec_driver_sql("UPDATE dateline_workers SET seen = seen - 100"))
        sweeper.sweep()
        assert beats.silent(0) == (mine.name,)
        let_go.set()
        sweeper.close()
    mine.release()
    book.close()


def test_an_order_left_at_a_polite_end_goes_to_another_folder(
    folder: Path, sqlite: Database
) -> None:
    """The folder of the process that was stopped need not come back."""
    book, beats = OrderBook(sqlite.engine), StoredBeats(sqlite)
    begun, let_go = threading.Event(), threading.Event()
    book.give(job("a"), 0, Stage.DECODE, "0.0")

    def ignore_the_stop(_: Order) -> None:
        begun.set()
        let_go.wait(PATIENCE_S)

    stopped, other = ProcessName(folder / "one"), ProcessName(folder / "other")
    with working(sqlite, ignore_the_stop, process=stopped.name) as worker:
        assert begun.wait(PATIENCE_S)
        sweeper = Sweeper(stopped, book, beats, lambda: worker.working, lambda: None)
        worker.close(within_s=0)
        sweeper.close()
        let_go.set()
    stopped.release()
    done: list[Order] = []
    with working(sqlite, done.append, process=other.name) as worker:
        sweeper = Sweeper(other, book, beats, lambda: worker.working, lambda: None)
        sweeper.sweep()
        assert book.left_by(stopped.name) == ["a/0/0.0"]  # it may be at its end yet
        sqlite.run(lambda c: c.exec_driver_sql("UPDATE dateline_workers SET seen = seen - 100"))
        sweeper.sweep()
        wait_until(lambda: bool(done), "the order of the process that was stopped")
        wait_until(lambda: not book.left_by(other.name), "its end")
    sweeper.close()
    assert beats.silent(-PATIENCE_S) == ()  # who left nothing is gone
    other.release()
    book.close()


def test_an_order_whose_end_was_not_written_is_noticed(folder: Path, sqlite: Database) -> None:
    """Twice looked at and nobody at work on it: then it is given again."""
    book = OrderBook(sqlite.engine)
    begun, let_go = threading.Event(), threading.Event()
    calls: list[Order] = []

    def run(order: Order) -> None:
        calls.append(order)
        if len(calls) == 1:
            begun.set()
            let_go.wait(PATIENCE_S)

    mine = ProcessName(folder / "workers")
    book.give(job("a"), 0, Stage.DECODE, "0.0")
    with working(sqlite, run, process=mine.name) as worker:
        assert begun.wait(PATIENCE_S)
        beats = StoredBeats(sqlite)
        at_work = Sweeper(mine, book, beats, lambda: worker.working, lambda: None)
        for _ in range(3):
            at_work.sweep()
        assert book.left_by(mine.name) == ["a/0/0.0"]
        at_work.close()
        forgetful = Sweeper(mine, book, beats, set, lambda: None)
        forgetful.sweep()
        assert book.left_by(mine.name) == ["a/0/0.0"]
        forgetful.sweep()
        assert book.left_by(mine.name) == []
        let_go.set()
        wait_until(lambda: len(calls) == 2, "the order again")
        forgetful.close()
    mine.release()
    book.close()


def test_names_are_held_by_one_process_each(folder: Path) -> None:
    first, second = ProcessName(folder), ProcessName(folder)
    assert first.name != second.name
    assert list(first.dead_here()) == []
    second.release()
    assert list(first.dead_here()) == [second.name]
    third = ProcessName(folder)
    assert third.name == second.name
    for name in (first, third):
        name.release()


def test_two_folders_of_a_host_share_no_name(folder: Path) -> None:
    """They may share a database of orders: one name would be one process there."""
    one, other = folder / "one", folder / "other"
    with contextlib.ExitStack() as held:
        names = [ProcessName(place) for place in (one, one, other, other)]
        for name in names:
            held.callback(name.release)
        assert len({name.name for name in names}) == 4
        assert set(names[0].dead_here()) == set()
    copy = folder / "copy"
    shutil.copytree(one, copy)
    again, copied = ProcessName(one), ProcessName(copy)
    assert again.name == names[0].name  # so it goes on with the orders of the one before
    assert copied.name not in {name.name for name in names}
    assert set(copied.dead_here()) == {copied.name.removesuffix("0") + "1"}
    again.release()
    copied.release()


def test_names_are_long_enough_for_many_hosts_and_short_enough_for_the_table(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "h" * 400)
    name = ProcessName(folder)
    assert len(name.name) <= 200
    name.release()


def test_processes_that_begin_together_agree_on_the_folder_s_mark(folder: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        names = list(pool.map(lambda _: ProcessName(folder), range(16)))
    assert len({name.name for name in names}) == 16
    assert len({name.name.rpartition("-")[0] for name in names}) == 1
    for name in names:
        name.release()


def test_what_was_begun_and_has_not_ended_is_under_way(database: Database) -> None:
    """Also where nobody works on it any more; not what waits, or waits for later."""
    book = OrderBook(database.engine)
    begun, end = threading.Event(), threading.Event()

    def run(order: Order) -> None:
        if order.chunk == 1:
            begun.set()
            end.wait(PATIENCE_S)
            raise ZeroDivisionError

    book.give_reading(job("a"), "0")
    book.give(job("b"), 0, Stage.DECODE, "0.0")
    book.take_back("b")
    with working(database, run):
        book.give(job("a"), 0, Stage.DECODE, "0.0")
        book.give(job("a"), 1, Stage.DECODE, "0.0")
        wait_until(begun.is_set, "the second order")
        book.give(job("a"), 2, Stage.DECODE, "0.0")
        book.give(job("a"), 3, Stage.DECODE, "0.0r", delay_s=60.0)
        wait_until(lambda: list(book.under_way("a")) == [(1, "0.0")], "the end of the first order")
        assert list(book.under_way("b")) == []
        end.set()
    assert (1, "0.0") in book.under_way("a")
    book.give_again(book.left_by("here"))
    assert list(book.under_way("a")) == []
    book.close()
