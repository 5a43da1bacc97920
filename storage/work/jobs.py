"""Jobs and the state of each of their assets: `core.ports.work.Jobs`.

Versions before December 2026 handed out work by workflows of DBOS. Their orders are taken over
once, into the table of orders. A workflow held only the id of a job, a chunk and a stage, and each
asset's row said which stage it waited for. So the rows of jobs and assets alone say what is left to
do, in whatever state the workflows are, and DBOS is not needed for that. Only tables of an earlier
version have the column `trail`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.errors import InputError, NotFoundError
from core.work import (
    INGEST,
    NO_CHUNK,
    OPERATE,
    READ,
    AssetState,
    FoundAsset,
    Job,
    JobCounts,
    JobState,
    Stage,
    Tracked,
)
from storage.databases import Database
from storage.work.job_tables import (
    ASSETS,
    JOBS,
    MADE,
    MAX_CAUSE,
    MAX_LOCATION,
    ORDERS,
    TABLES,
    another_job,
    asset_of,
    finish,
    give,
    job_of,
    job_row,
    mark_of,
    new_row,
    read_job,
    reopen,
    waiting_of,
    write_assets,
)

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


_AT_ONCE = 200  # marks in one statement
_REMARKS = 20
_NONE: Mapping[str, str] = {}

_New = tuple[FoundAsset, str | None]  # the cause of a dead letter


class StoredJobs:
    """`core.ports.work.Jobs` in a database, for any number of processes. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(TABLES)
        database.add_columns(ORDERS, ["trace", "since"])
        database.add_columns(JOBS, ["kind", "result"])
        take_over(database)

    def create(self, job: Job) -> None:
        """Record a new job, and order that its sources be read."""
        insert = self._database.insert(JOBS).on_conflict_do_nothing()

        def work(connection: sa.Connection) -> None:
            connection.execute(insert, job_row(job))
            if not job.read:
                give(self._database, connection, job, [(READ, NO_CHUNK)])

        self._database.write(work)

    def order(self, job: Job) -> Job:
        """Record and order a job, or return the one of that name; an operation that failed is
        ordered again. Raises ConflictError if the name is that of another request.
        """
        queue = READ if job.kind == INGEST else OPERATE
        insert = self._database.insert(JOBS).on_conflict_do_nothing().returning(JOBS.c.id)
        failed = (JOBS.c.id == job.id, JOBS.c.state == str(JobState.FAILED))
        again = {"state": str(JobState.RUNNING), "ended": 0.0, "trouble": ""}

        def work(connection: sa.Connection) -> Job:
            new = connection.execute(insert.values(**job_row(job))).scalar_one_or_none()
            found = read_job(connection, job.id, locked=True)
            if (found.kind, found.request) != (job.kind, dict(job.request)):
                raise another_job(job.id)
            if new or connection.execute(sa.update(JOBS).where(*failed).values(**again)).rowcount:
                give(self._database, connection, job, [(queue, NO_CHUNK)])
            return read_job(connection, job.id)

        return self._database.write(work)

    def content(self, job_id: str) -> str:
        """Return a digest of the files that the job put into the archive, in hex."""
        query = sa.select(ASSETS.c.digest).where(
            ASSETS.c.job == job_id, ASSETS.c.state == str(AssetState.DONE)
        )
        ordered, found = query.order_by(ASSETS.c.digest), hashlib.sha256()

        def work(connection: sa.Connection) -> None:
            for digest in connection.execute(ordered).scalars():
                found.update(digest.encode())

        self._database.run(work)
        return found.hexdigest()

    def job(self, job_id: str) -> Job:
        """Return the job. Raises NotFoundError."""
        return self._database.run(lambda connection: read_job(connection, job_id))

    def jobs(self) -> tuple[Job, ...]:
        """Return every job, the newest first."""
        query = sa.select(JOBS).order_by(JOBS.c.created.desc(), JOBS.c.id)
        rows = self._database.run(lambda connection: connection.execute(query).all())
        return tuple(job_of(row) for row in rows)

    def change(
        self,
        job_id: str,
        *,
        state: JobState | None = None,
        read: bool | None = None,
        trouble: str | None = None,
        ended: float | None = None,
    ) -> Job:
        """Change the given fields; return the job after that."""
        named: Mapping[str, Any] = {
            "state": None if state is None else str(state),
            "read": read,
            "trouble": None if trouble is None else trouble[:MAX_CAUSE],
            "ended": ended,
        }
        values: dict[str, Any] = {name: v for name, v in named.items() if v is not None}

        def work(connection: sa.Connection) -> Job:
            read_job(connection, job_id, locked=True)
            if values:
                connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(**values))
            finish(connection, job_id)
            return read_job(connection, job_id)

        return self._database.write(work)

    def add(
        self, job_id: str, found: Sequence[FoundAsset], dead: Mapping[str, str] = _NONE
    ) -> int | None:
        """Make a chunk of new assets and order its first stage; return its number. Raises
        InputError for a location that is too long.
        """
        for entry in found:
            if len(entry.location) > MAX_LOCATION:
                raise InputError("the name is too long", where=entry.location[:200])
        marked = {mark_of(entry): (entry, dead.get(entry.location)) for entry in found}

        def work(connection: sa.Connection) -> int | None:
            job = read_job(connection, job_id, locked=True)
            chunk = _add(connection, job_id, marked)
            waits = [] if chunk is None else waiting_of(connection, job_id, chunk)
            if chunk is not None and waits:
                give(self._database, connection, job, [(stage, chunk) for stage in waits])
                reopen(connection, job_id)  # a job that watches a folder may be finished
            return chunk

        return self._database.write(work)

    def update(self, assets: Sequence[Tracked]) -> None:
        """Record the state of assets, and order the stages that they wait for."""
        for job_id in dict.fromkeys(asset.job for asset in assets):
            self._update(job_id, [asset for asset in assets if asset.job == job_id])

    def _update(self, job_id: str, assets: Sequence[Tracked]) -> None:
        waiting = [asset for asset in assets if asset.state is AssetState.WAITING]
        wanted = dict.fromkeys((str(asset.stage), asset.chunk) for asset in waiting)

        def work(connection: sa.Connection) -> None:
            job = read_job(connection, job_id, locked=True)
            write_assets(connection, assets)
            give(self._database, connection, job, wanted)
            if wanted:
                reopen(connection, job_id)
            finish(connection, job_id)

        self._database.write(work)

    def of_chunk(self, job_id: str, chunk: int) -> tuple[Tracked, ...]:
        """Return the chunk's assets in order."""
        return self._select(ASSETS.c.job == job_id, ASSETS.c.chunk == chunk)

    def standing(self, job_id: str, chunk: int) -> tuple[Job, tuple[Tracked, ...]]:
        """Return the job and the chunk's assets, at one moment."""
        query = sa.select(ASSETS).where(ASSETS.c.job == job_id, ASSETS.c.chunk == chunk)
        ordered = query.order_by(ASSETS.c.number)

        def look(connection: sa.Connection) -> tuple[Job, Sequence[Any]]:
            return read_job(connection, job_id), connection.execute(ordered).all()

        job, rows = self._database.run(look)
        return job, tuple(asset_of(row) for row in rows)

    def open_chunks(self, job_id: str) -> int:
        """Return how many chunks have assets that wait."""
        query = sa.select(sa.func.count(ASSETS.c.chunk.distinct())).where(
            ASSETS.c.job == job_id, ASSETS.c.state == str(AssetState.WAITING)
        )
        return int(self._database.run(lambda connection: connection.execute(query).scalar_one()))

    def over(self, ended_before: float, *, with_dead: bool = False) -> tuple[str, ...]:
        """Return the ids of jobs that ended before a moment; of those with dead letters only if
        `with_dead`.
        """
        query = sa.select(JOBS.c.id).where(*_over(ended_before))
        if not with_dead:
            dead = (ASSETS.c.job == JOBS.c.id, ASSETS.c.state == str(AssetState.DEAD))
            query = query.where(~sa.exists().where(*dead))
        ordered = query.order_by(JOBS.c.created, JOBS.c.id)
        return tuple(self._database.run(lambda c: c.execute(ordered).scalars().all()))

    def delete(self, job_id: str, ended_before: float) -> bool:
        """Forget a job that is over; return whether it was."""
        gone = sa.delete(JOBS).where(JOBS.c.id == job_id, *_over(ended_before))

        def work(connection: sa.Connection) -> bool:
            if not connection.execute(gone).rowcount:
                return False
            for table in (ASSETS, ORDERS):
                connection.execute(sa.delete(table).where(table.c.job == job_id))
            return True

        return self._database.write(work)

    def find(
        self, job_id: str, states: Collection[AssetState], after: int = -1, limit: int = 100
    ) -> tuple[Tracked, ...]:
        """Return assets in one of some states, by number."""
        return self._select(
            ASSETS.c.job == job_id,
            ASSETS.c.state.in_([str(state) for state in states]),
            ASSETS.c.number > after,
            limit=limit,
        )

    def asset(self, job_id: str, number: int) -> Tracked:
        """Return the asset. Raises NotFoundError."""
        found = self._select(ASSETS.c.job == job_id, ASSETS.c.number == number)
        if not found:
            raise NotFoundError("there is no such asset", where=f"{job_id}:{number}")
        return found[0]

    def remarks(self, job_id: str) -> Mapping[str, int]:
        """Return the causes noted for assets that are done, each with its number of assets."""
        count = sa.func.count()
        query = (
            sa.select(ASSETS.c.cause, count)
            .where(ASSETS.c.job == job_id, ASSETS.c.state == str(AssetState.DONE))
            .where(ASSETS.c.cause != "")
            .group_by(ASSETS.c.cause)
            .order_by(count.desc(), ASSETS.c.cause)
            .limit(_REMARKS)
        )
        rows = self._database.run(lambda connection: connection.execute(query).all())
        return {cause: int(number) for cause, number in rows}

    def counts(self, job_id: str) -> JobCounts:
        """Return the number of assets by stage and state, and the sums of what was computed."""
        standing = (
            sa.select(ASSETS.c.stage, ASSETS.c.state, sa.func.count())
            .where(ASSETS.c.job == job_id)
            .group_by(ASSETS.c.stage, ASSETS.c.state)
        )
        sums = sa.select(*(sa.func.coalesce(sa.func.sum(ASSETS.c[name]), 0) for name in MADE))
        of_job = sums.where(ASSETS.c.job == job_id)

        def work(connection: sa.Connection) -> tuple[Any, Any]:
            return connection.execute(standing).all(), connection.execute(of_job).one()

        rows, made = self._database.run(work)
        return JobCounts(
            {(Stage(stage), AssetState(state)): count for stage, state, count in rows},
            {name: int(value) for name, value in zip(MADE, made, strict=True)},
        )

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _select(self, *where: Any, limit: int | None = None) -> tuple[Tracked, ...]:
        query = sa.select(ASSETS).where(*where).order_by(ASSETS.c.number).limit(limit)
        rows = self._database.run(lambda connection: connection.execute(query).all())
        return tuple(asset_of(row) for row in rows)


