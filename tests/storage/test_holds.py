"""Holds of an archive from before there were any."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from core.items import PubStatus
from core.writes import Outcome, PutItem, SetStatus
from storage.embedded.record import FILE, Record
from storage.postgres import connections
from storage.postgres.migrations.versions import m0004_holds
from storage.postgres.record import PostgresRecord
from storage.record_port import RecordOfTruth
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of
from tests.storage.world import ENCODER, FIELD, SetClock, make_item

SPACES = {FIELD: ENCODER}
OLDER = "UPDATE items SET pubstatus = 'canceled' WHERE uri = 'went on' AND version = 1"


def fill(record: RecordOfTruth) -> None:
    """A killed item, one that was killed and released, one killed in an older version only."""
    names = ("killed", "released", "went on", "plain")
    record.put([PutItem(make_item(name)) for name in names])
    record.set_status([SetStatus(name, PubStatus.CANCELED) for name in names[:3]])
    record.set_status([SetStatus(name, PubStatus.USABLE) for name in names[1:3]])
    record.put([PutItem(make_item("went on", 2))])
    record.close()


def check(record: RecordOfTruth) -> None:
    try:
        names = ("killed", "released", "went on", "plain")
        written = record.put([PutItem(make_item(name, 3)) for name in names])
        assert [entry.held for entry in written] == ["canceled", "", "", ""]
        assert {entry.outcome for entry in written} == {Outcome.SUPERSEDED}
    finally:
        record.close()


def test_an_older_record_on_sqlite(folder: Path) -> None:
    fill(Record(folder, SPACES, SetClock()))
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute("DROP TABLE holds")
        connection.execute(
            "UPDATE items SET pubstatus = 'canceled' WHERE uri = 'went on' AND version = 1"
        )
    connection.close()
    check(Record(folder, SPACES, SetClock()))


def test_an_older_record_on_postgres(postgres: Server, folder: Path) -> None:
    address = address_of(postgres, folder)
    fill(PostgresRecord(address, SPACES, SetClock()))
    pool = connections.pool_of(address)
    with pool.begin() as connection:
        connection.execute(sa.text("DROP TABLE holds"))
        connection.execute(sa.text(OLDER))
        with Operations.context(MigrationContext.configure(connection)):
            m0004_holds.upgrade()
    pool.dispose()
    check(PostgresRecord(address, SPACES, SetClock()))
