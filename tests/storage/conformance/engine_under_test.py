"""An engine as the parts of `EngineConformance` get it: fresh, with a clock that tests set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from core.items import Item
from core.ports.engine import Clock, Engine
from core.writes import Outcome
from tests.storage.world import SetClock, write

PROPERTY = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)


class EngineUnderTest(ABC):
    """Whoever subclasses says how an engine is opened; see `conformance.py`."""

    @abstractmethod
    def open(self, folder: Path, clock: Clock) -> Engine:
        """An engine in `folder` with vector field FIELD under ENCODER, the same data each time."""

    @abstractmethod
    def settle(self, engine: Engine) -> None:
        """Makes what was written findable by words now."""

    @abstractmethod
    def open_live(self, folder: Path, clock: Clock) -> Engine:
        """An engine that keeps its indexes up to date by itself."""

    @pytest.fixture
    def clock(self) -> SetClock:
        return SetClock()

    @pytest.fixture
    def engine(self, folder: Path, clock: SetClock) -> Iterator[Engine]:
        engine = self.open(folder, clock)
        yield engine
        engine.close()

    def stories(self, engine: Engine, *items: Item) -> None:
        """Writes items and makes them findable."""
        for item in items:
            assert write(engine, item) in {Outcome.CREATED, Outcome.SUPERSEDED}
        self.settle(engine)
