"""Composition of the stages of an ingest of photos and videos, as the settings say.

Needs the extra [media]; everything else runs without this module.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.items import Item
from core.made_up_names import FoundNames
from core.ports.media import Ledger, MediaStore
from core.ports.models import Embedder, Tagger
from core.work import STAGES, Stage
from dateline.archive_folder import archive_folder
from dateline.build.looks import looker_of, looks_embedders
from dateline.build.media.captions import OwnedCaptioner, asked_in_batches, captioner_of
from dateline.build.media.desk import work_database
from dateline.build.media.named import without_pictures
from dateline.build.media.shots import batch_sizes, cage_limits, shot_detector_of, shot_finder_of
from dateline.build.media.speech import heard_of, speech_of, stage_of
from dateline.build.media.stills import media_store
from dateline.build.media.text_reader import eyes_of
from dateline.build.models.runtimes import model_store
from dateline.build.service import (
    Service,
    archive_clock,
    following_embedders,
    passage_embedder,
)
from dateline.settings import LEDGER, ORDERS, Settings
from indexing.captions.names import TaggedNames
from indexing.captions.rights import RightsNow, rights_now
from indexing.embedding import SeveralEmbedders
from indexing.ingest import Ingest
from indexing.looks import Looker
from indexing.media.assets import Asset, Enrichment, build_item
from indexing.media.reading import CagedReader
from indexing.media.shots.finding import ShotFinder
from indexing.work.remembered import Remembered, RememberedEncoder
from indexing.work.sources.stores import FileStores, Spool
from indexing.work.stages.apply import ApplyStage
from indexing.work.stages.asking import Asking, AskNow, Scale, Scaler
from indexing.work.stages.decode import THREADS_A_FILE, Decoder, DecodeStage, LateFinder
from indexing.work.stages.describe import AskLater, DescribeStage
from indexing.work.stages.embed import EmbedStage
from indexing.work.stages.look import LongShots, LookStage, seen_in
from indexing.work.stages.preparing import BuildItem, Preparing
from indexing.work.stages.read_text import NOT_READ, Legible, ReadTextStage
from indexing.work.stages.stage import StageWork
from storage.databases import Database
from storage.media.likenesses import StoredLikenesses
from storage.work.ledger import StoredLedger
from storage.work.waiting_stills import StoredWaitingStills


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages, and the stores of their files; `close` ends everything that they run."""

    stages: Mapping[Stage, StageWork]
    stores: FileStores
    ends: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """End threads, child processes and models."""
        for end in self.ends:
            end()


def build_stages(settings: Settings, service: Service, ledger: Ledger, process: str) -> Stages:
    """Return the stages of an ingest over a service's record of truth. Raises DatelineError if one
    of them can't be opened.
    """
    ends: list[Callable[[], None]] = []
    clock = archive_clock(settings)
    # Only this process uses the folder while it has the name.
    spare = archive_folder(settings) / "spool" / process
    reader, stores, known = CagedReader(cage_limits(settings)), FileStores(), Remembered(ledger)
    database = work_database(settings, LEDGER)
    captioner = captioner_of(settings, paid=service.models.metrics.captioned)
    speech = speech_of(settings)
    heard = heard_of(speech, known)
    finder = LateFinder(lambda: _finder(settings, ends)) if settings.shots else None
    spool = Spool(spare, stores, room=settings.spool_bytes, largest=settings.media_max_bytes)
    spool.clear()  # files that a killed process of this name left
    store, files = media_store(settings), settings.decode_files
    decoder = Decoder(reader, finder, store, known, spool, files)
    looker = looker_of(settings, service.models, ledger)
    beside = None if looker is None else LongShots(looker, known, reader, spool)
    eyes = eyes_of(settings)
    legible = None if eyes.model is None else Legible(eyes.model, known)
    preparing = Preparing(
        decoder,
        item_builder(settings, service.models.tagger),
        known,
        "" if captioner is None else captioner.digest,
        every=settings.caption_everything,
        rule=settings.external_processing,
        words=[
            *(one.words for one in (heard, legible) if one is not None),
            *([] if beside is None else [seen_in(beside.looker, beside)]),
        ],
    )
    scale = Scaler(reader, spare, settings.caption_edge).scaled
    ingest, newest, sizes = service.ingest, service.engine.newest, batch_sizes(settings)
    rights = rights_now(newest, settings.external_processing)
    asking = asking_of(settings, captioner, store, database, scale, rights, ends)
    if settings.models_apart or looker is not None:
        ingest = Ingest(
            service.writer,
            _embedder(settings, service, ledger, looker),
            clock,
            settings.default_products,
        )
    work = {
        Stage.DESCRIBE: asking is not None,
        Stage.TRANSCRIBE: speech.is_wanted,
        Stage.LOOK: beside is not None or bool(service.models.not_loaded("looks")),
        Stage.READ_TEXT: eyes.is_wanted,
        Stage.EMBED: settings.models_apart,
    }
    after = _chain(work)
    threads = files * THREADS_A_FILE
    then = after(Stage.SHOTS)
    decode = DecodeStage(decoder, threads, then=then, shots_apart=settings.models_apart)
    shots = DecodeStage(decoder, threads, then=then)
    describe = DescribeStage(preparing, asking, after(Stage.DESCRIBE))
    then = after(Stage.TRANSCRIBE)
    transcribe = stage_of(speech, heard, preparing, reader, spool, rights, then)
    look = _look_stage(preparing, beside, service.models.not_loaded("looks"), after(Stage.LOOK))
    read_text = _read_text_stage(preparing, store, legible, eyes.lacks, after(Stage.READ_TEXT))
    embed = EmbedStage(preparing, ingest, newest, sizes[Stage.EMBED])
    apply = ApplyStage(preparing, ingest, newest)
    ends.append(shots.close)
    ends += [decode.close, reader.close, spool.clear, database.close]
    ends += [speech.close, eyes.close]
    ends += [] if captioner is None else [captioner.close]
    stages: Mapping[Stage, StageWork] = {
        Stage.DECODE: decode,
        Stage.SHOTS: shots,
        Stage.DESCRIBE: describe,
        Stage.TRANSCRIBE: transcribe,
        Stage.LOOK: look,
        Stage.READ_TEXT: read_text,
        Stage.EMBED: embed,
        Stage.APPLY: apply,
    }
    return Stages(stages, stores, ends)


