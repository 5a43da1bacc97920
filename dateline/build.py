"""Composition: the only file that names concrete classes. Serving, evaluation and the command line
get their parts here, so what is measured is what is served.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from api.app import create_app
from api.keys import KeyRing
from api.services import ApiSettings, Example, Services
from core.callers import Caller
from core.errors import ModelError, SettingsError
from core.ports import Clock, Tagger
from dateline.settings import KeySetting, Settings
from indexing.ingest import Ingest
from indexing.passages import PassageEmbedder, PassageSplitter
from inference.encoder import OnnxTextEncoder
from inference.late_interaction import MaxSimScorer
from inference.store import ModelStore
from inference.tagger import OnnxTagger
from rerank.deadline import DeadlineReranker
from search.pipeline import Parts, SearchPipeline
from search.profiles import Profile, standard_profiles
from search.understand import Understanding
from storage.embedded import copies
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.embedded.hnsw import HnswSettings
from storage.embedded.projector import ProjectionSettings
from storage.text_analysis import Analysis

VECTOR_FIELD = "text"
DEMO_PRODUCTS = ("demo", "demo-sport")
DEMO_READ_KEY = "demo-reader"
DEMO_INGEST_KEY = "demo-ingest"


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Models:
    """The loaded models. `missing` says which optional ones could not be loaded, and why."""

    encoder: OnnxTextEncoder
    tagger: Tagger | None
    reranker: DeadlineReranker | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that runs in one process; `close` ends it."""

    settings: Settings
    models: Models
    engine: EmbeddedEngine
    pipeline: SearchPipeline
    ingest: Ingest

    def close(self) -> None:
        """Ends background work and closes every file."""
        self.engine.close()

    def status(self) -> Mapping[str, Any]:
        """Counts, lags and models, ready for JSON."""
        engine = self.engine.status()
        lag = engine["last_change"] - engine["applied_change"]
        vectors = engine["vectors"]
        return {
            "items": engine["versions"],
            "visible": engine["visible"],
            "passages": sum(sum(v["segments"]) + v["tail"] for v in vectors.values()),
            "projections": {
                "columns": {"lag": lag},
                "lexical": {"lag": lag + engine["lexical"]["pending"], **engine["lexical"]},
                "vectors": {"lag": lag, **vectors},
            },
            "models": {"encoder": self.models.encoder.name, "missing": list(self.models.missing)},
            "engine": engine,
        }

    def ready(self) -> tuple[bool, str]:
        """Whether searches can be answered."""
        pending = self.engine.projector.progress.lexical_pending
        if pending > 1000:
            return False, f"the lexical index is {pending} documents behind"
        return True, ""


def load_models(settings: Settings) -> Models:
    """Loads the models by checksum. Raises ModelError for the encoder; the others are optional."""
    store = ModelStore(settings.models)
    encoder = OnnxTextEncoder.open(store, settings.encoder, threads=settings.threads)
    missing: list[str] = []
    tagger: Tagger | None = None
    reranker: DeadlineReranker | None = None
    try:
        if settings.tagger:
            tagger = OnnxTagger.open(store, settings.tagger, threads=1)
    except ModelError as error:
        missing.append(f"tagger {settings.tagger}: {error}")
    try:
        if settings.reranker:
            reranker = DeadlineReranker(_scorer(store, settings, encoder))
    except ModelError as error:
        missing.append(f"reranker {settings.reranker}: {error}")
    return Models(encoder, tagger, reranker, tuple(missing))


def _scorer(store: ModelStore, settings: Settings, encoder: OnnxTextEncoder) -> MaxSimScorer:
    """Late interaction; over the encoder's own graph where it is the same model."""
    if settings.reranker == settings.encoder:
        return MaxSimScorer(encoder.model, encoder.tokens)
    return MaxSimScorer.open(store, settings.reranker, threads=settings.threads)


def build_engine(
    settings: Settings, encoder: OnnxTextEncoder, clock: Clock, *, background: bool
) -> EmbeddedEngine:
    """The storage engine in `settings.data`."""
    hnsw = HnswSettings(settings.hnsw_m, settings.hnsw_ef_construction, settings.hnsw_ef_search)
    return EmbeddedEngine(
        EmbeddedSettings(
            folder=settings.data,
            spaces={VECTOR_FIELD: encoder.digest},
            hnsw=hnsw,
            projections=ProjectionSettings(build_threads=settings.threads),
            background=background,
        ),
        clock,
    )


