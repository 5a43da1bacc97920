"""Composition of the models: with `build.py`, the only place that names concrete classes.

The service, the endpoints that ask models directly, evaluation and the commands of `dateline
models` get their models here.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tokenizers import Tokenizer

from api.metrics import Metrics
from api.served_models import Port, Served, ServedModels
from core.errors import InputError, ModelError, SettingsError
from core.model_ports import PairScorer, Tagger, TextEncoder, TextMeter
from core.observation import UNWATCHED, WatchedByAll, Watching
from dateline.settings import Settings
from inference.batches import BatchLimits
from inference.cross_encoder import CrossEncoder
from inference.encoder import SentenceEncoder
from inference.late_interaction import MaxSimScorer
from inference.manifest import ModelManifest
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
from inference.sample_windows import sample_windows
from inference.shot_detector import TransitionDetector
from inference.sized_texts import sized_pairs, sized_texts
from inference.store import ModelFolder, ModelStore
from inference.tagger import LONGEST_TEXT, NameTagger
from inference.tokens import TextTokens
from inference.tracing import Tracing
from rerank.deadline import DeadlineReranker

Encoder = SentenceEncoder | RemoteEncoder
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


def model_store(settings: Settings) -> ModelStore:
    """The bundled models, then those that were pulled."""
    return ModelStore(settings.models, (settings.pulled_models,))


@dataclass(frozen=True, slots=True)
class Models:
    """The loaded models. `second` embeds texts once more where a setting asks for it,
    `following` is the encoder that the archive moves to in the place of the first one; `missing`
    says which optional ones could not be loaded, and why.
    """

    encoder: Encoder
    tagger: Tagger | None
    scorer: PairScorer | None
    missing: tuple[str, ...]
    metrics: Metrics = field(default_factory=Metrics)
    second: Encoder | None = None
    following: Encoder | None = None

    @property
    def encoders(self) -> tuple[Encoder, ...]:
        """Every encoder, the first one first."""
        return (self.encoder,) if self.second is None else (self.encoder, self.second)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that the encoder reads, as its manifest says."""
        return manifest_of(self.encoder).languages

    @property
    def longest_text(self) -> int:
        """The most tokens that every encoder reads of a text."""
        return min(manifest_of(encoder).max_tokens for encoder in self.encoders)

    @property
    def own_meters(self) -> tuple[TextMeter | None, ...]:
        """By encoder, what counts its tokens where they are not those of the first one."""
        first = _tokenizer_digest(self.encoder)
        others = [_tokenizer_digest(encoder) != first for encoder in self.encoders]
        return tuple(
            _meter_of(encoder) if other else None
            for encoder, other in zip(self.encoders, others, strict=True)
        )

    @property
    def reranker(self) -> DeadlineReranker | None:
        """The scorer within a search's deadline."""
        return DeadlineReranker(self.scorer) if self.scorer is not None else None


def load_models(settings: Settings) -> Models:
    """Loads the models by checksum. Raises ModelError for an encoder, since what is ingested
    without one would lack its vectors; the others are optional.
    """
    metrics = Metrics()
    watching = watched_by(metrics)
    encoder = encoder_of(settings, watching)
    second = _second_encoder(settings, watching)
    encoders = [encoder] if second is None else [encoder, second]
    tagger, scorer, missing = optional_models(settings, encoders, watching)
    following = _following(settings, watching)
    return Models(encoder, tagger, scorer, missing, metrics, second, following)


def manifest_of(encoder: Encoder) -> ModelManifest:
    """What the encoder's maker says of it."""
    return encoder.manifest if isinstance(encoder, SentenceEncoder) else encoder.model.manifest


def _second_encoder(settings: Settings, watching: Watching) -> Encoder | None:
    if not settings.second_encoder:
        return None
    if settings.second_encoder == settings.encoder:
        what = f"{settings.encoder} is the encoder already"
        mend = "name another model, or leave it empty"
        raise SettingsError(what, where="second_encoder", mend=mend)
    return encoder_of(settings, watching, settings.second_encoder)


