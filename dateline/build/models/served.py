"""Composition of the models: only the `build` modules name concrete classes.

The service, the endpoints that ask models directly, evaluation and the commands of `dateline
models` get their models here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from api.metrics import Metrics
from api.models.served_models import Port, Served, ServedModels
from core.errors import ModelError, SettingsError
from core.observation import WatchedByAll, Watching
from core.ports.media import PictureModel
from core.ports.models import PairScorer, Tagger, TextEncoder, TextMeter
from dateline.build.models.runtimes import (
    batch_limits,
    model_store,
    open_encoder,
    open_pictures,
    open_scorer,
    open_tagger,
)
from dateline.build.models.second_encoder import second_that_fits
from dateline.settings import Settings
from inference.encoder import SentenceEncoder
from inference.late_interaction import MaxSimScorer
from inference.models.manifest import ModelManifest
from inference.models.store import ModelFolder
from inference.runtimes.choice import is_remote
from inference.serving.meter import TokenMeter
from inference.serving.tracing import Tracing
from inference.tagger import LONGEST_TEXT
from rerank.deadline import DeadlineReranker

if TYPE_CHECKING:
    from inference.serving.remote import RemoteEncoder

    Encoder = SentenceEncoder | RemoteEncoder


@dataclass(frozen=True, slots=True)
class Models:
    """The loaded models. `second` also embeds texts if a setting asks for it, `following` is the
    encoder that the archive moves to instead of the first one, `pictures` looks at pictures;
    `missing` says which optional models could not be loaded, and why.
    """

    encoder: Encoder
    tagger: Tagger | None
    scorer: PairScorer | None
    missing: tuple[str, ...]
    metrics: Metrics = field(default_factory=Metrics)
    second: Encoder | None = None
    following: Encoder | None = None
    pictures: PictureModel | None = None

    @property
    def encoders(self) -> tuple[Encoder, ...]:
        """Every encoder, the first one first."""
        return (self.encoder,) if self.second is None else (self.encoder, self.second)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that the encoder reads, as its manifest says."""
        return manifest_of(self.encoder).languages

    @property
    def every_language(self) -> tuple[tuple[str, ...], ...]:
        """The languages of each encoder, the first one first."""
        return tuple(manifest_of(encoder).languages for encoder in self.encoders)

    @property
    def longest_text(self) -> int:
        """The most tokens that every encoder reads of a text."""
        return min(manifest_of(encoder).max_tokens for encoder in self.encoders)

    @property
    def own_meters(self) -> tuple[TextMeter | None, ...]:
        """By encoder, a counter of its tokens if its tokenizer is not that of the first one."""
        first = _tokenizer_digest(self.encoder)
        others = [_tokenizer_digest(encoder) != first for encoder in self.encoders]
        return tuple(
            _meter_of(encoder) if other else None
            for encoder, other in zip(self.encoders, others, strict=True)
        )

    def not_loaded(self, role: str) -> str:
        """Return what is said of a `tagger`, a `reranker` or a model for `looks` that could not be
        loaded; "" if it was loaded or none is named.
        """
        named = any(said.startswith(f"{role} ") for said in self.missing)
        return f"the {role} could not be loaded" if named else ""

    @property
    def reranker(self) -> DeadlineReranker | None:
        """The scorer within a search's deadline."""
        return DeadlineReranker(self.scorer) if self.scorer is not None else None


def load_models(settings: Settings) -> Models:
    """Load the models by checksum. Raises ModelError for an encoder, since items that are ingested
    without one would lack its vectors; the others are optional.
    """
    metrics = Metrics()
    watching = watched_by(metrics)
    encoder = encoder_of(settings, watching)
    second, why = _second_encoder(settings, watching)
    encoders = [encoder] if second is None else [encoder, second]
    tagger, scorer, missing = optional_models(settings, encoders, watching)
    missing = (why, *missing) if why else missing
    following = _following(settings, watching)
    pictures, why = _pictures(settings, watching)
    missing = (*missing, why) if why else missing
    return Models(encoder, tagger, scorer, missing, metrics, second, following, pictures)


