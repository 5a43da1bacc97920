"""The cluster engine keeps what every engine promises, on a real node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.ports import Clock, Engine
from storage.opensearch.engine import OpenSearchEngine
from tests.storage.conformance import EngineConformance
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.standing_conformance import StandingConformance


@pytest.fixture(scope="module", autouse=True)
def _on_the_node(opensearch: str) -> Iterator[None]:
    with lending(opensearch):
        yield


class TestOpenSearch(EngineConformance):
    def open(self, folder: Path, clock: Clock) -> Engine:
        return open_opensearch(folder, clock)

    def settle(self, engine: Engine) -> None:
        assert isinstance(engine, OpenSearchEngine)
        engine.catch_up()

    def open_live(self, folder: Path, clock: Clock) -> Engine:
        return open_opensearch(folder, clock, background=True)


class TestOpenSearchStanding(StandingConformance):
    def open(self, folder: Path, clock: Clock) -> Engine:
        return open_opensearch(folder, clock)

    def settle(self, engine: Engine) -> None:
        assert isinstance(engine, OpenSearchEngine)
        engine.catch_up()
