"""Composition: the only file that names concrete classes. Serving, evaluation and the command line
get their parts here, so what is measured is what is served.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from tokenizers import Tokenizer

from api.app import create_app
from api.keys import KeyRing
from api.metrics import Metrics
from api.no_archive import NoArchive
from api.served_models import Port, Served, ServedModels
from api.services import ApiSettings, Example, Services
from core.callers import NOBODY, Caller
from core.errors import DatelineError, InputError, ModelError, SettingsError
from core.observation import UNWATCHED, WatchedByAll, Watching
from core.ports import Clock, PairScorer, Tagger, TextEncoder
from dateline.settings import KeySetting, Settings
from indexing.ingest import Ingest
from indexing.passages import PassageEmbedder, PassageSplitter
from inference.batches import BatchLimits
from inference.cross_encoder import CrossEncoder
from inference.encoder import SentenceEncoder
from inference.late_interaction import MaxSimScorer
from inference.meter import TokenMeter
from inference.profiling import Subject, TokeniseClock, WatchedRuntime
from inference.remote import RemoteEncoder, RemoteModel, RemoteScorer, RemoteTagger
from inference.remote_calls import RemoteAddress, RemoteService, is_remote
from inference.runtime import Runtime
from inference.runtimes.choice import (
    Chosen,
    KeptChoices,
    RuntimeKind,
    choose,
    open_choice,
    this_machine,
)
from inference.runtimes.loading import beside
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.openvino import OpenVinoRuntime
from inference.runtimes.torch import TorchRuntime
from inference.sized_texts import sized_pairs, sized_texts
from inference.store import ModelFolder, ModelStore
from inference.tagger import LONGEST_TEXT, NameTagger
from inference.tokens import TextTokens
from inference.tracing import Tracing
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


_DEVICES = ("cpu", "cuda")

# Every runtime by its name in the settings; a model gets the first that reads it unless told else.
RUNTIMES: Mapping[str, RuntimeKind] = {
    "onnxruntime": RuntimeKind(OnnxRuntime.open, ("onnxruntime",), _DEVICES, ("onnx",)),
    "openvino": RuntimeKind(
        OpenVinoRuntime.open, ("openvino",), ("f32", "bf16"), ("openvino", "onnx")
    ),
    "torch": RuntimeKind(TorchRuntime.open, ("torch", "transformers"), _DEVICES, ("safetensors",)),
    "torchscript": RuntimeKind(TorchRuntime.open_script, ("torch",), _DEVICES, ("torchscript",)),
    "torch-compile": RuntimeKind(
        TorchRuntime.open_compiled, ("torch", "transformers"), _DEVICES, ("safetensors",)
    ),
}


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Models:
    """The loaded models. `missing` says which optional ones could not be loaded, and why."""

    encoder: SentenceEncoder | RemoteEncoder
    tagger: Tagger | None
    scorer: PairScorer | None
    missing: tuple[str, ...]
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def reranker(self) -> DeadlineReranker | None:
        """The scorer within a search's deadline."""
        return DeadlineReranker(self.scorer) if self.scorer is not None else None


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
    metrics = Metrics()
    watching = watched_by(metrics)
    encoder = _encoder(settings, watching)
    tagger, scorer, missing = _optional_models(settings, encoder, watching)
    return Models(encoder, tagger, scorer, missing, metrics)


def watched_by(metrics: Metrics) -> Watching:
    """Who is told what the models do: the metrics, and traces where the process writes any."""
    return WatchedByAll((metrics.models, Tracing()))


def _optional_models(
    settings: Settings, encoder: SentenceEncoder | RemoteEncoder | None, watching: Watching
) -> tuple[Tagger | None, PairScorer | None, tuple[str, ...]]:
    """The tagger, the scorer, and of what could not be loaded the role, the name and why."""
    tagger: Tagger | None = None
    scorer: PairScorer | None = None
    missing: list[str] = []
    try:
        tagger = _tagger(settings, watching) if settings.tagger else None
    except ModelError as error:
        missing.append(f"tagger {settings.tagger}: {error}")
    try:
        scorer = _scorer(settings, encoder, watching) if settings.reranker else None
    except ModelError as error:
        missing.append(f"reranker {settings.reranker}: {error}")
    return tagger, scorer, tuple(missing)


