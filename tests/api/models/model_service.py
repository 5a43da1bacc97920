"""The bundled models, and services that serve them on a free port of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx

from api.access.keys import KeyRing
from api.access.services import ApiSettings, Services
from api.app import create_app
from api.models.served_models import ServedModels
from api.no_archive import NoArchive
from core.callers import Caller
from dateline.build.models.service import build_model_service
from dateline.settings import Settings
from tests.app_server import on_a_port

KEY = "reader-key-1234"


class AlwaysReady:
    """A status port with nothing to tell."""

    def status(self) -> dict[str, Any]:
        return {}

    def ready(self) -> tuple[bool, str]:
        return True, ""


@cache
def bundled_models(reranker: str = "bge-small-en-v1.5") -> ServedModels:
    """The default settings' models, loaded once for all tests of a process."""
    return build_model_service(Settings(threads=2, reranker=reranker)).models


@contextmanager
def serving_models(models: ServedModels, **settings: Any) -> Iterator[httpx.Client]:
    """A client with a reader's key before a service of `models`."""
    absent = NoArchive()
    services = Services(
        search=absent,
        library=absent,
        writer=absent,
        ingest=absent,
        status=AlwaysReady(),
        keys=KeyRing.of({KEY: Caller("Morning Post", frozenset(), may_use_models=True)}),
        settings=ApiSettings(models_only=True, **settings),
        models=models,
    )
    headers = {"x-api-key": KEY}
    with (
        on_a_port(create_app(services)) as url,
        httpx.Client(base_url=url, timeout=240, headers=headers) as http,
    ):
        yield http
