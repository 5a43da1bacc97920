"""The worker of a process: what it leases it carries out once, by priority, and what a killed one
was at goes to the next.
"""

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
from dataclasses import replace
from pathlib import Path

import pytest

from core import tracing
from core.errors import StorageError
from core.tracing import Finished, Sink, Trace
from core.work import AssetState, FoundAsset, Job, JobState, Order
from indexing.work.queues import ProcessName, QueueSettings, QueueWorker
from storage.databases import Database, open_database
from storage.work.jobs import StoredJobs
from storage.work.orders import StoredOrders

PATIENCE_S = 240.0
SHORT_S = 1.0  # of a lease that the test waits for
ROOT = Path(__file__).resolve().parents[3]


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)


@pytest.fixture
def sqlite(folder: Path) -> Iterator[Database]:
    database = open_database(folder / "work.sqlite")
    yield database
    database.close()


def ordered(database: Database, name: str = "a", chunks: int = 1, priority: int = 10) -> None:
    """A job that was read, with chunks of one asset."""
    jobs = StoredJobs(database)
    jobs.create(Job(name, {}, priority, JobState.RUNNING, 0.0, read=True))
    for chunk in range(chunks):
        jobs.add(name, [FoundAsset(f"/{chunk}.jpg", "", 1)])


def dropped(database: Database, order: Order) -> bool:
    """Ends an order whose assets nobody needs any more."""
    found = StoredJobs(database).of_chunk(order.job, order.chunk)
    over = [replace(asset, state=AssetState.DROPPED) for asset in found]
    return StoredOrders(database).complete(order, over)


@contextmanager
def working(
    database: Database,
    run: Callable[[Order], object],
    *,
    read: Callable[[Order], None] = lambda _: None,
    process: str = "here",
    lease_s: float = 600.0,
    renew_s: float = 5.0,
) -> Iterator[QueueWorker]:
    worker = QueueWorker(
        StoredOrders(database, lease_s=lease_s),
        process,
        lambda order, _: run(order),
        lambda order, _: read(order),
        QueueSettings({"decode": 1, "apply": 1, "read": 1}, poll_s=0.02),
        renew_s=renew_s,
    )
    try:
        yield worker
    finally:
        worker.close(within_s=5)


def test_each_order_is_carried_out_once(database: Database) -> None:
    ordered(database, chunks=5)
    done: list[Order] = []

    def run(order: Order) -> None:
        assert dropped(database, order)
        done.append(order)

    with working(database, run):
        wait_until(lambda: len(done) == 5, "five orders")
        ordered(database, "b")
        wait_until(lambda: len(done) == 6, "one that came later")
    assert len({(order.job, order.chunk) for order in done}) == 6


def test_an_order_goes_on_with_the_trace_in_which_it_was_made(sqlite: Database) -> None:
    spans: list[Finished] = []
    tracing.send_to(Sink(spans.append))
    try:
        with Trace("order"):
            ordered(sqlite)
        with working(sqlite, lambda order: dropped(sqlite, order)):
            wait_until(lambda: len(spans) == 2, "the order's span")
    finally:
        tracing.send_to(None)
    first, second = spans
    assert (second.trace, second.parent) == (first.trace, first.id)
    assert (second.name, second.kind) == ("decode", "consumer")


def test_lower_numbers_go_first(sqlite: Database) -> None:
    ordered(sqlite, "old", 4)
    ordered(sqlite, "new", 2, priority=1)
    done: list[str] = []

    def run(order: Order) -> None:
        dropped(sqlite, order)
        done.append(order.job)

    with working(sqlite, run):
        wait_until(lambda: len(done) == 6, "six orders")
    assert done == ["new", "new", "old", "old", "old", "old"]


def test_no_more_orders_of_a_queue_are_under_way_than_there_is_room_for(sqlite: Database) -> None:
    ordered(sqlite, chunks=3)
    StoredJobs(sqlite).create(Job("unread", {}, 10, JobState.RUNNING, 0.0))
    begun, reading, let_go = [], threading.Event(), threading.Event()

    def run(order: Order) -> None:
        begun.append(order.chunk)
        let_go.wait(PATIENCE_S)
        dropped(sqlite, order)

    with working(sqlite, run, read=lambda _: reading.set()) as worker:
        wait_until(reading.is_set, "the other queue's order")
        wait_until(lambda: bool(begun), "an order")
        assert begun == [0]
        assert [order.chunk for order in worker.working if order.queue == "decode"] == [0]
        let_go.set()
        wait_until(lambda: begun == [0, 1, 2], "the others")