def _pictures(settings: Settings, watching: Watching) -> tuple[PictureModel | None, str]:
    """Return the model that looks at pictures; or None, and why there is none if somebody named it.
    The default model is used where it is there, and not missed where it is not.
    """
    if not settings.looks:
        return None, ""
    try:
        return open_pictures(settings, settings.looks, watching), ""
    except ModelError as error:
        named = "looks" in settings.model_fields_set
        return None, f"looks {settings.looks}: {error}" if named else ""


def in_force(settings: Settings, models: Models) -> Settings:
    """Return the settings that these models allow: with one encoder if no second one is loaded."""
    return settings if models.second is not None else settings.with_one_encoder()


def manifest_of(encoder: Encoder) -> ModelManifest:
    """Return the encoder's manifest."""
    return encoder.manifest if isinstance(encoder, SentenceEncoder) else encoder.model.manifest


def _second_encoder(settings: Settings, watching: Watching) -> tuple[Encoder | None, str]:
    if settings.second_encoder == settings.encoder:
        what = f"{settings.encoder} is the encoder already"
        mend = "name another model, or leave it empty"
        raise SettingsError(what, where="second_encoder", mend=mend)
    return second_that_fits(
        settings, lambda: encoder_of(settings, watching, settings.second_encoder)
    )


def _following(settings: Settings, watching: Watching) -> Encoder | None:
    """Return the encoder that the archive moves to. Raises SettingsError for an embedded engine."""
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
    """Return the watchers of models: the metrics, and traces if the process writes any."""
    return WatchedByAll((metrics.models, Tracing()))


def optional_models(
    settings: Settings, encoders: Sequence[Encoder], watching: Watching
) -> tuple[Tagger | None, PairScorer | None, tuple[str, ...]]:
    """Return the tagger, the scorer, and role, name and reason of each that could not be loaded."""
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
    """Return the encoder `name` ("": the one that the settings name), here or at another service.
    Raises ModelError.
    """
    name = name or settings.encoder
    if _is_elsewhere(settings, name):
        from dateline.build.models.remote import remote_encoder

        return remote_encoder(settings, name)
    return open_encoder(settings, name, watching)


def _tagger(settings: Settings, watching: Watching) -> Tagger:
    if _is_elsewhere(settings, settings.tagger):
        from dateline.build.models.remote import remote_tagger

        return remote_tagger(settings)
    return open_tagger(settings, settings.tagger, watching)


def _is_elsewhere(settings: Settings, name: str) -> bool:
    """Return whether the setting `runtimes` names a service for the model."""
    return is_remote(settings.runtimes.get(name, ""))


def ask_remote(settings: Settings, name: str) -> str:
    """Send one short question to the model `name` if it runs at another service; return its
    address, "" for a model that runs here. Raises what the model's port raises.
    """
    if not _is_elsewhere(settings, name):
        return ""
    from dateline.build.models.remote import ask

    return ask(settings, name)


def _scorer(settings: Settings, encoders: Sequence[Encoder], watching: Watching) -> PairScorer:
    """Return the reranker's model; late interaction shares the graph of a loaded encoder."""
    if _is_elsewhere(settings, settings.reranker):
        from dateline.build.models.remote import remote_scorer

        return remote_scorer(settings)
    for encoder in encoders:
        if isinstance(encoder, SentenceEncoder) and encoder.name == settings.reranker:
            folder, runtime = encoder.folder, encoder.runtime
            limits = batch_limits(settings)
            return MaxSimScorer.over(folder, runtime, limits=limits, watching=watching)
    return open_scorer(settings, settings.reranker, watching)


def served_models(
    settings: Settings,
    encoder: TextEncoder | None,
    tagger: Tagger | None,
    scorer: PairScorer | None,
    missing: Sequence[str],
) -> ServedModels:
    """Return the loaded models for the endpoints that ask them directly."""
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
    return Served(
        name,
        digest,
        port,
        meter,
        manifest.max_tokens,
        manifest.dimension,
        manifest.pooling,
        manifest.precision.partition(",")[0],
    )