def _encoder(settings: Settings, watching: Watching) -> SentenceEncoder | RemoteEncoder:
    if remote := _remote(settings, settings.encoder):
        path = model_store(settings).describe(settings.encoder).path / remote.manifest.tokenizer
        return RemoteEncoder(remote, path, settings.threads)
    return open_encoder(settings, settings.encoder, watching)


def _tagger(settings: Settings, watching: Watching) -> Tagger:
    remote = _remote(settings, settings.tagger)
    if remote:
        return RemoteTagger(remote)
    return open_tagger(settings, settings.tagger, watching)


def _remote(settings: Settings, name: str) -> RemoteModel | None:
    """The model at the service that the setting `runtimes` names for it; None where it names none.
    Only its manifest and tokenizer are needed here, and the service need not answer yet.
    """
    runtime = settings.runtimes.get(name, "")
    if not is_remote(runtime):
        return None
    address = RemoteAddress.parse(runtime, where=f"runtimes.{name}")
    key = settings.remote_key.get_secret_value() if settings.remote_key else ""
    manifest = model_store(settings).describe(name).manifest
    return RemoteModel(RemoteService.open(address, key=key), manifest)


def kept_choices(settings: Settings) -> KeptChoices:
    """What `dateline models bench --choose` kept for this machine."""
    return KeptChoices(settings.data / "runtimes.json", this_machine)


def runtime_of(settings: Settings, folder: ModelFolder) -> Chosen:
    """Which runtime a model gets, and why. Raises SettingsError for one that there is not."""
    manifest = folder.manifest
    return choose(
        manifest,
        RUNTIMES,
        setting=settings.runtimes.get(manifest.name, ""),
        kept=kept_choices(settings).find(manifest),
        device=settings.device,
    )


def open_runtime(settings: Settings, folder: ModelFolder, *, threads: int) -> Runtime:
    """The model's graph, loaded by its runtime; `threads` work on one call.

    Raises ModelError where it can't be loaded, SettingsError for a runtime that there is not.
    """
    chosen = runtime_of(settings, folder).choice
    return open_choice(chosen, RUNTIMES, folder, threads=threads)


def model_tokenizer(folder: ModelFolder) -> Tokenizer:
    """A model's tokenizer, from checked bytes."""
    return TextTokens.open(folder).tokenizer


def _batch_limits(settings: Settings) -> BatchLimits:
    """How callers share a model: as many batches at once as there are threads."""
    return BatchLimits(
        settings.batch_tokens,
        settings.threads,
        settings.batch_wait_ms,
        settings.batch_waiting_tokens,
    )


def open_encoder(settings: Settings, name: str, watching: Watching = UNWATCHED) -> SentenceEncoder:
    """The model `name` in its runtime, one thread to a call, as many calls at once as threads."""
    folder = model_store(settings).open(name)
    runtime = open_runtime(settings, folder, threads=1)
    return SentenceEncoder.over(folder, runtime, limits=_batch_limits(settings), watching=watching)


def open_tagger(settings: Settings, name: str, watching: Watching = UNWATCHED) -> NameTagger:
    """The model `name` in its runtime, one thread to a call, as many calls at once as threads."""
    folder = model_store(settings).open(name)
    runtime = open_runtime(settings, folder, threads=1)
    return NameTagger.over(folder, runtime, limits=_batch_limits(settings), watching=watching)


def open_scorer(settings: Settings, name: str, watching: Watching = UNWATCHED) -> PairScorer:
    """The model `name` in its runtime: a cross-encoder, or late interaction over an encoder."""
    folder = model_store(settings).open(name)
    kind = CrossEncoder if folder.manifest.task == "score" else MaxSimScorer
    runtime = open_runtime(settings, folder, threads=1)
    return kind.over(folder, runtime, limits=_batch_limits(settings), watching=watching)


