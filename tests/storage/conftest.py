"""What tests of the storage share: a database for what is not the record of truth, on each kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.databases import Database, open_database
from tests.postgres_server import Server


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """A fresh one: a file, then a schema of its own on the server."""
    if request.param == "sqlite":
        found = open_database(folder / "work.sqlite")
    else:
        server: Server = request.getfixturevalue("postgres")
        schema = f"work_{os.urandom(4).hex()}"
        server.run(f"CREATE SCHEMA {schema}")
        found = open_database(server.url(schema=schema))
    yield found
    found.close()
