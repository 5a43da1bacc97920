"""Jobs and the standing of each of their assets, in the database that their orders lie in."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.errors import InputError, NotFoundError
from core.work import (
    STAGES,
    AssetState,
    Awaited,
    FoundAsset,
    Job,
    JobCounts,
    JobState,
    Stage,
    Tracked,
    first_trail,
)
from storage.databases import Database
from storage.work.job_tables import (
    ASSETS,
    JOBS,
    MADE,
    MAX_CAUSE,
    MAX_LOCATION,
    TABLES,
    asset_of,
    changed_row,
    job_of,
    job_row,
    mark_of,
    new_row,
)

_AT_ONCE = 200  # marks in one statement
_REMARKS = 20
_NONE: Mapping[str, str] = {}

_New = tuple[FoundAsset, str | None]  # the cause of a dead letter


class StoredJobs:
    """`core.work_ports.Jobs` in a database. Thread-safe; any number of processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(TABLES)

    def create(self, job: Job) -> None:
        """See `core.work_ports.Jobs`."""
        statement = self._database.insert(JOBS).on_conflict_do_nothing()
        self._database.run(lambda connection: connection.execute(statement, job_row(job)))

    def job(self, job_id: str) -> Job:
        """See `core.work_ports.Jobs`."""
        return self._database.run(lambda connection: _job(connection, job_id))

    def jobs(self) -> tuple[Job, ...]:
        """See `core.work_ports.Jobs`."""
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
        next_epoch: bool = False,
    ) -> Job:
        """See `core.work_ports.Jobs`."""
        named: Mapping[str, Any] = {
            "state": None if state is None else str(state),
            "read": read,
            "trouble": None if trouble is None else trouble[:MAX_CAUSE],
            "ended": ended,
        }
        values: dict[str, Any] = {name: v for name, v in named.items() if v is not None}
        if next_epoch:
            values["epoch"] = JOBS.c.epoch + 1
        if values:
            statement = sa.update(JOBS).where(JOBS.c.id == job_id).values(**values)
            self._database.run(lambda connection: connection.execute(statement))
        return self.job(job_id)

    def add(
        self, job_id: str, found: Sequence[FoundAsset], trail: str, dead: Mapping[str, str] = _NONE
    ) -> int | None:
        """See `core.work_ports.Jobs`. Raises InputError for a location that is too long."""
        for entry in found:
            if len(entry.location) > MAX_LOCATION:
                raise InputError("the name is too long", where=entry.location[:200])
        marked = {mark_of(entry): (entry, dead.get(entry.location)) for entry in found}
        return self._database.run(lambda connection: _add(connection, job_id, marked, trail))

    def retrail(self, job_id: str) -> Mapping[tuple[int, Stage], str]:
        """See `core.work_ports.Jobs`."""
        epoch = self.job(job_id).epoch
        waiting = (ASSETS.c.job == job_id, ASSETS.c.state == str(AssetState.WAITING))
        query = sa.select(ASSETS.c.chunk, ASSETS.c.stage).where(*waiting).distinct()

        def work(connection: sa.Connection) -> Mapping[tuple[int, Stage], str]:
            for stage in STAGES:
                of_stage = sa.update(ASSETS).where(*waiting, ASSETS.c.stage == str(stage))
                connection.execute(of_stage.values(trail=first_trail(epoch, stage)))
            rows = connection.execute(query.order_by(ASSETS.c.chunk)).all()
            return {(n, Stage(name)): first_trail(epoch, Stage(name)) for n, name in rows}

        return self._database.run(work)

    def update(self, assets: Sequence[Tracked], waiting_for: str = "") -> None:
        """See `core.work_ports.Jobs`."""
        if not assets:
            return
        statement = sa.update(ASSETS).where(
            ASSETS.c.job == sa.bindparam("of_job"), ASSETS.c.number == sa.bindparam("of_number")
        )
        if waiting_for:
            statement = statement.where(ASSETS.c.trail == waiting_for)
        now = time.time()
        rows = [changed_row(asset, now) for asset in assets]
        self._database.run(lambda connection: connection.execute(statement, rows))

    def mark(self, job_id: str, numbers: Sequence[int], waiting_for: str) -> None:
        """See `core.work_ports.Jobs`."""
        those = (ASSETS.c.number.in_(numbers), ASSETS.c.trail == waiting_for)
        marked = {"crashes": ASSETS.c.crashes + 1, "updated": time.time()}
        statement = sa.update(ASSETS).where(ASSETS.c.job == job_id, *those).values(marked)
        self._database.run(lambda connection: connection.execute(statement))

    def of_chunk(self, job_id: str, chunk: int) -> tuple[Tracked, ...]:
        """See `core.work_ports.Jobs`."""
        return self._select(ASSETS.c.job == job_id, ASSETS.c.chunk == chunk)

    def standing(self, job_id: str, chunk: int) -> tuple[Job, tuple[Tracked, ...]]:
        """See `core.work_ports.Jobs`."""
        query = sa.select(ASSETS).where(ASSETS.c.job == job_id, ASSETS.c.chunk == chunk)
        ordered = query.order_by(ASSETS.c.number)

        def look(connection: sa.Connection) -> tuple[Job, Sequence[Any]]:
            return _job(connection, job_id), connection.execute(ordered).all()

        job, rows = self._database.run(look)
        return job, tuple(asset_of(row) for row in rows)

    def following(self, job_id: str, chunk: int) -> tuple[Job, tuple[Awaited, ...]]:
        """See `core.work_ports.Jobs`."""
        tries = (sa.func.min(ASSETS.c.attempts), sa.func.max(ASSETS.c.attempts))
        waits = (ASSETS.c.chunk == chunk, ASSETS.c.state == str(AssetState.WAITING))
        query = sa.select(ASSETS.c.stage, ASSETS.c.trail, *tries).where(ASSETS.c.job == job_id)
        grouped = query.where(*waits).group_by(ASSETS.c.stage, ASSETS.c.trail)

        def look(connection: sa.Connection) -> tuple[Job, Sequence[Any]]:
            return _job(connection, job_id), connection.execute(grouped).all()

        job, rows = self._database.run(look)
        found = (Awaited(Stage(stage), trail, *counts) for stage, trail, *counts in rows)
        return job, tuple(sorted(found, key=lambda one: one.trail))

    def awaited(self, job_id: str) -> tuple[tuple[int, Stage, str], ...]:
        """See `core.work_ports.Jobs`."""
        query = (
            sa.select(ASSETS.c.chunk, ASSETS.c.stage, ASSETS.c.trail)
            .where(ASSETS.c.job == job_id, ASSETS.c.state == str(AssetState.WAITING))
            .distinct()
            .order_by(ASSETS.c.chunk)
        )
        rows = self._database.run(lambda connection: connection.execute(query).all())
        return tuple((chunk, Stage(stage), trail) for chunk, stage, trail in rows)

    def open_chunks(self, job_id: str) -> int:
        """See `core.work_ports.Jobs`."""
        query = sa.select(sa.func.count(ASSETS.c.chunk.distinct())).where(
            ASSETS.c.job == job_id, ASSETS.c.state == str(AssetState.WAITING)
        )
        return int(self._database.run(lambda connection: connection.execute(query).scalar_one()))

    def finish(self, job_id: str) -> bool:
        """See `core.work_ports.Jobs`."""
        waits = sa.exists().where(ASSETS.c.job == job_id, ASSETS.c.state == str(AssetState.WAITING))
        ready = (JOBS.c.id == job_id, JOBS.c.state == str(JobState.RUNNING), JOBS.c.read, ~waits)
        done = {"state": str(JobState.FINISHED), "ended": time.time()}
        statement = sa.update(JOBS).where(*ready).values(**done)
        self._database.run(lambda connection: connection.execute(statement))
        return self.job(job_id).state is JobState.FINISHED

    def over(self, ended_before: float, *, with_dead: bool = False) -> tuple[str, ...]:
        """See `core.work_ports.Jobs`."""
        query = sa.select(JOBS.c.id).where(*_over(ended_before))
        if not with_dead:
            dead = (ASSETS.c.job == JOBS.c.id, ASSETS.c.state == str(AssetState.DEAD))
            query = query.where(~sa.exists().where(*dead))
        ordered = query.order_by(JOBS.c.created, JOBS.c.id)
        return tuple(self._database.run(lambda c: c.execute(ordered).scalars().all()))

    def delete(self, job_id: str, ended_before: float) -> bool:
        """See `core.work_ports.Jobs`."""
        gone = sa.delete(JOBS).where(JOBS.c.id == job_id, *_over(ended_before))

        def work(connection: sa.Connection) -> bool:
            if not connection.execute(gone).rowcount:
                return False
            connection.execute(sa.delete(ASSETS).where(ASSETS.c.job == job_id))
            return True

        return self._database.run(work)

    def find(
        self, job_id: str, states: Collection[AssetState], after: int = -1, limit: int = 100
    ) -> tuple[Tracked, ...]:
        """See `core.work_ports.Jobs`."""
        return self._select(
            ASSETS.c.job == job_id,
            ASSETS.c.state.in_([str(state) for state in states]),
            ASSETS.c.number > after,
            limit=limit,
        )

    def asset(self, job_id: str, number: int) -> Tracked:
        """See `core.work_ports.Jobs`."""
        found = self._select(ASSETS.c.job == job_id, ASSETS.c.number == number)
        if not found:
            raise NotFoundError("there is no such asset", where=f"{job_id}:{number}")
        return found[0]

    def remarks(self, job_id: str) -> Mapping[str, int]:
        """See `core.work_ports.Jobs`."""
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
        """See `core.work_ports.Jobs`."""
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
        """Closes the database."""
        self._database.close()

    def _select(self, *where: Any, limit: int | None = None) -> tuple[Tracked, ...]:
        query = sa.select(ASSETS).where(*where).order_by(ASSETS.c.number).limit(limit)
        rows = self._database.run(lambda connection: connection.execute(query).all())
        return tuple(asset_of(row) for row in rows)


def _job(connection: sa.Connection, job_id: str) -> Job:
    """Raises NotFoundError."""
    row = connection.execute(sa.select(JOBS).where(JOBS.c.id == job_id)).one_or_none()
    if row is None:
        raise NotFoundError("no such job", where=job_id, mend="see `dateline jobs list`")
    return job_of(row)


def _over(ended_before: float) -> tuple[Any, ...]:
    states = [str(state) for state in (JobState.FINISHED, JobState.CANCELED)]
    return JOBS.c.state.in_(states), JOBS.c.ended > 0, JOBS.c.ended < ended_before


def _add(
    connection: sa.Connection, job_id: str, marked: Mapping[str, _New], trail: str
) -> int | None:
    # A write first: one adder of a job at a time, in SQLite as in Postgres.
    connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(id=JOBS.c.id))
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
    rows = [new_row(job_id, first + n, chunk, trail, *new) for n, new in enumerate(fresh)]
    connection.execute(sa.insert(ASSETS), rows)
    return int(chunk)