def _scorer(
    settings: Settings, encoder: SentenceEncoder | RemoteEncoder | None, watching: Watching
) -> PairScorer:
    """The reranker's model; late interaction goes over the encoder's own graph where it can."""
    if remote := _remote(settings, settings.reranker):
        return RemoteScorer(remote)
    if settings.reranker == settings.encoder and isinstance(encoder, SentenceEncoder):
        folder, runtime = encoder.folder, encoder.runtime
        limits = _batch_limits(settings)
        return MaxSimScorer.over(folder, runtime, limits=limits, watching=watching)
    return open_scorer(settings, settings.reranker, watching)


def build_engine(
    settings: Settings, encoder: TextEncoder, clock: Clock, *, background: bool
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
    if models.tagger is not None:
        engine.known((), NOBODY)  # takes the archive's names in before the first query asks
    parts = Parts(
        engine=engine,
        encoders={VECTOR_FIELD: models.encoder},
        understanding=Understanding(models.tagger, engine),
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
    return {name: _adjusted(profile, settings) for name, profile in found.items()}


def _adjusted(profile: Profile, settings: Settings) -> Profile:
    changed = replace(profile, entity_boost=settings.entity_boost)
    if not profile.rerank_depth:
        return changed
    depth, tokens = settings.rerank_candidates, settings.rerank_tokens
    return replace(changed, rerank_depth=depth, rerank_tokens=tokens)


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


def served_models(
    settings: Settings,
    encoder: TextEncoder | None,
    tagger: Tagger | None,
    scorer: PairScorer | None,
    missing: Sequence[str],
) -> ServedModels:
    """The loaded models for the endpoints that ask them directly."""
    return ServedModels(
        _served(settings, settings.encoder, encoder) if encoder is not None else None,
        _served(settings, settings.tagger, tagger) if tagger is not None else None,
        _served(settings, settings.reranker, scorer) if scorer is not None else None,
        {said.partition(" ")[0]: said for said in missing},
    )


def _served(settings: Settings, name: str, port: Port) -> Served[Port]:
    folder = model_store(settings).describe(name)
    manifest = folder.manifest
    meter = TokenMeter.open(folder, max_characters=LONGEST_TEXT if manifest.task == "tag" else 0)
    digest = str(getattr(port, "digest", manifest.digest))
    return Served(name, digest, port, meter, manifest.max_tokens, manifest.dimension)


@dataclass(frozen=True, slots=True)
class ModelService:
    """A service without an archive: its models, asked directly."""

    settings: Settings
    models: ServedModels
    metrics: Metrics

    def status(self) -> Mapping[str, Any]:
        """Which models run, ready for JSON."""
        running = (self.models.encoder, self.models.tagger, self.models.scorer)
        names = [served.name for served in running if served is not None]
        return {"models": {"running": names, "missing": list(self.models.missing.values())}}

    def ready(self) -> tuple[bool, str]:
        """Whether every model that the settings name runs."""
        missing = ", ".join(sorted(self.models.missing))
        return not missing, f"not loaded: {missing}" if missing else ""


def build_model_service(settings: Settings) -> ModelService:
    """The models that the settings name, any of them "" for none. Raises ModelError where none is
    left.
    """
    metrics = Metrics()
    watching = watched_by(metrics)
    encoder = _encoder(settings, watching) if settings.encoder else None
    tagger, scorer, missing = _optional_models(settings, encoder, watching)
    if encoder is None and tagger is None and scorer is None:
        why = "; ".join(missing) or "no setting names one"
        raise ModelError("there is no model to serve", where=why, mend="see `dateline doctor`")
    served = served_models(settings, encoder, tagger, scorer, missing)
    return ModelService(settings, served, metrics)


def build_model_app(service: ModelService) -> Any:
    """The ASGI application over models alone."""
    settings = service.settings
    absent = NoArchive()
    return create_app(
        Services(
            search=absent,
            library=absent,
            writer=absent,
            ingest=absent,
            status=service,
            keys=key_ring(settings),
            settings=ApiSettings(
                max_body_bytes=settings.max_body_bytes,
                max_waiting=settings.waiting,
                loopback=settings.on_loopback,
                models_only=True,
            ),
            models=service.models,
            metrics=service.metrics,
        )
    )


def build_app(service: Service, examples: Sequence[Example] = ()) -> Any:
    """The ASGI application over a service."""
    settings, models = service.settings, service.models
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
            models=served_models(
                settings, models.encoder, models.tagger, models.scorer, models.missing
            ),
            metrics=models.metrics,
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


def ask_remote_models(settings: Settings) -> list[CheckedModel]:
    """Every model that is used here and runs elsewhere, asked one question."""
    used = dict.fromkeys((settings.encoder, settings.tagger, settings.reranker))
    asked: list[CheckedModel] = []
    for name in used:
        try:
            remote = _remote(settings, name)
            if remote is not None:
                _ask(remote)
                asked.append(CheckedModel(name, True, f"answers at {remote.service.address.url}"))
        except DatelineError as error:
            asked.append(CheckedModel(name, False, str(error)))
    return asked


def _ask(remote: RemoteModel) -> None:
    """One short question. Raises what the model's port raises."""
    with closing(remote.service):
        match remote.manifest.task:
            case "encode":
                RemoteEncoder(remote, Path()).encode_queries(["a"])
            case "tag":
                RemoteTagger(remote).tag(["a"])
            case _:
                RemoteScorer(remote).score(["a"], ["a"])


def model_store(settings: Settings) -> ModelStore:
    """The bundled models, then those that were pulled."""
    return ModelStore(settings.models, (settings.pulled_models,))


def verify_models(settings: Settings) -> list[CheckedModel]:
    """Every model, bundled or pulled, checked by checksum."""
    problems: dict[str, list[str]] = {}
    for row in model_store(settings).verify():
        problems.setdefault(row.model, [])
        if row.problem:
            problems[row.model].append(f"{row.path}: {row.problem}")
    return [
        CheckedModel(name, not found, "; ".join(found) or "every checksum matches")
        for name, found in problems.items()
    ]


def open_subject(
    settings: Settings, name: str, texts: int, tokens: int, *, task: str = ""
) -> Subject:
    """A model in ONNX Runtime on one thread and without a cache, with `texts` texts, or pairs of
    texts, of `tokens` tokens to put to it; `task` `score` makes a scorer of an encoder.

    Raises ModelError for a model without an ONNX graph, InputError for texts that it can't read.
    """
    folder = model_store(settings).open(name)
    manifest = folder.manifest
    if not texts or not tokens or tokens > manifest.max_tokens:
        what = f"{texts} texts of {tokens} tokens can't be put to {name}"
        raise InputError(what, mend=f"it reads 1 to {manifest.max_tokens} tokens of a text")
    runtime, clock = WatchedRuntime(OnnxRuntime.open(folder, threads=1)), TokeniseClock()
    tokenizer = TextTokens.open(folder).tokenizer
    limits = replace(_batch_limits(settings), lanes=1)
    call: Callable[[], object]
    match task or manifest.task:
        case "tag":
            tagger = NameTagger.over(folder, runtime, cache_size=0, limits=limits, watching=clock)
            call = partial(tagger.tag, sized_texts(tokenizer, texts, tokens))
        case "encode":
            encoder = SentenceEncoder.over(
                folder, runtime, cache_size=0, limits=limits, watching=clock
            )
            put = encoder.encode_queries if texts == 1 else encoder.encode_passages
            prefix = manifest.query_prefix if texts == 1 else manifest.passage_prefix
            call = partial(put, sized_texts(tokenizer, texts, tokens, prefix=prefix))
        case _:
            kind = CrossEncoder if manifest.task == "score" else MaxSimScorer
            scorer: PairScorer = kind.over(folder, runtime, limits=limits, watching=clock)
            pairs = sized_pairs(tokenizer, texts, tokens)
            call = partial(scorer.score, pairs.queries, pairs.passages)
    graph, weights = folder.read(manifest.graph), beside(folder, manifest.graph)
    return Subject(name, graph, weights, manifest.optimized, texts, tokens, call, runtime, clock)
