"""The tables of jobs, their assets and their orders: rows and values, and shared parts of
transactions.

Every transaction that writes assets or orders of a job first locks the job's row. So only one
transaction at a time compares what waits with what is ordered, and no order is lost between two.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from core.errors import ConflictError, NotFoundError
from core.tracing import header
from core.work import AssetState, FoundAsset, Job, JobState, Order, Stage, Tracked
from storage.databases import Database

MAX_LOCATION = 4_000  # characters
MAX_CAUSE = 4_000

TABLES = sa.MetaData()
JOBS = sa.Table(
    "dateline_jobs",
    TABLES,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("ended", sa.Float, nullable=False),
    sa.Column("read", sa.Boolean, nullable=False),
    sa.Column("trouble", sa.Text, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False, server_default="ingest"),
    sa.Column("result", sa.Text, nullable=False, server_default="{}"),
)
ASSETS = sa.Table(
    "dateline_assets",
    TABLES,
    sa.Column("job", sa.String(40), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("chunk", sa.Integer, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("stamp", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sidecar", sa.Text, nullable=False),
    sa.Column("products", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("stage", sa.String(12), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("crashes", sa.Integer, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column("decoded", sa.Integer, nullable=False),
    sa.Column("shots", sa.Integer, nullable=False),
    sa.Column("captioned", sa.Integer, nullable=False),
    sa.Column("shared", sa.Integer, nullable=False),
    sa.Column("embedded", sa.Integer, nullable=False),
    sa.Column("written", sa.Integer, nullable=False),
    sa.Column("mark", sa.String(64), nullable=False),
    sa.UniqueConstraint("job", "mark"),
    sa.Index("dateline_assets_by_chunk", "job", "chunk"),
    sa.Index("dateline_assets_by_standing", "job", "state", "stage", "chunk"),
)
ORDERS = sa.Table(
    "dateline_orders",
    TABLES,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("job", sa.String(40), nullable=False),
    sa.Column("chunk", sa.Integer, nullable=False),
    sa.Column("queue", sa.String(12), nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("holder", sa.String(240), nullable=False),  # "" if it is not leased
    sa.Column("taken", sa.Integer, nullable=False),
    sa.Column("free_at", sa.Float, nullable=False),  # the end of the lease, or the next try
    sa.Column("boot", sa.String(40), nullable=False),  # the machine's start; "" in Postgres
    sa.Column("trace", sa.String(55), nullable=False, server_default=""),  # a header traceparent
    # Seconds since 1970 at which it began to wait; 0 in rows of an earlier version.
    sa.Column("since", sa.Float, nullable=False, server_default="0"),
    sa.UniqueConstraint("job", "queue", "chunk"),
    sa.Index("dateline_orders_by_queue", "queue", "priority", "id"),
)
MADE = ("decoded", "shots", "captioned", "shared", "embedded", "written")


def job_row(job: Job) -> dict[str, Any]:
    """Return the row of a new job."""
    return {
        "id": job.id,
        "request": orjson.dumps(job.request).decode(),
        "priority": int(job.priority),
        "state": str(job.state),
        "created": job.created,
        "ended": job.ended,
        "read": job.read,
        "trouble": job.trouble,
        "kind": job.kind,
        "result": orjson.dumps(job.result).decode(),
    }


def job_of(row: Any) -> Job:
    """Return the job of a row."""
    return Job(
        row.id,
        orjson.loads(row.request),
        row.priority,
        JobState(row.state),
        row.created,
        row.ended,
        bool(row.read),
        row.trouble,
        row.kind,
        orjson.loads(row.result),
    )


def order_row(job: str, priority: int, queue: str, chunk: int, trace: str = "") -> dict[str, Any]:
    """Return the row of a new order that a worker may take at once."""
    return {
        "job": job,
        "chunk": chunk,
        "queue": queue,
        "priority": priority,
        "holder": "",
        "taken": 0,
        "free_at": 0.0,
        "boot": "",
        "trace": trace,
        "since": time.time(),
    }


def order_of(row: Any, holder: str) -> Order:
    """Return the order of a row that was read before `holder` leased it."""
    return Order(row.id, row.job, row.chunk, row.queue, holder, row.taken + 1, row.trace)


def new_row(
    job: str, number: int, chunk: int, found: FoundAsset, dead: str | None
) -> dict[str, Any]:
    """Return the row of a new asset; with a cause `dead`, it is a dead letter."""
    return {
        "job": job,
        "number": number,
        "chunk": chunk,
        "digest": "",
        "stage": str(Stage.DECODE),
        "state": str(AssetState.WAITING if dead is None else AssetState.DEAD),
        "attempts": 0,
        "crashes": 0,
        "cause": (dead or "")[:MAX_CAUSE],
        "updated": time.time(),
        "mark": mark_of(found),
        **found_columns(found),
        **dict.fromkeys(MADE, 0),
    }


def changed_row(asset: Tracked, now: float) -> dict[str, Any]:
    """Return the asset's values for an UPDATE of the row `of_job`, `of_number`."""
    return {
        "of_job": asset.job,
        "of_number": asset.number,
        "chunk": asset.chunk,
        "digest": asset.digest,
        "stage": str(asset.stage),
        "state": str(asset.state),
        "attempts": asset.attempts,
        "crashes": asset.crashes,
        "cause": asset.cause[:MAX_CAUSE],
        "updated": now,
        **found_columns(asset.found),
        **{name: asset.made.get(name, 0) for name in MADE},
    }