def test_an_order_that_fails_unforeseen_stays(sqlite: Database) -> None:
    ordered(sqlite)
    tries: list[Order] = []

    def fail_once(order: Order) -> None:
        tries.append(order)
        if len(tries) == 1:
            raise ZeroDivisionError
        dropped(sqlite, order)

    with working(sqlite, fail_once):
        wait_until(lambda: len(tries) == 2, "the same order again")
    assert tries[0].id == tries[1].id


def test_a_lease_is_kept_for_as_long_as_its_work_takes(sqlite: Database) -> None:
    ordered(sqlite)
    begun, let_go = threading.Event(), threading.Event()
    kept: list[bool] = []

    def hold(order: Order) -> None:
        begun.set()
        let_go.wait(PATIENCE_S)
        kept.append(dropped(sqlite, order))

    def end_of_lease() -> float:
        query = "SELECT free_at FROM dateline_orders"
        return float(sqlite.run(lambda c: c.exec_driver_sql(query).scalar_one()))

    with working(sqlite, hold, renew_s=0.01):
        assert begun.wait(PATIENCE_S)
        before = end_of_lease()
        wait_until(lambda: end_of_lease() > before, "a renewal")
        let_go.set()
        wait_until(lambda: bool(kept), "the end of the work")
    assert kept == [True]


VICTIM = """
import sys, time
from pathlib import Path
from indexing.work.queues import QueueSettings, QueueWorker
from indexing.work.queues import ProcessName
from storage.databases import open_database
from storage.work.orders import StoredOrders

folder, lease_s = Path(sys.argv[1]), float(sys.argv[2])
name = ProcessName(folder / "workers")

def run(order, stop):
    print(name.name, flush=True)
    time.sleep(600)

orders = StoredOrders(open_database(folder / "work.sqlite"), lease_s=lease_s)
QueueWorker(orders, name.name, run, run, QueueSettings({"decode": 1}, poll_s=0.02), renew_s=0.1)
time.sleep(600)
"""


@contextmanager
def victim(folder: Path, lease_s: float) -> Iterator[str]:
    """A worker that has an order and is killed at the end; its name."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", VICTIM, str(folder), str(lease_s)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    yield process.stdout.readline().decode().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_killed_worker_s_order_goes_to_the_next_of_its_name_at_once(
    folder: Path, sqlite: Database
) -> None:
    ordered(sqlite)
    with victim(folder, 10_000.0) as theirs:
        assert StoredOrders(sqlite).lease("here", {"decode": 1}) == ()
    mine = ProcessName(folder / "workers")
    assert mine.name == theirs
    done: list[Order] = []
    with working(sqlite, done.append, process=mine.name):
        wait_until(lambda: bool(done), "the order of the killed process")
    mine.release()


def test_a_killed_worker_s_order_goes_to_another_when_its_lease_ends(
    folder: Path, sqlite: Database
) -> None:
    ordered(sqlite)
    done: list[Order] = []
    with victim(folder, SHORT_S):
        pass
    with working(sqlite, done.append, process="elsewhere"):
        wait_until(lambda: bool(done), "the order of the killed process")
    assert done[0].taken >= 2


def test_an_order_left_at_a_polite_end_goes_to_another_at_once(sqlite: Database) -> None:
    ordered(sqlite)
    begun, let_go = threading.Event(), threading.Event()
    late: list[bool] = []

    def ignore_the_stop(order: Order) -> None:
        begun.set()
        let_go.wait(PATIENCE_S)
        late.append(dropped(sqlite, order))

    done: list[Order] = []
    with working(sqlite, ignore_the_stop, process="stopped") as worker:
        assert begun.wait(PATIENCE_S)
        worker.close(within_s=0)
        with working(sqlite, done.append, process="other"):
            wait_until(lambda: bool(done), "the order of the worker that was stopped")
        let_go.set()
        wait_until(lambda: bool(late), "its late end")
    assert late == [False]


def test_the_database_may_be_away_for_a_while(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered(sqlite)
    lease, failures = StoredOrders.lease, [StorageError("away")]

    def failing(self: StoredOrders, *arguments: object) -> tuple[Order, ...]:
        if failures:
            raise failures.pop()
        return lease(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(StoredOrders, "lease", failing)
    done: list[Order] = []
    with working(sqlite, done.append):
        wait_until(lambda: bool(done), "an order")
    assert not failures


def test_names_are_held_by_one_process_each(folder: Path) -> None:
    first, second = ProcessName(folder), ProcessName(folder)
    assert first.name != second.name
    second.release()
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
    copy = folder / "copy"
    shutil.copytree(one, copy)
    again, copied = ProcessName(one), ProcessName(copy)
    assert again.name == names[0].name  # so it goes on with the orders of the one before
    assert copied.name not in {name.name for name in names}
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
