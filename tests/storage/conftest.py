"""What tests of the storage share: a database for what is not the record of truth, on each kind; a
library that may not be here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.databases import Database, open_database
from storage.graphs.builders import is_installed
from tests.postgres_server import Server


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("hnswlib") and not is_installed("hnswlib"):
        pytest.skip("needs the extra [hnswlib]")


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
