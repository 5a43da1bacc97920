from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.search.room import Room

settings.register_profile("unhurried", deadline=None)  # other jobs may have the processor
settings.load_profile("unhurried")


@pytest.fixture
def room(folder: Path) -> Iterator[Room]:
    """An empty archive of a test's own."""
    made = Room(folder)
    yield made
    made.engine.close()