def _look_stage(
    preparing: Preparing, beside: LongShots | None, lacks: str, then: Stage
) -> StageWork:
    if beside is None:
        return without_pictures(then, f"not looked at: {lacks}" if lacks else "")
    return LookStage(preparing, beside, then)


def _read_text_stage(
    preparing: Preparing, store: MediaStore, legible: Legible | None, lacks: str, then: Stage
) -> StageWork:
    if legible is None:
        return without_pictures(then, f"{NOT_READ}: {lacks}" if lacks else "")
    return ReadTextStage(preparing, store, legible, then)


def _embedder(
    settings: Settings, service: Service, ledger: Ledger, looker: Looker | None
) -> Embedder:
    """Return the embedder of what is applied: with models apart, vectors of texts come from the
    ledger, and looks at pictures always do.
    """
    apart, models = settings.models_apart, service.models
    texts = passage_embedder(
        models, (lambda each: RememberedEncoder(each, ledger)) if apart else None
    )
    others = () if apart else following_embedders(models)
    return SeveralEmbedders((texts, *looks_embedders(settings, looker), *others))


def _chain(work: Mapping[Stage, bool]) -> Callable[[Stage], Stage]:
    """Return a function from a stage to the next one that has `work`; the last is to apply."""

    def after(stage: Stage) -> Stage:
        later = STAGES[STAGES.index(stage) + 1 :]
        return next((one for one in later if work.get(one)), Stage.APPLY)

    return after


def asking_of(
    settings: Settings,
    captioner: OwnedCaptioner | None,
    store: MediaStore,
    database: Database,
    scale: Scale,
    rights: RightsNow,
    ends: list[Callable[[], None]],
) -> Asking | None:
    """Return who asks about stills: nobody (None), a captioner at once, or the next batch. `ends`
    gets what has to be closed with it.
    """
    if captioner is None:
        return None
    # What was paid for is kept like the record: on the disk before anything else happens.
    known, likenesses = Remembered(StoredLedger(database)), StoredLikenesses(database)
    if asked_in_batches(settings):
        orders = work_database(settings, ORDERS)
        ends.append(orders.close)
        return AskLater(StoredWaitingStills(orders), known, likenesses, captioner.digest)
    # Paid answers are kept when a call ends: so a provider gets at most what it answers together.
    at_once = batch_sizes(settings)[Stage.DESCRIBE]
    at_once = settings.caption_at_once if captioner.leaves else at_once
    return AskNow(captioner, store, known, likenesses, scale, rights, at_once)


def _finder(settings: Settings, ends: list[Callable[[], None]]) -> ShotFinder:
    detector = shot_detector_of(settings)
    ends.append(detector.close)
    return shot_finder_of(detector)


def item_builder(settings: Settings, tagger: Tagger | None) -> BuildItem:
    """Return a function that makes items of assets; the tagger finds the names in captions. Without
    one, names are told by their capitals.
    """
    clock = archive_clock(settings)
    names: FoundNames | None = None
    if tagger is not None:
        manifest = model_store(settings).describe(settings.tagger).manifest
        names = TaggedNames(tagger, manifest.languages)

    def build(asset: Asset, enrichment: Enrichment, recorded: Item | None) -> Item:
        return build_item(asset, enrichment, clock, recorded, names=names).item

    return build