def _following(settings: Settings, watching: Watching) -> Encoder | None:
    """The encoder that the archive moves to. An embedded engine does not move: it is told so."""
    if not settings.next_encoder:
        return None
    if settings.next_encoder in (settings.encoder, settings.second_encoder):
        what = f"{settings.next_encoder} is an encoder already"
        raise SettingsError(what, where="next_encoder", mend="leave it empty")
    if settings.engine != "opensearch":
        what = "only an archive on OpenSearch moves to another encoder while it serves"
        mend = "set `encoder` and run `dateline embed`, or set `engine` to opensearch first"
        raise SettingsError(what, where="next_encoder", mend=mend)
    return encoder_of(settings, watching, settings.next_encoder)


def _tokenizer_digest(encoder: Encoder) -> str:
    manifest = manifest_of(encoder)
    return manifest.files[manifest.tokenizer]


def _meter_of(encoder: Encoder) -> TextMeter:
    manifest = manifest_of(encoder)
    folder = encoder.tokenizer_path.parents[len(Path(manifest.tokenizer).parts) - 1]
    return TokenMeter.open(ModelFolder(folder, manifest))


def watched_by(metrics: Metrics) -> Watching:
    """Who is told what the models do: the metrics, and traces where the process writes any."""
    return WatchedByAll((metrics.models, Tracing()))


def optional_models(
    settings: Settings, encoders: Sequence[Encoder], watching: Watching
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
        scorer = _scorer(settings, encoders, watching) if settings.reranker else None
    except ModelError as error:
        missing.append(f"reranker {settings.reranker}: {error}")
    return tagger, scorer, tuple(missing)


def encoder_of(settings: Settings, watching: Watching, name: str = "") -> Encoder:
    """The encoder `name` ("": the one that the settings name), here or elsewhere. Raises
    ModelError.
    """
    name = name or settings.encoder
    if remote := _remote(settings, name):
        path = model_store(settings).describe(name).path / remote.manifest.tokenizer
        return RemoteEncoder(remote, path, settings.threads)
    return open_encoder(settings, name, watching)


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


def ask_remote(settings: Settings, name: str) -> str:
    """Puts one short question to the model `name` where it runs elsewhere; gives its address, ""
    for a model that runs here. Raises what the model's port raises.
    """
    remote = _remote(settings, name)
    if remote is None:
        return ""
    with closing(remote.service):
        match name:  # by the part it has here: an encoder may be asked to rerank
            case settings.encoder | settings.second_encoder:
                RemoteEncoder(remote, Path()).encode_queries(["a"])
            case settings.tagger:
                RemoteTagger(remote).tag(["a"])
            case _:
                RemoteScorer(remote).score(["a"], ["a"])
        return remote.service.address.url


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


def _scorer(settings: Settings, encoders: Sequence[Encoder], watching: Watching) -> PairScorer:
    """The reranker's model; late interaction goes over an encoder's own graph where it can."""
    if remote := _remote(settings, settings.reranker):
        return RemoteScorer(remote)
    for encoder in encoders:
        if isinstance(encoder, SentenceEncoder) and encoder.name == settings.reranker:
            folder, runtime = encoder.folder, encoder.runtime
            limits = _batch_limits(settings)
            return MaxSimScorer.over(folder, runtime, limits=limits, watching=watching)
    return open_scorer(settings, settings.reranker, watching)


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
    tokenizer = TextTokens.open(folder).tokenizer if manifest.tokenizer else None
    limits = replace(_batch_limits(settings), lanes=1)
    call: Callable[[], object]
    match task or manifest.task:
        case "shots":
            if tokens != manifest.max_tokens:
                mend = f"a window has {manifest.max_tokens} frames"
                raise InputError(f"{name} can't read windows of {tokens} frames", mend=mend)
            detector = TransitionDetector.over(folder, runtime, watching=clock)
            call = partial(detector.transitions, sample_windows(texts))
        case _ if tokenizer is None:
            raise InputError(f"{name} reads no texts", where=name)
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