def mark_of(found: FoundAsset) -> str:
    """Return the mark by which a job knows an asset: a digest of its location, its stamp, its
    sidecar and its products. So the same file with another sidecar is a new asset.
    """
    parts = [found.location, found.stamp, found.sidecar, found.products]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def found_columns(found: FoundAsset) -> dict[str, Any]:
    """Return the columns of an asset as it was found."""
    return {
        "location": found.location,
        "stamp": found.stamp,
        "size": found.size,
        "sidecar": "" if found.sidecar is None else orjson.dumps(found.sidecar).decode(),
        "products": orjson.dumps(found.products).decode(),
    }


def asset_of(row: Any) -> Tracked:
    """Return the asset of a row."""
    found = FoundAsset(
        row.location,
        row.stamp,
        row.size,
        orjson.loads(row.sidecar) if row.sidecar else None,
        tuple(orjson.loads(row.products)),
    )
    return Tracked(
        job=row.job,
        number=row.number,
        chunk=row.chunk,
        found=found,
        digest=row.digest,
        stage=Stage(row.stage),
        state=AssetState(row.state),
        attempts=row.attempts,
        crashes=row.crashes,
        cause=row.cause,
        updated=row.updated,
        made={name: getattr(row, name) for name in MADE},
    )


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


def another_job(job_id: str) -> ConflictError:
    """Return the error for a name that another request has."""
    return ConflictError(
        "a job of this name was ordered with another request",
        where=job_id,
        mend="choose another name; the same name and request are the same job",
    )


def write_assets(connection: sa.Connection, assets: Sequence[Tracked]) -> None:
    """Record the state of assets."""
    if not assets:
        return
    row = (ASSETS.c.job == sa.bindparam("of_job"), ASSETS.c.number == sa.bindparam("of_number"))
    now = time.time()
    connection.execute(sa.update(ASSETS).where(*row), [changed_row(asset, now) for asset in assets])


def give(
    database: Database,
    connection: sa.Connection,
    job: Job,
    wanted: Iterable[tuple[str, int]],
    trace: str = "",
) -> None:
    """Order each (queue, chunk) of a locked job; existing orders stay as they are. They go on with
    `trace`, or with the trace of the caller.
    """
    trace = trace or header()
    rows = [order_row(job.id, job.priority, queue, chunk, trace) for queue, chunk in wanted]
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
