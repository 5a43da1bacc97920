"""A service of the bundled models, and the models that it asks."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from api.models.served_models import ServedModels
from tests.api.models.model_service import bundled_models, serving_models


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with serving_models(bundled_models()) as client:
        yield client


@pytest.fixture(scope="module")
def models() -> ServedModels:
    return bundled_models()
