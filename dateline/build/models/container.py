"""Composition of the models for SageMaker, which puts what model.tar.gz holds into one folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from api.metrics import Metrics
from api.models.served_models import ServedShots
from core.errors import ModelError
from dateline.build.models.served import encoder_of, optional_models, served_models, watched_by
from dateline.build.models.service import ModelService
from dateline.settings import Settings, configure
from inference.models.packed import ROLES, packed_roles

MODEL_FOLDER = Path("/opt/ml/model")
PORT = 8080
Loaded = TypeVar("Loaded")


def container_settings(folder: Path, **flags: object) -> Settings:
    """Return the settings of a service of the models in `folder`: the roles that the folder names,
    or without such a list the settings' own models, which the image has. Raises ModelError for a
    list that can't be read.
    """
    told = os.environ.get
    served: dict[str, object] = {"host": "0.0.0.0", "port": told("SAGEMAKER_BIND_TO_PORT", PORT)}  # noqa: S104 - SageMaker's agent asks
    if payload := told("SAGEMAKER_MAX_PAYLOAD_IN_MB"):  # of a batch transform
        served["max_body_bytes"] = int(payload) * 2**20
    roles = packed_roles(folder)
    if roles is not None:
        served |= {"models": folder, "second_encoder": "", **dict.fromkeys(ROLES, ""), **roles}
    flags = {name: value for name, value in flags.items() if value is not None}
    return configure({**served, **flags}).settings


def build_container_service(settings: Settings) -> ModelService:
    """Return a service of the models that the settings name, with those that could not be loaded:
    it starts without a single one, so that `/ping` can say what is missing.
    """
    metrics, missing = Metrics(), list[str]()
    watching = watched_by(metrics)

    def loaded(role: str, load: Callable[[], Loaded]) -> Loaded | None:
        name = getattr(settings, role)
        try:
            return load() if name else None
        except ModelError as error:
            missing.append(f"{role} {name}: {error}")
            return None

    encoder = loaded("encoder", lambda: encoder_of(settings, watching))
    encoders = [] if encoder is None else [encoder]
    tagger, scorer, others = optional_models(settings, encoders, watching)
    shots = loaded("shots", lambda: _shots(settings))
    models = served_models(settings, encoder, tagger, scorer, (*missing, *others))
    return ModelService(settings, replace(models, shots=shots), metrics)


def _shots(settings: Settings) -> ServedShots:
    from dateline.build.media.shots import shot_detector_of

    detector = shot_detector_of(settings)
    return ServedShots(detector.name, detector.digest, detector)
