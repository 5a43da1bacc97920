"""Takes over the orders that an earlier version left, once, into the table of orders.

Versions before December 2026 handed out work by workflows of DBOS. A workflow held only the id of a
job, a chunk and a stage, and each asset's row said which stage it waited for. So the rows of jobs
and assets alone say what is left to do, in whatever state the workflows are, and DBOS is not needed
for that. Only tables of an earlier version have the column `trail`.
"""

from __future__ import annotations

import sqlalchemy as sa

from core.work import NO_CHUNK, READ, AssetState, JobState
from storage.databases import Database
from storage.work.job_tables import ASSETS, JOBS, ORDERS

_COLUMNS = {"dateline_assets": "trail", "dateline_jobs": "epoch"}
# DBOS's tables in the archive's own file; tables that refer to others come first. In Postgres the
# schema may have other users, so it stays (docs/operating.md).
_DBOS = (
    "operation_outputs",
    "workflow_input",
    "workflow_output",
    "workflow_events_history",
    "workflow_events",
    "notifications",
    "streams",
    "workflow_schedules",
    "application_versions",
    "queues",
    "workflow_status",
    "dbos_migrations",
)


def take_over(database: Database) -> None:
    """Order what an earlier version left undone, and drop its columns and tables; do nothing if
    that was done already.
    """
    if database.run(_is_old):
        database.alter(_take_over)


def _is_old(connection: sa.Connection) -> bool:
    columns = sa.inspect(connection).get_columns(ASSETS.name)
    return any(column["name"] == _COLUMNS[ASSETS.name] for column in columns)


def _take_over(connection: sa.Connection) -> None:
    if not _is_old(connection):  # another process was faster
        return
    waiting = ASSETS.c.state == str(AssetState.WAITING)
    open_jobs = sa.select(ASSETS.c.job).where(waiting)
    finished = (JOBS.c.state == str(JobState.FINISHED), JOBS.c.id.in_(open_jobs))
    running = {"state": str(JobState.RUNNING), "ended": 0.0}
    connection.execute(sa.update(JOBS).where(*finished).values(**running))
    free = (sa.literal(""), sa.literal(0), sa.literal(0.0), sa.literal(""))
    stages = (
        sa.select(ASSETS.c.job, ASSETS.c.chunk, ASSETS.c.stage, JOBS.c.priority, *free)
        .join(JOBS, JOBS.c.id == ASSETS.c.job)
        .where(waiting)
        .distinct()
    )
    unread = sa.select(
        JOBS.c.id, sa.literal(NO_CHUNK), sa.literal(READ), JOBS.c.priority, *free
    ).where(~JOBS.c.read)
    names = ["job", "chunk", "queue", "priority", "holder", "taken", "free_at", "boot"]
    for orders in (unread, stages):
        connection.execute(sa.insert(ORDERS).from_select(names, orders))
    for table, column in _COLUMNS.items():
        connection.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN {column}"))
    connection.execute(sa.text("DROP TABLE IF EXISTS dateline_workers"))
    if connection.dialect.name == "sqlite":
        for table in _DBOS:
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))
