"""The embedded engine on single items and its own words."""

from __future__ import annotations

from pathlib import Path

from core.ports.engine import Clock, Engine
from storage.embedded.engine import EmbeddedEngine
from tests.storage.conformance.standing import StandingConformance
from tests.storage.world import open_embedded


class TestEmbeddedStanding(StandingConformance):
    def open(self, folder: Path, clock: Clock) -> Engine:
        return open_embedded(folder, clock)

    def settle(self, engine: Engine) -> None:
        assert isinstance(engine, EmbeddedEngine)
        engine.catch_up()
