"""Composition of models that run at another service. Import it only where a setting names one: it
loads the HTTP client.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from dateline.build.models.runtimes import model_store
from dateline.settings import Settings
from inference.serving.remote import RemoteEncoder, RemoteModel, RemoteScorer, RemoteTagger
from inference.serving.remote_calls import RemoteAddress, RemoteService


def remote_encoder(settings: Settings, name: str) -> RemoteEncoder:
    """Return the encoder `name` at its service."""
    model = _model(settings, name)
    path = model_store(settings).describe(name).path / model.manifest.tokenizer
    return RemoteEncoder(model, path, settings.threads)


def remote_tagger(settings: Settings) -> RemoteTagger:
    """Return the tagger at its service."""
    return RemoteTagger(_model(settings, settings.tagger))


def remote_scorer(settings: Settings) -> RemoteScorer:
    """Return the reranker's model at its service."""
    return RemoteScorer(_model(settings, settings.reranker))


def ask(settings: Settings, name: str) -> str:
    """Send one short question to the model `name`; return its address. Raises what the model's port
    raises.
    """
    model = _model(settings, name)
    with closing(model.service):
        match name:  # by its part in the settings: an encoder may be asked to rerank
            case settings.encoder | settings.second_encoder:
                RemoteEncoder(model, Path()).encode_queries(["a"])
            case settings.tagger:
                RemoteTagger(model).tag(["a"])
            case _:
                RemoteScorer(model).score(["a"], ["a"])
        return model.service.address.url


def _model(settings: Settings, name: str) -> RemoteModel:
    """Return the model at the service that the setting `runtimes` names for it. Only its manifest
    and tokenizer are needed here, and the service need not answer yet.
    """
    address = RemoteAddress.parse(settings.runtimes[name], where=f"runtimes.{name}")
    key = settings.remote_key.get_secret_value() if settings.remote_key else ""
    manifest = model_store(settings).describe(name).manifest
    return RemoteModel(RemoteService.open(address, key=key), manifest)
