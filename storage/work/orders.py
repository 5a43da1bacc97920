"""Orders in a database, and their leases: `core.ports.work.Orders`."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from core.errors import NotFoundError
from core.work import Job, JobState, Order, Priority, Tracked
from storage.databases import Database
from storage.lease_clock import LeaseClock
from storage.record.steady_clock import TimeSources
from storage.work.job_tables import (
    ASSETS,
    JOBS,
    MAX_CAUSE,
    ORDERS,
    finish,
    give,
    order_of,
    read_job,
    waiting_of,
    write_assets,
)

LEASE_S = 30.0


class StoredOrders:
    """`core.ports.work.Orders` in the database of jobs, for any number of
    processes. Thread-safe.
    """

    def __init__(
        self,
        database: Database,
        *,
        lease_s: float = LEASE_S,
        clock: TimeSources | None = None,
    ) -> None:
        self._database = database
        self._lease_s = lease_s
        self._clock = LeaseClock(database, clock)

    def lease(self, worker: str, room: Mapping[str, int]) -> tuple[Order, ...]:
        """Lease free orders to a worker; return them. Most calls find none, and see that without a
        lock.
        """
        wanted = {queue: count for queue, count in room.items() if count > 0}
        ready = self._database.run(lambda connection: self._ready(connection, wanted))
        if not ready:
            return ()
        holder = f"{worker}/{os.urandom(4).hex()}"

        def work(connection: sa.Connection) -> tuple[Order, ...]:
            return tuple(
                order_of(row, holder)
                for queue in ready
                for row in self._take(connection, queue, wanted[queue], holder)
            )

        return self._database.write(work)

    def renew(self, orders: Collection[Order]) -> None:
        """Prolong the leases that are not lost."""
        if not orders:
            return
        held = (
            ORDERS.c.id.in_([order.id for order in orders]),
            ORDERS.c.holder.in_({order.holder for order in orders}),
        )
        statement = sa.update(ORDERS).where(*held).values(self._clock.until(self._lease_s))
        self._database.run(lambda connection: connection.execute(statement))

    def release(self, order: Order, delay_s: float = 0.0) -> None:
        """Give an order back unchanged; it is free after `delay_s`."""
        values = {"holder": "", **self._clock.until(delay_s)}
        statement = sa.update(ORDERS).where(*_held(order)).values(values)
        self._database.run(lambda connection: connection.execute(statement))

    def release_all(self, worker: str) -> None:
        """Give back what is leased to a worker of this name."""
        theirs = ORDERS.c.holder.startswith(f"{worker}/", autoescape=True)
        statement = sa.update(ORDERS).where(theirs).values(holder="", **self._clock.until(0.0))
        self._database.run(lambda connection: connection.execute(statement))

    def mark(self, order: Order, number: int) -> None:
        """Count one more crash of an asset, if the lease is not lost."""
        asset = (ASSETS.c.job == order.job, ASSETS.c.number == number)
        marked = sa.update(ASSETS).where(*asset, sa.exists().where(*_held(order)))
        statement = marked.values(crashes=ASSETS.c.crashes + 1)
        self._database.run(lambda connection: connection.execute(statement))

    def record(self, order: Order, assets: Sequence[Tracked]) -> bool:
        """Record assets and order what follows; return False if the lease was lost."""

        def work(connection: sa.Connection) -> bool:
            job = _locked_job(connection, order)
            if job is not None:
                self._follow(connection, job, order, assets)
            return job is not None

        return self._database.write(work)

    def complete(self, order: Order, assets: Sequence[Tracked], delay_s: float = 0.0) -> bool:
        """Do what `record` does, and end the order or leave it for the next try."""

        def work(connection: sa.Connection) -> bool:
            job = _locked_job(connection, order)
            if job is None:
                return False
            if self._follow(connection, job, order, assets):
                again: dict[str, Any] = {"holder": "", "taken": 0, **self._clock.until(delay_s)}
                again["since"] = time.time() + delay_s
                connection.execute(sa.update(ORDERS).where(*_held(order)).values(again))
            else:
                connection.execute(sa.delete(ORDERS).where(*_held(order)))
            finish(connection, order.job)
            return True

        return self._database.write(work)

    def complete_reading(self, order: Order, trouble: str = "") -> bool:
        """Note that a job was read; return False if the lease was lost."""
        noted = {"trouble": trouble[:MAX_CAUSE]} if trouble else {}
        read = sa.update(JOBS).where(JOBS.c.id == order.job).values(read=True, **noted)

        def work(connection: sa.Connection) -> bool:
            if _locked_job(connection, order) is None:
                return False
            connection.execute(read)
            connection.execute(sa.delete(ORDERS).where(*_held(order)))
            finish(connection, order.job)
            return True

        return self._database.write(work)

    def oldest(self, queues: Collection[str]) -> dict[str, float]:
        """Return for each queue how many seconds its oldest free order has waited, 0.0 for none.
        The index of orders leads to it, so a long queue costs no more than a short one.
        """
        since = sa.case((ORDERS.c.since > 0, ORDERS.c.since), else_=JOBS.c.created)

        def age(connection: sa.Connection, queue: str) -> float:
            now = time.time()
            began = [now]
            for priority in Priority:
                of_queue = (ORDERS.c.queue == queue, ORDERS.c.priority == priority)
                query = self._free(since).where(*of_queue).order_by(ORDERS.c.id).limit(1)
                began += connection.execute(query).scalars()
            return now - min(began)

        def work(connection: sa.Connection) -> dict[str, float]:
            if not sa.inspect(connection).has_table(ORDERS.name):  # nobody has ordered anything
                return dict.fromkeys(queues, 0.0)
            return {queue: age(connection, queue) for queue in queues}

        return self._database.run(work)

    def complete_operation(
        self, order: Order, result: Mapping[str, Any], trouble: str = ""
    ) -> bool:
        """Record what an operation returned, or its `trouble`; return False if the lease was
        lost. One that was cancelled meanwhile stays cancelled.
        """
        ended = {
            "state": str(JobState.FAILED if trouble else JobState.FINISHED),
            "ended": time.time(),
            "trouble": trouble[:MAX_CAUSE],
            "result": orjson.dumps(result).decode(),
        }
        open_ = (str(JobState.RUNNING), str(JobState.PAUSED))
        running = (JOBS.c.id == order.job, JOBS.c.state.in_(open_))

        def work(connection: sa.Connection) -> bool:
            if _locked_job(connection, order) is None:
                return False
            connection.execute(sa.update(JOBS).where(*running).values(**ended))
            connection.execute(sa.delete(ORDERS).where(*_held(order)))
            return True

        return self._database.write(work)

    def _follow(
        self, connection: sa.Connection, job: Job, order: Order, assets: Sequence[Tracked]
    ) -> bool:
        """Record assets and order the stages that the chunk waits for; return whether this stage is
        one of them.
        """
        write_assets(connection, assets)
        stages = waiting_of(connection, order.job, order.chunk)
        after = [(stage, order.chunk) for stage in stages if stage != order.queue]
        give(self._database, connection, job, after, order.trace)
        return order.queue in stages

    def _ready(self, connection: sa.Connection, room: Mapping[str, int]) -> list[str]:
        """Return the queues that have a free order."""
        if not room:
            return []
        query = self._free(ORDERS.c.queue).where(ORDERS.c.queue.in_(room)).distinct()
        return list(connection.execute(query).scalars())

    def _take(self, connection: sa.Connection, queue: str, most: int, holder: str) -> Sequence[Any]:
        """Lease the first orders of a queue to a holder; return their rows from before that."""
        query = self._free(ORDERS).where(ORDERS.c.queue == queue)
        first = query.order_by(ORDERS.c.priority, ORDERS.c.id).limit(most)
        rows = connection.execute(first.with_for_update(of=ORDERS, skip_locked=True)).all()
        leased = {"holder": holder, "taken": ORDERS.c.taken + 1, **self._clock.until(self._lease_s)}
        taken = sa.update(ORDERS).where(ORDERS.c.id.in_([row.id for row in rows])).values(leased)
        if rows:
            connection.execute(taken)
        return rows

    def _free(self, *columns: Any) -> sa.Select[Any]:
        """Return the query for orders of running jobs without a lease, or with an ended lease."""
        return (
            sa.select(*columns)
            .join(JOBS, JOBS.c.id == ORDERS.c.job)
            .where(JOBS.c.state == str(JobState.RUNNING))
            .where(self._clock.is_free(ORDERS))
        )


def _locked_job(connection: sa.Connection, order: Order) -> Job | None:
    """Lock and return the order's job, and lock the order; return None if the lease was lost."""
    try:
        job = read_job(connection, order.job, locked=True)
    except NotFoundError:  # deleted meanwhile
        return None
    row = sa.select(ORDERS.c.id).where(*_held(order)).with_for_update()
    return job if connection.execute(row).one_or_none() else None


def _held(order: Order) -> tuple[Any, ...]:
    return ORDERS.c.id == order.id, ORDERS.c.holder == order.holder
