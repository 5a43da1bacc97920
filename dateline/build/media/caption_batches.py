"""Composition of batches of captions: sending them and fetching the answers.

Needs the extra [media]; everything else runs without this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from core.errors import SettingsError
from dateline.archive_folder import archive_folder
from dateline.build.media.captions import asked_in_batches, batch_captioner_of, open_book
from dateline.build.media.desk import open_desk, work_database
from dateline.build.media.shots import cage_limits
from dateline.build.media.stills import media_store
from dateline.build.record import open_record
from dateline.build.service import archive_clock
from dateline.settings import LEDGER, Settings
from indexing.captions.batch import BatchCaptioner
from indexing.captions.calls import Paid
from indexing.captions.rights import rights_now
from indexing.media.reading import CagedReader
from indexing.work.caption_batches import CaptionBatches
from indexing.work.remembered import Remembered
from indexing.work.stages.asking import Scaler
from storage.embedded.record.archive import Record
from storage.media.items import newest_versions
from storage.media.likenesses import StoredLikenesses
from storage.work.ledger import StoredLedger
from storage.work.spend import StoredSpend
from storage.work.waiting_stills import StoredWaitingStills


@dataclass(frozen=True, slots=True)
class OpenedBatches:
    """The batches, the waiting stills, the provider, and the spending."""

    batches: CaptionBatches
    waiting: StoredWaitingStills
    captioner: BatchCaptioner
    book: StoredSpend


@contextmanager
def opened_batches(settings: Settings, paid: Paid | None = None) -> Iterator[OpenedBatches]:
    """Yield batches as the settings say; `paid` hears of each that has ended. Raises SettingsError
    if the settings name none.
    """
    if not asked_in_batches(settings):
        mend = "set caption_mode to batch; pictures that are ingested then wait for one"
        raise SettingsError(
            "captions are not asked for in batches", where="caption_mode", mend=mend
        )
    desk, results = open_desk(settings), work_database(settings, LEDGER)
    book, waiting = open_book(settings), StoredWaitingStills(desk.database)
    captioner = batch_captioner_of(settings, book, paid)
    if captioner is None:
        raise SettingsError("no provider is named", where="captioner")
    clock = archive_clock(settings)
    record = open_record(settings, {}, clock) or Record(archive_folder(settings), {}, clock)
    try:
        with TemporaryDirectory() as folder, CagedReader(cage_limits(settings)) as reader:
            batches = CaptionBatches(
                waiting,
                captioner,
                media_store(settings),
                Remembered(StoredLedger(results)),
                StoredLikenesses(results),
                desk.desk,
                Scaler(reader, Path(folder), settings.caption_edge).scaled,
                rights_now(
                    lambda uris: newest_versions(record.reads, uris), settings.external_processing
                ),
                most=settings.caption_batch,
            )
            yield OpenedBatches(batches, waiting, captioner, book)
    finally:
        captioner.close()
        for each in (results, book, desk, record):
            each.close()
