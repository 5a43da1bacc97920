"""Composition of what an ingest of photos and videos does to them, as the settings say.

Needs the extra [media]; everything else runs without this module.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.items import Item
from core.media_ports import Ledger
from core.work import Stage
from dateline.build import Service, system_clock
from dateline.build_captions import captioner_of
from dateline.build_detector import shot_detector_of, shot_settings
from dateline.build_stills import media_store
from dateline.settings import Settings
from indexing.media.asset import Asset, Enrichment
from indexing.media.assets import build_item
from indexing.media.reading import CagedReader
from indexing.media.shots import ShotFinder
from indexing.work.apply_stage import ApplyStage
from indexing.work.decode_stage import THREADS_A_FILE, DecodeStage
from indexing.work.decoding import Decoder
from indexing.work.describe_stage import DescribeStage
from indexing.work.late_finder import LateFinder
from indexing.work.preparing import Preparing
from indexing.work.remembered import Remembered
from indexing.work.scaling import Scaler
from indexing.work.stage import StageWork
from indexing.work.stores import FileStores, Spool
from storage.databases import Database, open_database
from storage.likenesses import StoredLikenesses


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages, and the stores that files come from; `close` ends what they run."""

    stages: Mapping[Stage, StageWork]
    stores: FileStores
    ends: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """Ends threads, child processes and models."""
        for end in self.ends:
            end()


def build_stages(settings: Settings, service: Service, ledger: Ledger, process: str) -> Stages:
    """The stages of an ingest over a service's record of truth. Raises DatelineError where one of
    them can't be had.
    """
    ends: list[Callable[[], None]] = []
    spare = settings.data / "spool" / process  # nobody else's while this process bears the name
    reader, stores, known = CagedReader(), FileStores(), Remembered(ledger)
    database = work_database(settings, "ledger.sqlite")
    captioner = captioner_of(settings)
    finder = LateFinder(lambda: _finder(settings, ends)) if settings.shots else None
    spool = Spool(spare, stores, room=settings.spool_bytes, largest=settings.media_max_bytes)
    spool.clear()  # what a killed process of this name left behind
    store, files = media_store(settings), settings.decode_files
    decoder = Decoder(reader, finder, store, known, spool, files)
    decode = DecodeStage(decoder, files * THREADS_A_FILE)
    preparing = Preparing(
        decoder,
        _item_of,
        known,
        "" if captioner is None else captioner.digest,
        every=settings.caption_everything,
        rule=settings.external_processing,
    )
    describe = DescribeStage(
        preparing,
        captioner,
        store,
        known,
        StoredLikenesses(database),
        Scaler(reader, spare, settings.caption_edge).scaled,
    )
    apply = ApplyStage(preparing, service.ingest, service.engine.newest)
    ends += [decode.close, reader.close, spool.clear, database.close]
    ends += [] if captioner is None else [captioner.close]
    stages: Mapping[Stage, StageWork] = {
        Stage.DECODE: decode,
        Stage.DESCRIBE: describe,
        Stage.APPLY: apply,
    }
    return Stages(stages, stores, ends)


def work_database(settings: Settings, file: str) -> Database:
    """The database that a setting names, else a file in the archive's folder."""
    url = settings.work_url
    return open_database(settings.data / file if url is None else url.get_secret_value())


def _finder(settings: Settings, ends: list[Callable[[], None]]) -> ShotFinder:
    detector = shot_detector_of(settings)
    ends.append(detector.close)
    return ShotFinder(detector, shot_settings(settings))


def _item_of(asset: Asset, enrichment: Enrichment, recorded: Item | None) -> Item:
    return build_item(asset, enrichment, system_clock, recorded).item
