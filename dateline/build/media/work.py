"""Composition of durable ingest: orders, and the processes that carry them out.

Needs the extra [media]; everything else runs without this module.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from core.errors import SettingsError
from core.work import OPERATE, Order
from dateline.archive_folder import archive_folder
from dateline.aws.spot import SpotWatch
from dateline.build.media.desk import Desk, open_desk, work_database
from dateline.build.media.shots import batch_sizes
from dateline.build.media.stages import Stages, build_stages
from dateline.build.operations import carried_out
from dateline.build.service import Service
from dateline.media_settings import WORK_CHUNKS
from dateline.settings import LEDGER, Settings
from indexing.work.operations import OperationRunner
from indexing.work.queues import EVERY_QUEUE, QUEUES, ProcessName, QueueSettings, QueueWorker
from indexing.work.searchable import Searchable
from indexing.work.stages.chunks import ChunkRunner
from indexing.work.stages.reading import Reading
from indexing.work.stages.stage import Stop
from storage.work.ledger import StoredLedger
from storage.work.orders import StoredOrders

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that carries out orders; `close` ends it."""

    desk: Desk
    queues: QueueWorker
    reading: Reading
    parts: Stages
    name: ProcessName
    ledger: StoredLedger
    searchable: Searchable
    spot: SpotWatch | None = None

    def stop(self) -> None:
        """Tell work in progress to end soon."""
        self.queues.stop()

    def close(self) -> None:
        """End work in progress, then everything else."""
        if self.spot is not None:
            self.spot.close()
        self.queues.close()
        self.searchable.close()
        self.parts.close()
        self.ledger.close()
        self.name.release()
        self.desk.close()


def build_worker(settings: Settings, service: Service, queues: Sequence[str] = QUEUES) -> Worker:
    """Return a worker for some of the queues, over a service's record of truth. Raises
    DatelineError if a part of it can't be opened.
    """
    chunks, _ = _chunks(settings), batch_sizes(settings)  # wrong settings fail before all else
    desk = open_desk(settings, synced=False)
    orders = StoredOrders(desk.database)
    ledger = StoredLedger(work_database(settings, LEDGER, synced=False))
    name = ProcessName(archive_folder(settings) / "workers")
    parts = build_stages(settings, service, ledger, name.name)
    stopped = threading.Event()
    runner = ChunkRunner(
        desk.jobs,
        orders,
        parts.stages,
        stopped.wait,
        tries=settings.work_tries,
        first_retry_s=settings.work_retry_s,
    )
    reading = Reading(
        desk.jobs,
        orders,
        parts.stores,
        stopped.wait,
        chunk=settings.work_chunk,
        ahead=settings.work_ahead,
    )
    searchable = Searchable(runner.run, service.writer.cover)
    operations = OperationRunner(
        desk.jobs, orders, partial(carried_out, settings), tries=settings.work_tries
    )

    def run(order: Order, stop: Stop) -> None:
        (operations.run if order.queue == OPERATE else searchable.run)(order, stop)

    worker = QueueWorker(
        orders,
        name.name,
        run,
        reading.run,
        QueueSettings(chunks, settings.work_poll_s),
        queues,
        stopped=stopped,
    )
    spot = SpotWatch(partial(_warned, worker)) if settings.spot else None
    return Worker(desk, worker, reading, parts, name, ledger, searchable, spot)


def _warned(worker: QueueWorker, warning: str) -> None:
    log.warning("this spot instance is taken away (%s): work in progress ends first", warning)
    worker.stop()


def _chunks(settings: Settings) -> dict[str, int]:
    """Return the orders at the same time by queue. Raises SettingsError for an unknown queue."""
    for name, count in settings.work_chunks.items():
        if name not in EVERY_QUEUE or count < 1:
            what, mend = (
                f"{name} = {count} is no queue's",
                f"write 1 or more for {', '.join(EVERY_QUEUE)}",
            )
            raise SettingsError(what, where="work_chunks", mend=mend)
    return {**WORK_CHUNKS, **settings.work_chunks}