def _over(ended_before: float) -> tuple[Any, ...]:
    states = [str(state) for state in (JobState.FINISHED, JobState.CANCELED, JobState.FAILED)]
    return JOBS.c.state.in_(states), JOBS.c.ended > 0, JOBS.c.ended < ended_before


def _add(connection: sa.Connection, job_id: str, marked: Mapping[str, _New]) -> int | None:
    marks, known = list(marked), set[str]()
    for start in range(0, len(marks), _AT_ONCE):
        some = marks[start : start + _AT_ONCE]
        query = sa.select(ASSETS.c.mark).where(ASSETS.c.job == job_id, ASSETS.c.mark.in_(some))
        known |= set(connection.execute(query).scalars())
    fresh = [new for mark, new in marked.items() if mark not in known]
    if not fresh:
        return None
    last = sa.select(sa.func.max(ASSETS.c.number), sa.func.max(ASSETS.c.chunk))
    number, chunk = connection.execute(last.where(ASSETS.c.job == job_id)).one()
    first, chunk = (-1 if number is None else number) + 1, (-1 if chunk is None else chunk) + 1
    rows = [new_row(job_id, first + n, chunk, *new) for n, new in enumerate(fresh)]
    connection.execute(sa.insert(ASSETS), rows)
    return int(chunk)
