"""Durable queues on DBOS, in SQLite or Postgres: one queue a stage, and one for reading. This
process carries out what `indexing.work.order_book` gave.

An order that its process did not end is given to the next one: by DBOS when a process of that name
starts again, and by `indexing.work.workers` for names that nobody bears any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

from core.work import Stage
from indexing.work.orders_database import (
    APPLICATION,
    READ_WORK,
    STAGE_WORK,
    VERSION,
    client,
    migrate,
)
from indexing.work.queue_names import QUEUES
from indexing.work.stages.chunks import Order
from indexing.work.stages.stage import Stop

log = logging.getLogger(__name__)
RARE_S = 2.0


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
        migrate(engine)
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
        with client(engine) as giving:  # before launch, which listens to the queues that are there
            for name in QUEUES:  # what is kept of a queue is for all: who listens to it says it
                giving.register_queue(
                    name,
                    worker_concurrency=settings.chunks.get(name, 1),
                    polling_interval_sec=max(RARE_S, poll_s) if name in settings.rare else poll_s,
                    on_conflict="always_update" if name in queues else "never_update",
                )
        DBOS.launch()

    def _register(self) -> None:
        @DBOS.workflow(name=STAGE_WORK, max_recovery_attempts=None)
        def stage_work(job: str, chunk: int, stage: str, trail: str) -> None:
            order = Order(job, chunk, Stage(stage), trail)
            self._carry_out(lambda: self._run_order(order, self.stopped.is_set))

        @DBOS.workflow(name=READ_WORK, max_recovery_attempts=None)
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
