from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexing.media.reading import CagedReader


@pytest.fixture(scope="module")
def reader() -> Iterator[CagedReader]:
    with CagedReader() as made:
        yield made


@pytest.fixture
def shared_media(shared: Path) -> Path:
    """Real clips and photos."""
    return shared / "media"
