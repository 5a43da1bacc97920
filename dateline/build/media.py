"""Composition of durable ingest: orders, and the processes that carry them out.

Needs the extra [media]; everything else runs without this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import SettingsError
from core.work import Stage
from dateline.archive_folder import archive_folder
from dateline.build.detector import batch_sizes
from dateline.build.service import Service
from dateline.build.stages import Stages, build_stages, work_database
from dateline.media_settings import WORK_CHUNKS
from dateline.settings import ORDERS, Settings
from indexing.work.desk import JobDesk
from indexing.work.order_book import OrderBook
from indexing.work.queue_names import QUEUES
from indexing.work.queues import QueueSettings, QueueWorker
from indexing.work.sources.stores import FileStores
from indexing.work.stages.chunks import ChunkRunner
from indexing.work.stages.reading import Reading
from indexing.work.workers import ProcessName, Sweeper
from storage.databases import Database
from storage.work.beats import StoredBeats
from storage.work.jobs import StoredJobs
from storage.work.ledger import StoredLedger


@dataclass(frozen=True, slots=True)
class Desk:
    """Orders and what became of them, without any work: for commands."""

    database: Database
    jobs: StoredJobs
    orders: OrderBook
    desk: JobDesk

    def close(self) -> None:
        """Closes the database."""
        self.orders.close()
        self.database.close()


def open_desk(settings: Settings, *, synced: bool = True) -> Desk:
    """The orders of the settings' archive, as `synced` as is wanted. Raises StorageError."""
    database = work_database(settings, ORDERS, synced=synced)
    jobs = StoredJobs(database)
    orders = OrderBook(database.engine)
    return Desk(database, jobs, orders, JobDesk(jobs, orders, FileStores()))


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that carries out orders; `close` ends it."""

    desk: Desk
    queues: QueueWorker
    reading: Reading
    parts: Stages
    sweeper: Sweeper
    name: ProcessName
    ledger: StoredLedger

    def stop(self) -> None:
        """Tells what is under way to end soon."""
        self.queues.stop()

    def close(self) -> None:
        """Ends what is under way, then everything else."""
        self.queues.close()
        self.sweeper.close()
        self.parts.close()
        self.ledger.close()
        self.name.release()
        self.desk.close()


def build_worker(settings: Settings, service: Service, queues: Sequence[str] = QUEUES) -> Worker:
    """A worker for some of the queues, over a service's record of truth. Raises DatelineError where
    a part of it can't be had.
    """
    chunks, _ = _chunks(settings), batch_sizes(settings)  # what is wrong is told before all else
    desk = open_desk(settings, synced=False)
    ledger = StoredLedger(work_database(settings, "ledger.sqlite", synced=False))
    name = ProcessName(archive_folder(settings) / "workers")
    parts = build_stages(settings, service, ledger, name.name)
    halt = _Halt()
    runner = ChunkRunner(
        desk.jobs,
        desk.orders,
        parts.stages,
        halt.wait,
        tries=settings.work_tries,
        first_retry_s=settings.work_retry_s,
        here={Stage.APPLY: chunks[Stage.APPLY]} if Stage.APPLY in queues else {},
    )
    reading = Reading(
        desk.jobs,
        desk.orders,
        parts.stores,
        halt.wait,
        chunk=settings.work_chunk,
        ahead=settings.work_ahead,
    )
    desk.desk.heal_all()
    worker = QueueWorker(
        desk.database.engine,
        name.name,
        runner.run,
        reading.run,
        lambda job, trail: desk.orders.give_reading(desk.jobs.job(job), trail),
        QueueSettings(chunks, settings.work_poll_s, _rare(settings)),
        queues,
    )
    halt.worker = worker
    beats = StoredBeats(desk.database)
    sweeper = Sweeper(name, desk.orders, beats, lambda: worker.working, desk.desk.heal_all)
    return Worker(desk, worker, reading, parts, sweeper, name, ledger)


def _chunks(settings: Settings) -> dict[str, int]:
    """Orders at the same time by queue. Raises SettingsError for what is no queue."""
    for name, count in settings.work_chunks.items():
        if name not in QUEUES or count < 1:
            what, mend = (
                f"{name} = {count} is no queue's",
                f"write 1 or more for {', '.join(QUEUES)}",
            )
            raise SettingsError(what, where="work_chunks", mend=mend)
    return {**WORK_CHUNKS, **settings.work_chunks}


def _rare(settings: Settings) -> tuple[str, ...]:
    """Queues that get no order by these settings, but maybe from a job that began under others."""
    apart = () if settings.models_apart else (str(Stage.SHOTS), str(Stage.EMBED))
    return apart if settings.captioner else (*apart, str(Stage.DESCRIBE))


class _Halt:
    """Waits for the worker that is made later, since its parts ask it whether to stop."""

    def __init__(self) -> None:
        self.worker: QueueWorker | None = None

    def wait(self, seconds: float) -> bool:
        worker = self.worker
        return worker is not None and worker.wait(seconds)
