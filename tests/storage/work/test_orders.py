"""Orders and their leases, on SQLite and on Postgres."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from core import tracing
from core.tracing import Sink, Trace
from core.work import AssetState, FoundAsset, Job, JobState, Order, Stage, Tracked
from storage.databases import Database, open_database
from storage.record.steady_clock import TimeSources
from storage.work.jobs import StoredJobs
from storage.work.orders import StoredOrders

ALL = {"read": 9, "decode": 9, "describe": 9, "apply": 9}


class Clock:
    """A machine's time since its start, and its time of day."""

    def __init__(self) -> None:
        self.seconds, self.day, self.start = 1_000.0, 0.0, "first"

    def sources(self) -> TimeSources:
        return TimeSources(
            lambda: int(self.day * 1e9), lambda: int(self.seconds * 1e9), lambda: self.start
        )


@pytest.fixture
def jobs(database: Database) -> StoredJobs:
    return StoredJobs(database)


@pytest.fixture
def orders(database: Database, jobs: StoredJobs) -> StoredOrders:
    return StoredOrders(database, lease_s=600.0)


def job(jobs: StoredJobs, name: str = "a", chunks: int = 1, priority: int = 10) -> Job:
    """A job that was read, with chunks of two assets."""
    made = Job(name, {}, priority, JobState.RUNNING, 1.0, read=True)
    jobs.create(made)
    for chunk in range(chunks):
        jobs.add(name, [FoundAsset(f"/{chunk}/{n}.jpg", "", 1) for n in range(2)])
    return made


def at(assets: tuple[Tracked, ...], stage: Stage) -> list[Tracked]:
    """The assets, gone on to a stage."""
    state = AssetState.DONE if stage is Stage.DONE else AssetState.WAITING
    return [replace(asset, stage=stage, state=state) for asset in assets]


def end_leases(database: Database) -> None:
    database.run(lambda c: c.exec_driver_sql("UPDATE dateline_orders SET free_at = 0"))


def test_an_order_is_one_worker_s_at_a_time(jobs: StoredJobs, orders: StoredOrders) -> None:
    job(jobs, chunks=3)
    first = orders.lease("one", {"decode": 2, "apply": 2})
    assert [(order.job, order.chunk, order.queue) for order in first] == [
        ("a", 0, "decode"),
        ("a", 1, "decode"),
    ]
    assert [order.chunk for order in orders.lease("two", ALL)] == [2]
    assert orders.lease("two", ALL) == ()
    assert orders.lease("two", {}) == ()


def test_an_order_goes_on_with_the_trace_of_the_one_before(
    jobs: StoredJobs, orders: StoredOrders
) -> None:
    tracing.send_to(Sink(lambda span: None))
    try:
        with Trace("order"):
            place = tracing.header()
            job(jobs)
    finally:
        tracing.send_to(None)
    (decode,) = orders.lease("one", ALL)
    orders.complete(decode, at(jobs.of_chunk("a", 0), Stage.DESCRIBE))
    (describe,) = orders.lease("another process", ALL)
    assert (decode.trace, describe.trace) == (place, place)


def test_a_table_of_an_earlier_version_gets_the_column_of_traces(folder: Path) -> None:
    database = open_database(folder / "work.sqlite")
    job(StoredJobs(database))
    database.run(lambda c: c.exec_driver_sql("ALTER TABLE dateline_orders DROP COLUMN trace"))
    StoredJobs(database)
    (order,) = StoredOrders(database).lease("one", ALL)
    assert order.trace == ""
    database.close()


def test_lower_numbers_go_first_then_the_oldest(jobs: StoredJobs, orders: StoredOrders) -> None:
    job(jobs, "old", 3)
    job(jobs, "new", 2, priority=1)
    taken = [orders.lease("one", {"decode": 1})[0] for _ in range(5)]
    assert [(order.job, order.chunk) for order in taken] == [
        ("new", 0),
        ("new", 1),
        ("old", 0),
        ("old", 1),
        ("old", 2),
    ]


def test_an_order_s_end_and_what_follows_are_one_transaction(
    jobs: StoredJobs, orders: StoredOrders
) -> None:
    job(jobs)
    (order,) = orders.lease("one", ALL)
    assert orders.complete(order, at(jobs.of_chunk("a", 0), Stage.APPLY))
    assert not orders.complete(order, at(jobs.of_chunk("a", 0), Stage.DONE))
    (following,) = orders.lease("one", ALL)
    assert (following.stage, following.chunk, following.taken) == (Stage.APPLY, 0, 1)
    assert jobs.job("a").state is JobState.RUNNING
    assert orders.complete(following, at(jobs.of_chunk("a", 0), Stage.DONE))
    assert jobs.job("a").state is JobState.FINISHED
    assert orders.lease("one", ALL) == ()


