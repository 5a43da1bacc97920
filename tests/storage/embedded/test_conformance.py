"""The embedded engine keeps what every engine promises, from its tail and from sealed segments."""

from __future__ import annotations

from pathlib import Path

from core.ports.engine import Clock, Engine
from storage.embedded.engine import EmbeddedEngine
from tests.storage.conformance.engine import EngineConformance
from tests.storage.world import open_embedded


class TestEmbedded(EngineConformance):
    def open(self, folder: Path, clock: Clock) -> Engine:
        return open_embedded(folder, clock)

    def settle(self, engine: Engine) -> None:
        assert isinstance(engine, EmbeddedEngine)
        engine.catch_up()

    def open_live(self, folder: Path, clock: Clock) -> Engine:
        return open_embedded(folder, clock, background=True)


class TestEmbeddedSealed(TestEmbedded):
    """The same with every vector in HNSW segments, and those merged."""

    def settle(self, engine: Engine) -> None:
        assert isinstance(engine, EmbeddedEngine)
        engine.catch_up()
        engine.compact()
        assert engine.status()["vectors"]["text"]["tail"] == 0
