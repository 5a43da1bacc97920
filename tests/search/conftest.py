from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.search.engines import EMBEDDED, Tried
from tests.search.room import Room


@pytest.fixture(scope="module")
def tried() -> Tried:
    """The engine of a module's tests: see tests.search.engines for those that run on each."""
    return EMBEDDED


@pytest.fixture
def room(folder: Path, tried: Tried) -> Iterator[Room]:
    """An empty archive of a test's own."""
    made = Room(folder, open_engine=tried.open)
    yield made
    made.engine.close()
