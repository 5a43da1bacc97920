"""The cluster engine keeps what every engine promises, on a real node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.ports.engine import Clock, Engine
from storage.opensearch.engine import OpenSearchEngine
from storage.opensearch.query.retrieval import SearchSettings
from tests.storage.conformance.engine import EngineConformance
from tests.storage.conformance.standing import StandingConformance
from tests.storage.opensearch_world import lending, open_opensearch

# On a busy machine a node answers late in a test; its answers stay complete.
PATIENT: dict[str, Any] = {"search": SearchSettings(timeout_s=60), "patience_s": 60}


@pytest.fixture(scope="module", autouse=True)
def _on_the_node(opensearch: str) -> Iterator[None]:
    with lending(opensearch):
        yield


class TestOpenSearch(EngineConformance):
    def open(self, folder: Path, clock: Clock) -> Engine:
        return open_opensearch(folder, clock, **PATIENT)

    def settle(self, engine: Engine) -> None:
        assert isinstance(engine, OpenSearchEngine)
        engine.catch_up()

    def open_live(self, folder: Path, clock: Clock) -> Engine:
        return open_opensearch(folder, clock, background=True, **PATIENT)


class TestOpenSearchStanding(StandingConformance):
    def open(self, folder: Path, clock: Clock) -> Engine:
        return open_opensearch(folder, clock, **PATIENT)

    def settle(self, engine: Engine) -> None:
        assert isinstance(engine, OpenSearchEngine)
        engine.catch_up()
