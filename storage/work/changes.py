"""Parts of transactions that jobs and orders share.

Every transaction that writes assets or orders of a job first locks the job's row. So only one
transaction at a time compares what waits with what is ordered, and no order is lost between two.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from core.errors import NotFoundError
from core.work import AssetState, Job, JobState, Tracked
from storage.databases import Database
from storage.work.job_tables import ASSETS, JOBS, ORDERS, changed_row, job_of, order_row

_WAITING = ASSETS.c.state == str(AssetState.WAITING)


def read_job(connection: sa.Connection, job_id: str, *, locked: bool = False) -> Job:
    """Return the job. With `locked`, nobody else writes its assets or orders until the end of the
    transaction. Raises NotFoundError.
    """
    query = sa.select(JOBS).where(JOBS.c.id == job_id)
    row = connection.execute(query.with_for_update() if locked else query).one_or_none()
    if row is None:
        raise NotFoundError("no such job", where=job_id, mend="see `dateline jobs list`")
    return job_of(row)


def write_assets(connection: sa.Connection, assets: Sequence[Tracked]) -> None:
    """Record the state of assets."""
    if not assets:
        return
    row = (ASSETS.c.job == sa.bindparam("of_job"), ASSETS.c.number == sa.bindparam("of_number"))
    now = time.time()
    connection.execute(sa.update(ASSETS).where(*row), [changed_row(asset, now) for asset in assets])


def give(
    database: Database, connection: sa.Connection, job: Job, wanted: Iterable[tuple[str, int]]
) -> None:
    """Order each (queue, chunk) of a locked job; existing orders stay as they are."""
    rows = [order_row(job.id, job.priority, queue, chunk) for queue, chunk in wanted]
    if rows:
        connection.execute(database.insert(ORDERS).on_conflict_do_nothing(), rows)


def waiting_of(connection: sa.Connection, job_id: str, chunk: int) -> list[str]:
    """Return the stages that assets of a chunk wait for."""
    of_chunk = (ASSETS.c.job == job_id, ASSETS.c.chunk == chunk, _WAITING)
    query = sa.select(ASSETS.c.stage).where(*of_chunk).distinct()
    return list(connection.execute(query).scalars())


def finish(connection: sa.Connection, job_id: str) -> None:
    """End a locked job that runs and is read, if nothing of it waits."""
    waits = sa.exists().where(ASSETS.c.job == job_id, _WAITING)
    ready = (JOBS.c.id == job_id, JOBS.c.state == str(JobState.RUNNING), JOBS.c.read, ~waits)
    done: dict[str, Any] = {"state": str(JobState.FINISHED), "ended": time.time()}
    connection.execute(sa.update(JOBS).where(*ready).values(**done))


def reopen(connection: sa.Connection, job_id: str) -> None:
    """Let a locked job run again if it was finished."""
    finished = (JOBS.c.id == job_id, JOBS.c.state == str(JobState.FINISHED))
    running = {"state": str(JobState.RUNNING), "ended": 0.0}
    connection.execute(sa.update(JOBS).where(*finished).values(**running))