def test_what_failed_is_tried_again_later_and_the_rest_goes_on(
    jobs: StoredJobs, orders: StoredOrders, database: Database
) -> None:
    job(jobs)
    (order,) = orders.lease("one", ALL)
    failed, fine = jobs.of_chunk("a", 0)
    assert orders.complete(order, [replace(failed, attempts=1), *at((fine,), Stage.APPLY)], 600.0)
    (following,) = orders.lease("one", ALL)
    assert following.stage is Stage.APPLY
    end_leases(database)
    again = orders.lease("one", {"decode": 1})
    assert [(each.chunk, each.taken) for each in again] == [(0, 1)]


def test_more_that_comes_to_a_stage_under_way_is_not_lost(
    jobs: StoredJobs, orders: StoredOrders
) -> None:
    job(jobs)
    (decode,) = orders.lease("one", ALL)
    failed, fine = jobs.of_chunk("a", 0)
    assert orders.complete(decode, [replace(failed, attempts=1), *at((fine,), Stage.APPLY)])
    apply, again = sorted(orders.lease("one", ALL), key=lambda order: order.queue)
    assert orders.complete(again, at((failed,), Stage.APPLY))
    assert orders.lease("two", ALL) == ()  # its order is there, and under way
    assert orders.complete(apply, at((fine,), Stage.DONE))
    (rest,) = orders.lease("two", ALL)
    assert rest.stage is Stage.APPLY
    assert orders.complete(rest, at((failed,), Stage.DONE))
    assert jobs.job("a").state is JobState.FINISHED


def test_who_lost_the_lease_changes_nothing(
    jobs: StoredJobs, orders: StoredOrders, database: Database
) -> None:
    job(jobs)
    (late,) = orders.lease("one", ALL)
    end_leases(database)
    (order,) = orders.lease("one", ALL)
    assert (order.id, order.taken) == (late.id, 2)
    done = at(jobs.of_chunk("a", 0), Stage.DONE)
    orders.mark(late, 0)
    orders.renew([late])
    orders.release(late)
    assert not orders.record(late, done)
    assert not orders.complete(late, done)
    assert orders.lease("two", ALL) == ()
    assert {asset.stage for asset in jobs.of_chunk("a", 0)} == {Stage.DECODE}
    assert {asset.crashes for asset in jobs.of_chunk("a", 0)} == {0}
    orders.mark(order, 0)
    assert [asset.crashes for asset in jobs.of_chunk("a", 0)] == [1, 0]
    assert orders.record(order, done[:1])
    assert orders.complete(order, done[1:])
    assert jobs.job("a").state is JobState.FINISHED


def test_a_worker_s_orders_are_given_back_and_no_other_s(
    jobs: StoredJobs, orders: StoredOrders
) -> None:
    job(jobs, chunks=2)
    (mine,) = orders.lease("host_-1", {"decode": 1})
    (other,) = orders.lease("hosts-1", {"decode": 1})
    orders.release_all("host_-1")
    assert [order.id for order in orders.lease("two", ALL)] == [mine.id]
    assert orders.complete(other, at(jobs.of_chunk("a", 1), Stage.DONE))


def test_orders_of_a_halted_job_wait(jobs: StoredJobs, orders: StoredOrders) -> None:
    job(jobs, chunks=2)
    jobs.create(Job("unread", {}, 1, JobState.RUNNING, 1.0))
    for state in (JobState.PAUSED, JobState.CANCELED):
        for name in ("a", "unread"):
            jobs.change(name, state=state)
        assert orders.lease("one", ALL) == ()
    for name in ("a", "unread"):
        jobs.change(name, state=JobState.RUNNING)
    assert [order.queue for order in orders.lease("one", ALL)].count("decode") == 2
    assert jobs.delete("a", 10.0**12) is False


def test_reading_ends_a_job_of_which_nothing_waits(jobs: StoredJobs, orders: StoredOrders) -> None:
    jobs.create(Job("a", {}, 1, JobState.RUNNING, 1.0))
    (reading,) = orders.lease("one", ALL)
    jobs.add("a", [FoundAsset("/a", "", 1)], {"/a": "torn"})
    assert orders.complete_reading(reading, "not all was read")
    assert not orders.complete_reading(reading)
    found = jobs.job("a")
    assert (found.state, found.read) == (JobState.FINISHED, True)
    assert found.trouble == "not all was read"


