"""Composition of a service without an archive: its models, asked directly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.access.forwarding import Proxies
from api.access.keys import KeyRing
from api.access.services import ApiSettings, Services
from api.app import create_app
from api.metrics import Metrics
from api.models.served_models import ServedModels
from api.no_archive import NoArchive
from core.errors import ModelError
from dateline.build.models.served import encoder_of, optional_models, served_models, watched_by
from dateline.serving.keys import key_ring
from dateline.settings import Settings


@dataclass(frozen=True, slots=True)
class ModelService:
    """A service without an archive: its models, asked directly."""

    settings: Settings
    models: ServedModels
    metrics: Metrics

    def status(self) -> Mapping[str, Any]:
        """Return which models run, as values for JSON."""
        models = self.models
        running = (models.encoder, models.tagger, models.scorer, models.shots)
        names = [served.name for served in running if served is not None]
        return {"models": {"running": names, "missing": list(self.models.missing.values())}}

    def ready(self) -> tuple[bool, str]:
        """Return whether every model that the settings name runs, and what is missing."""
        missing = ", ".join(sorted(self.models.missing))
        return not missing, f"not loaded: {missing}" if missing else ""


def build_model_service(settings: Settings) -> ModelService:
    """Return a service of the models that the settings name; an empty name is not a model. Raises
    ModelError if none is left.
    """
    metrics = Metrics()
    watching = watched_by(metrics)
    encoder = encoder_of(settings, watching) if settings.encoder else None
    encoders = [] if encoder is None else [encoder]
    tagger, scorer, missing = optional_models(settings, encoders, watching)
    if encoder is None and tagger is None and scorer is None:
        why = "; ".join(missing) or "no setting names one"
        raise ModelError("there is no model to serve", where=why, mend="see `dateline doctor`")
    served = served_models(settings, encoder, tagger, scorer, missing)
    return ModelService(settings, served, metrics)


def build_model_app(service: ModelService, *, sagemaker: bool = False) -> Any:
    """Return the ASGI application over models alone, with the routes that other services ask or,
    without keys, those of SageMaker.
    """
    settings = service.settings
    absent = NoArchive()
    return create_app(
        Services(
            search=absent,
            library=absent,
            writer=absent,
            ingest=absent,
            status=service,
            keys=KeyRing() if sagemaker else key_ring(settings),
            settings=ApiSettings(
                max_body_bytes=settings.max_body_bytes,
                max_waiting=settings.waiting,
                loopback=settings.on_loopback,
                open_metrics=settings.open_metrics,
                root_path=settings.root_path,
                proxies=Proxies.of(settings.trusted_proxies),
                models_only=True,
                sagemaker=sagemaker,
            ),
            models=service.models,
            metrics=service.metrics,
        )
    )
