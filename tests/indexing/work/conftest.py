from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexing.passages import PassageSplitter
from tests.indexing.work.world import World


@pytest.fixture
def world(folder: Path, splitter: PassageSplitter) -> Iterator[World]:
    with World(folder, splitter) as made:
        yield made
