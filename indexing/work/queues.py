"""Durable queues of orders on DBOS, in SQLite or Postgres: one queue a stage, and one for reading.

An order is a workflow whose name says what it is for, so that giving it twice is giving it once.
It holds nothing but names: what is to be done stands in the jobs' table. An order that its process
did not end is given to the next one: by DBOS when a process of that name starts again, and by
`indexing.work.workers` for names that nobody bears any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from dbos import error as dbos_error
from sqlalchemy.exc import SQLAlchemyError

from core.errors import StorageError, StorageFullError
from core.work import Job, Stage
from indexing.work.chunks import Order
from indexing.work.queue_names import QUEUES, READ
from indexing.work.stage import Stop

log = logging.getLogger(__name__)
_THEIRS = logging.getLogger("dbos")
_THEIRS.setLevel(logging.WARNING)
if not _THEIRS.handlers and logging.lastResort is not None:
    _THEIRS.addHandler(logging.lastResort)  # or DBOS takes the error stream of the moment for good
    _THEIRS.propagate = False

APPLICATION = "dateline"
VERSION = "1"  # of what an order says; old orders are carried out by new programs
_STAGE_WORK, _READ_WORK = "dateline_stage", "dateline_read"
RARE_S = 2.0
_AT_ONCE = 200  # orders that are dropped at a time


class _UndoneError(BaseException):
    """An order stays where it is, to be carried out again: no failure that DBOS may record."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How many chunks of a stage a process works on at the same time, and how often an idle queue
    is looked at, in seconds; those in `rare`, which hardly ever get an order, every RARE_S.
    """

    chunks: Mapping[str, int]
    poll_s: float = 0.1
    rare: Collection[str] = ()


class OrderBook:
    """`core.work_ports.WorkOrders`: gives orders to whichever process works on them."""

    def __init__(self, engine: sa.Engine) -> None:
        _migrate(engine)
        self._client = _client_of(engine)

    def give(self, job: Job, chunk: int, stage: Stage, trail: str, *, delay_s: float = 0.0) -> None:
        """See `core.work_ports.WorkOrders`."""
        name = f"{job.id}/{chunk}/{trail}"
        options = _options(_STAGE_WORK, str(stage), name, job.priority)
        if delay_s > 0:
            options["delay_seconds"] = delay_s
        self._enqueue(options, job.id, chunk, str(stage), trail)

    def give_reading(self, job: Job, trail: str) -> None:
        """See `core.work_ports.WorkOrders`."""
        options = _options(_READ_WORK, READ, f"{job.id}/{READ}/{trail}", job.priority)
        self._enqueue(options, job.id, trail)

    def under_way(self, job_id: str) -> Collection[tuple[int, str]]:
        """See `core.work_ports.WorkOrders`."""
        with _storage_errors():
            found = self._client.list_workflows(
                workflow_id_prefix=f"{job_id}/",
                status="PENDING",
                load_input=False,
                load_output=False,
            )
        parts = (status.workflow_id.split("/")[1:] for status in found)
        return [(int(chunk), trail) for chunk, trail in parts if chunk != READ]

    def take_back(self, job_id: str) -> None:
        """See `core.work_ports.WorkOrders`."""
        with _storage_errors():
            while True:
                waiting = self._client.list_workflows(
                    workflow_id_prefix=f"{job_id}/",
                    status=["ENQUEUED", "DELAYED"],
                    limit=_AT_ONCE,
                    load_input=False,
                    load_output=False,
                )
                if not waiting:
                    return
                self._client.cancel_workflows([status.workflow_id for status in waiting])

    def forget(self, job_id: str) -> int:
        """See `core.work_ports.WorkOrders`."""
        count = 0
        with _storage_errors():
            while True:
                ended = self._client.list_workflows(
                    workflow_id_prefix=f"{job_id}/",
                    status=["SUCCESS", "ERROR", "CANCELLED"],
                    limit=_AT_ONCE,
                    load_input=False,
                    load_output=False,
                )
                if not ended:
                    return count
                self._client.delete_workflows([status.workflow_id for status in ended])
                count += len(ended)

    def left_by(self, process: str) -> list[str]:
        """The names of the orders that a process began and did not end."""
        with _storage_errors():
            found = self._client.list_workflows(
                status="PENDING", executor_id=process, load_input=False, load_output=False
            )
            return [status.workflow_id for status in found]

    def give_again(self, names: Collection[str]) -> None:
        """Puts orders back that nobody works on any more."""
        with _storage_errors():
            for name in names:
                with suppress(dbos_error.DBOSNonExistentWorkflowError):
                    status = self._client.retrieve_workflow(name).get_status()
                    self._client.resume_workflow(name, queue_name=status.queue_name)

    def close(self) -> None:
        """Lets go of the database."""
        self._client.destroy()

    def _enqueue(self, options: EnqueueOptions, *arguments: Any) -> None:
        with _storage_errors():
            self._client.enqueue(options, *arguments)


class QueueWorker:
    """Carries out the orders of some queues in this process, under a name that no other live
    process has. One at a time in a process, since DBOS is one.

    `run_order` gets an order, and what says that the process is to stop; `run_reading` a job and
    the same, and says whether it is done; `again` orders the rest of it, by job and trail.
    """

    def __init__(
        self,
        engine: sa.Engine,
        process: str,
        run_order: Callable[[Order, Stop], None],
        run_reading: Callable[[str, Stop], bool],
        again: Callable[[str, str], None],
        settings: QueueSettings,
        queues: Collection[str] = QUEUES,
    ) -> None:
        self.stopped = threading.Event()
        self._run_order = run_order
        self._run_reading = run_reading
        self._again = again
        self._working: set[str] = set()
        self._lock = threading.Lock()
        self._launch(engine, process, settings, queues)

    def _launch(
        self, engine: sa.Engine, process: str, settings: QueueSettings, queues: Collection[str]
    ) -> None:
        _migrate(engine)
        DBOS.destroy(destroy_registry=True)
        self._register()
        config = DBOSConfig(
            name=APPLICATION,
            system_database_engine=engine,
            serializer=DBOSPortableJSONSerializer(),
            application_version=VERSION,
            executor_id=process,
            log_level="ERROR",
            use_listen_notify=False,
        )
        DBOS(config=config)
        DBOS.listen_queues(list(queues))
        poll_s = settings.poll_s
        with _client(engine) as client:  # before launch, which listens to the queues that are there
            for name in QUEUES:  # what is kept of a queue is for all: who listens to it says it
                client.register_queue(
                    name,
                    worker_concurrency=settings.chunks.get(name, 1),
                    polling_interval_sec=max(RARE_S, poll_s) if name in settings.rare else poll_s,
                    on_conflict="always_update" if name in queues else "never_update",
                )
        DBOS.launch()

    def _register(self) -> None:
        @DBOS.workflow(name=_STAGE_WORK, max_recovery_attempts=None)
        def stage_work(job: str, chunk: int, stage: str, trail: str) -> None:
            order = Order(job, chunk, Stage(stage), trail)
            self._carry_out(lambda: self._run_order(order, self.stopped.is_set))

        @DBOS.workflow(name=_READ_WORK, max_recovery_attempts=None)
        def read_work(job: str, trail: str) -> None:
            self._carry_out(lambda: self._reading(job, trail))

    @property
    def stopping(self) -> bool:
        """Whether orders are to end soon."""
        return self.stopped.is_set()

    @property
    def working(self) -> frozenset[str]:
        """The names of the orders under way."""
        with self._lock:
            return frozenset(self._working)

    def wait(self, seconds: float) -> bool:
        """Waits; True as soon as the process is to stop."""
        return self.stopped.wait(seconds)

    def stop(self) -> None:
        """Tells the orders under way to end soon; no other is begun."""
        self.stopped.set()

    def close(self, within_s: float = 30.0) -> None:
        """Stops; orders that have not ended within `within_s` are left for the next process."""
        self.stop()
        wait = threading.Event()
        for _ in range(int(within_s / 0.05)):
            if not self.working or wait.wait(0.05):
                break
        DBOS.destroy(destroy_registry=True)

    def _reading(self, job: str, trail: str) -> None:
        if not self._run_reading(job, self.stopped.is_set):
            self._again(job, trail + "r")

    def _carry_out(self, work: Callable[[], None]) -> None:
        """Whatever goes wrong, an order is never lost: it stays and is carried out again."""
        name = DBOS.workflow_id or ""
        if self.stopped.is_set():
            raise _UndoneError(name)
        with self._lock:
            self._working.add(name)
        try:
            work()
        except Exception as error:
            log.exception("order %s was not carried out", name)
            self.stopped.wait(1.0)
            raise _UndoneError(name) from error
        finally:
            with self._lock:
                self._working.discard(name)


def _options(workflow: str, queue: str, name: str, priority: int) -> EnqueueOptions:
    return EnqueueOptions(
        workflow_name=workflow,
        queue_name=queue,
        workflow_id=name,
        priority=priority,
        app_version=VERSION,
        application_name=APPLICATION,
    )


def _migrate(engine: sa.Engine) -> None:
    """Makes DBOS's own tables where they are not there."""
    with _storage_errors():
        url = engine.url.set(drivername=engine.url.get_backend_name())
        DBOS.migrate(url.render_as_string(hide_password=False))


def _client_of(engine: sa.Engine) -> DBOSClient:
    return DBOSClient(
        system_database_engine=engine,
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
    )


@contextmanager
def _client(engine: sa.Engine) -> Iterator[DBOSClient]:
    client = _client_of(engine)
    try:
        yield client
    finally:
        client.destroy()


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        what = str(getattr(error, "orig", None) or error).strip()
        if "full" in what or "No space left" in what:
            raise StorageFullError(
                "no space left for orders", mend="free space; the work goes on then"
            ) from error
        raise StorageError(
            f"orders can't be kept: {what}", mend="is the database there?"
        ) from error
