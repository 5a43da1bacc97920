"""Engines whose record is on a Postgres server: a schema for each folder, made when first asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.ports.engine import Clock
from storage.embedded.engine import EmbeddedEngine
from storage.postgres.record import PostgresRecord
from tests.postgres_server import Server
from tests.storage.world import SetClock, open_embedded, records_by


def schema_of(folder: Path) -> str:
    """A name that the folder's path decides."""
    return f"a_{hashlib.sha256(str(folder).encode()).hexdigest()[:24]}"


def address_of(server: Server, folder: Path) -> str:
    """The URL of a folder's record; its schema is there then."""
    server.run(f"CREATE SCHEMA IF NOT EXISTS {schema_of(folder)}")
    return server.url(schema=schema_of(folder))


@contextmanager
def on(server: Server) -> Iterator[None]:
    """Engines that `tests.storage.world` opens inside have their record on the server."""

    def make(folder: Path, spaces: Mapping[str, str], clock: Clock) -> PostgresRecord:
        return PostgresRecord(address_of(server, folder), spaces, clock)

    with records_by(make):
        yield


@contextmanager
def hosts(server: Server, *folders: Path, **more: Any) -> Iterator[list[EmbeddedEngine]]:
    """An engine in each folder, as on so many hosts, over one record; that of the first folder."""
    address = address_of(server, folders[0])
    engines: list[EmbeddedEngine] = []

    def make(_: Path, spaces: Mapping[str, str], clock: Clock) -> PostgresRecord:
        return PostgresRecord(address, spaces, clock)

    try:
        with records_by(make):
            for folder in folders:
                engines.append(open_embedded(folder, SetClock(), **more))
        yield engines
    finally:
        for engine in engines:
            engine.close()
