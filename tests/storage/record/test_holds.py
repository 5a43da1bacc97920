"""Holds of an archive from before there were any."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from core.items import PubStatus
from core.writes import Outcome, PutItem, SetStatus
from storage.embedded.record.archive import FILE, Record
from storage.postgres import connections
from storage.postgres.migrations.versions import m0004_holds, m0006_set_before
from storage.postgres.record import PostgresRecord
from storage.record.port import RecordOfTruth
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of
from tests.storage.world import ENCODER, FIELD, NOW, SetClock, make_item

SPACES = {FIELD: ENCODER}
OLDER = "UPDATE items SET pubstatus = 'canceled' WHERE uri = 'went on' AND version = 1"


LATER = NOW + timedelta(days=9)
OWN = (
    make_item("own withheld", pubstatus=PubStatus.WITHHELD, source={"pubStatus": "stat:withheld"}),
    make_item("own embargo", embargoed=LATER, source={"embargoedUntil": LATER.isoformat()}),
    make_item("own kill", pubstatus=PubStatus.CANCELED, source={"pubstatus": "canceled"}),
)
HELD = {  # what a later version is held as
    "killed": "canceled",
    "released": "",
    "went on": "",
    "plain": "",
    "withheld": "withheld",
    "embargoed": "embargoed",
    "own withheld": "",
    "own embargo": "",
    "own kill": "canceled",  # a kill always binds later versions
}


def fill(record: RecordOfTruth) -> None:
    """A killed item, one that was killed and released, one killed in an older version only; what
    was withheld or embargoed by a change of status, and what by its own document.
    """
    names = ("killed", "released", "went on", "plain", "withheld", "embargoed")
    record.put([PutItem(make_item(name)) for name in names])
    record.put([PutItem(item) for item in OWN])
    record.set_status([SetStatus(name, PubStatus.CANCELED) for name in names[:3]])
    record.set_status([SetStatus(name, PubStatus.USABLE) for name in names[1:3]])
    record.set_status([SetStatus("withheld", PubStatus.WITHHELD)])
    record.set_status([SetStatus("embargoed", embargoed=LATER)])
    record.put([PutItem(make_item("went on", 2))])
    record.close()


def check(record: RecordOfTruth) -> None:
    try:
        written = record.put([PutItem(make_item(name, 3)) for name in HELD])
        assert {entry.uri: entry.held for entry in written} == HELD
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
            m0006_set_before.upgrade()
    pool.dispose()
    check(PostgresRecord(address, SPACES, SetClock()))