def build_service(
    settings: Settings,
    *,
    models: Models | None = None,
    clock: Clock = system_clock,
    background: bool = True,
) -> Service:
    """The whole service in this process."""
    models = models or load_models(settings)
    engine = build_engine(settings, models.encoder, clock, background=background)
    parts = Parts(
        engine=engine,
        encoders={VECTOR_FIELD: models.encoder},
        understanding=Understanding(models.tagger),
        analysis=Analysis(),
        profiles=profiles(settings),
        default_profile=settings.profile,
        reranker=models.reranker,
    )
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not look at it again and again
    splitter = PassageSplitter(models.encoder.tokenizer_path)
    embedder = PassageEmbedder(splitter, [(VECTOR_FIELD, models.encoder)])
    return Service(settings, models, engine, SearchPipeline(parts), Ingest(engine, embedder, clock))


def profiles(settings: Settings) -> dict[str, Profile]:
    """The profiles by name, with what the settings change in them."""
    found = standard_profiles((VECTOR_FIELD,))
    if settings.profile not in found:
        raise SettingsError(
            f"there is no profile {settings.profile!r}",
            where="profile",
            mend=f"one of {', '.join(found)}",
        )
    return {
        name: replace(profile, entity_boost=settings.entity_boost)
        for name, profile in found.items()
    }


def key_ring(settings: Settings) -> KeyRing:
    """The keys in force. Raises SettingsError where the service would be open to a network
    without any.
    """
    if settings.keys:
        return KeyRing(tuple(_key_entry(key) for key in settings.keys))
    if not settings.on_loopback:
        raise SettingsError(
            f"no keys are configured and {settings.host} can be reached by others",
            where="keys",
            mend="set DATELINE_KEYS, or serve on 127.0.0.1",
        )
    return KeyRing.of(
        {
            DEMO_READ_KEY: Caller("demo reader", frozenset(DEMO_PRODUCTS)),
            DEMO_INGEST_KEY: Caller(
                "demo desk", frozenset(DEMO_PRODUCTS), may_write=True, may_inspect=True
            ),
        }
    )


def _key_entry(key: KeySetting) -> tuple[bytes, Caller]:
    if key.sha256:
        digest = bytes.fromhex(key.sha256)
    elif key.key:  # an empty one would open to requests without any
        digest = hashlib.sha256(key.key.get_secret_value().encode()).digest()
    else:
        raise SettingsError(f"key {key.name!r} has neither key nor sha256", where="keys")
    caller = Caller(key.name, frozenset(key.products), may_write=key.write, may_inspect=key.inspect)
    return digest, caller


def build_app(service: Service, examples: Sequence[Example] = ()) -> Any:
    """The ASGI application over a service."""
    settings = service.settings
    keyless = not settings.keys
    demo = settings.demo and settings.on_loopback and keyless
    return create_app(
        Services(
            search=service.pipeline,
            library=service.engine,
            writer=service.engine,
            ingest=service.ingest,
            status=service,
            keys=key_ring(settings),
            settings=ApiSettings(
                profiles=tuple(profiles(settings)),
                default_profile=settings.profile,
                max_body_bytes=settings.max_body_bytes,
                max_concurrent_searches=settings.searches,
                max_waiting=settings.waiting,
                loopback=settings.on_loopback,
                demo=demo,
                demo_read_key=DEMO_READ_KEY if demo else "",
                demo_ingest_key=DEMO_INGEST_KEY if demo else "",
                default_products=DEMO_PRODUCTS if demo else (),
                examples=tuple(examples),
            ),
            close=service.close,
        )
    )


def read_examples(path: Path) -> tuple[Example, ...]:
    """The page's clickable examples, from a JSON list of {label, q, why}."""
    if not path.is_file():
        return ()
    return tuple(
        Example(entry["label"], {"q": entry["q"]}, entry.get("why", ""))
        for entry in orjson.loads(path.read_bytes())
    )


def drop_projections(folder: Path) -> None:
    """See `storage.embedded.copies.drop_projections`."""
    copies.drop_projections(folder)


def backup_archive(folder: Path, target: Path) -> int:
    """See `storage.embedded.copies.backup`."""
    return copies.backup(folder, target)


def restore_archive(source: Path, folder: Path, *, force: bool) -> None:
    """See `storage.embedded.copies.restore`."""
    copies.restore(source, folder, force=force)


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A model and whether all of its files are as the manifest says."""

    name: str
    ok: bool
    says: str


def verify_models(folder: Path) -> list[CheckedModel]:
    """Every model in `folder`, checked by checksum."""
    problems: dict[str, list[str]] = {}
    for row in ModelStore(folder).verify():
        problems.setdefault(row.model, [])
        if row.problem:
            problems[row.model].append(f"{row.path}: {row.problem}")
    return [
        CheckedModel(name, not found, "; ".join(found) or "every checksum matches")
        for name, found in problems.items()
    ]
