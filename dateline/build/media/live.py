"""Composition of live sources as items: the cage, the models, the item's writer and the files.

Needs the extra [media]; everything else runs without this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from core.errors import StorageError
from core.media import LiveItem, Still
from core.ports.models import Embedder
from dateline.build.looks import looker_of, looks_embedders
from dateline.build.media.desk import work_database
from dateline.build.media.shots import cage_limits, live_finder_of, shot_detector_of
from dateline.build.media.speech import speech_of
from dateline.build.media.stages import item_builder
from dateline.build.media.stills import media_store
from dateline.build.service import (
    Service,
    archive_clock,
    following_embedders,
    passage_embedder,
)
from dateline.settings import LEDGER, Settings
from indexing.embedding import SeveralEmbedders
from indexing.ingest import Ingest
from indexing.live.following import LiveParts
from indexing.live.items import LiveItems
from indexing.live.recording import LiveFolder, LiveState, Recorder
from indexing.live.telling import Findable, Listener
from indexing.media.cage.sources import Beside, LiveSource
from indexing.media.reading import CagedReader, FrameStream
from indexing.work.remembered import RememberedEncoder
from indexing.work.stages.decode import SHOT_EDGE
from storage.work.ledger import StoredLedger
from storage.work.live_lags import StoredLiveLags

_JPEG = ".jpg"


@dataclass(frozen=True, slots=True)
class LiveTerms:
    """How a source is followed: where its recordings are, the most bytes of them (0: it is not
    recorded), and the seconds of a part.
    """

    folder: LiveFolder
    most_bytes: int
    part_s: float


@contextmanager
def opened_parts(
    settings: Settings,
    service: Service,
    source: LiveSource,
    terms: LiveTerms,
    listener: Listener,
    archive: Callable[[LiveState], None],
) -> Iterator[tuple[LiveParts, str]]:
    """Yield what follows a source over a service's record of truth, and why nothing is transcribed,
    if the settings want it and can't have it. Raises DatelineError if a part can't be opened.
    """
    with ExitStack() as held:
        limits = replace(cage_limits(settings), threads=settings.threads)
        reader = held.enter_context(CagedReader(limits))
        detector = shot_detector_of(settings)
        held.callback(detector.close)
        speech = speech_of(settings)
        held.callback(speech.close)
        database = work_database(settings, LEDGER, synced=False)
        ledger = StoredLedger(database)
        held.enter_context(closing(ledger))
        looker = looker_of(settings, service.models, ledger)
        embedder = _embedder(settings, service, ledger)
        ingest = Ingest(
            service.writer, embedder, archive_clock(settings), settings.default_products
        )
        store = media_store(settings)

        def keep(still: Still) -> tuple[str, str]:
            name = store.put(still.jpeg, _JPEG)
            return name, "" if still.black else still.similarity

        def connect(beside: Beside) -> FrameStream[LiveItem]:
            return reader.live(source, beside)

        noted = _noted(listener, StoredLiveLags(database))
        yield (
            LiveParts(
                connect=connect,
                finder=partial(live_finder_of, settings, detector),
                keep=keep,
                transcriber=speech.model,
                items=LiveItems(
                    item_builder(settings, None),
                    ingest,
                    service.engine.newest,
                    service.engine.record.empty_vectors,
                    looker,
                    settings.external_processing,
                ),
                cover=service.writer.cover,
                folder=terms.folder,
                recorder=Recorder(terms.most_bytes, listener.trouble),
                records=terms.most_bytes > 0,
                listener=noted,
                edge=SHOT_EDGE,
                part_s=terms.part_s,
                archive=archive,
            ),
            speech.lacks,
        )


def _noted(listener: Listener, lags: StoredLiveLags) -> Listener:
    """Return a listener that keeps the lags for operators, too."""

    def findable(found: Findable) -> None:
        listener.findable(found)
        if found.lag_s is None:
            return
        try:
            lags.add("shots" if found.number else "words", found.lag_s)
        except StorageError as error:
            listener.trouble(f"the metrics don't have its lag: {error.what}")

    return replace(listener, findable=findable)


def _embedder(settings: Settings, service: Service, ledger: StoredLedger) -> Embedder:
    """Return an embedder that computes nothing twice: each version has all words of the one before
    it.
    """
    models = service.models
    texts = passage_embedder(models, lambda each: RememberedEncoder(each, ledger))
    looks = looks_embedders(settings, looker_of(settings, models, ledger))
    return SeveralEmbedders((texts, *looks, *following_embedders(models)))
