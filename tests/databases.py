"""A database for what is not the record of truth: a file, then a schema of its own on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from storage.databases import Database


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, folder: Path) -> Path | str:
    """Where its tables lie: a path, or a URL. What knows databases is loaded where it is used."""
    if request.param == "sqlite":
        return folder / "tables.sqlite"
    from tests.storage.postgres_world import address_of

    return address_of(request.getfixturevalue("postgres"), folder)


@pytest.fixture
def database(place: Path | str) -> Iterator[Database]:
    """The database at `place`, opened."""
    from storage.databases import open_database

    found = open_database(place)
    yield found
    found.close()