def test_a_finished_job_of_which_something_waits_again_runs_again(
    jobs: StoredJobs, orders: StoredOrders
) -> None:
    job(jobs)
    (order,) = orders.lease("one", ALL)
    orders.complete(order, at(jobs.of_chunk("a", 0), Stage.DONE))
    jobs.update(at(jobs.of_chunk("a", 0)[:1], Stage.DESCRIBE))
    found = jobs.job("a")
    assert (found.state, found.ended) == (JobState.RUNNING, 0.0)
    assert [each.stage for each in orders.lease("one", ALL)] == [Stage.DESCRIBE]


def test_a_jump_of_the_host_s_clock_ends_no_lease_and_a_restart_ends_all(folder: Path) -> None:
    database, clock = open_database(folder / "work.sqlite"), Clock()
    jobs = StoredJobs(database)
    orders = StoredOrders(database, lease_s=30.0, clock=clock.sources())
    job(jobs)
    (order,) = orders.lease("one", ALL)
    for day in (10.0**9, 0.0, -(10.0**6)):
        clock.day = day
        assert orders.lease("two", ALL) == ()
    clock.seconds += 29.0
    orders.renew([order])
    clock.seconds += 29.0
    assert orders.lease("two", ALL) == ()
    clock.seconds += 2.0
    (order,) = orders.lease("two", ALL)
    assert order.taken == 2
    clock.seconds, clock.start = 5.0, "second"
    assert [each.taken for each in orders.lease("three", ALL)] == [3]
    database.close()


def test_the_age_of_the_oldest_free_order_is_told_by_queue(
    jobs: StoredJobs, orders: StoredOrders, database: Database
) -> None:
    queues = ("decode", "apply")
    job(jobs, chunks=2)
    database.run(lambda c: c.exec_driver_sql("UPDATE dateline_orders SET since = since - 100"))
    job(jobs, "b")
    ages = orders.oldest(queues)
    assert 100 <= ages["decode"] < 160
    assert ages["apply"] == 0
    leased = orders.lease("one", {"decode": 2})
    assert orders.oldest(queues)["decode"] < 60  # of the other job
    orders.release(leased[0], 3600)
    assert orders.oldest(queues)["decode"] < 60
    orders.release(leased[1])
    assert orders.oldest(queues)["decode"] >= 100
    jobs.change("a", state=JobState.PAUSED)
    assert orders.oldest(queues)["decode"] < 60


def test_an_order_of_an_earlier_version_is_as_old_as_its_job(
    jobs: StoredJobs, orders: StoredOrders, database: Database
) -> None:
    job(jobs)
    database.run(lambda c: c.exec_driver_sql("UPDATE dateline_orders SET since = 0"))
    assert orders.oldest(["decode"])["decode"] > 10**9


def test_a_database_without_orders_has_no_age(folder: Path) -> None:
    database = open_database(folder / "empty.sqlite")
    assert StoredOrders(database).oldest(["decode"]) == {"decode": 0.0}
    database.close()


def finish_all(orders: StoredOrders, jobs: StoredJobs, name: str, done: list[Order]) -> None:
    """A worker that takes what there is until the job is finished."""
    while jobs.job("a").state is JobState.RUNNING:
        for order in orders.lease(name, {"decode": 2, "apply": 1}):
            stage = Stage.APPLY if order.stage is Stage.DECODE else Stage.DONE
            assets = jobs.of_chunk("a", order.chunk)
            mine = tuple(asset for asset in assets if asset.stage is order.stage)
            assert orders.complete(order, at(mine, stage))
            done.append(order)


def test_workers_at_once_carry_each_order_out_once_and_the_job_ends(
    jobs: StoredJobs, orders: StoredOrders
) -> None:
    job(jobs, chunks=12)
    done: list[Order] = []
    works: list[Callable[[], None]] = [
        lambda name=f"worker-{n}": finish_all(orders, jobs, name, done)  # type: ignore[misc]
        for n in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(work) for work in works]:
            each.result()
    assert len(done) == len({(order.chunk, order.queue) for order in done}) == 24
    assert jobs.counts("a").standing == {(Stage.DONE, AssetState.DONE): 24}


def test_chunks_that_end_at_once_end_their_job(jobs: StoredJobs, orders: StoredOrders) -> None:
    """Whoever ends last sees that nothing waits, also where two end at the same moment."""
    for number in range(5):
        name = f"job-{number}"
        job(jobs, name, chunks=2)
        pair = orders.lease("one", {"decode": 2})
        together = threading.Barrier(2)

        def end(order: Order, together: threading.Barrier = together) -> bool:
            done = at(jobs.of_chunk(order.job, order.chunk), Stage.DONE)
            together.wait(240)
            return orders.complete(order, done)

        with ThreadPoolExecutor(2) as pool:
            assert all(pool.map(end, pair))
        assert jobs.job(name).state is JobState.FINISHED
