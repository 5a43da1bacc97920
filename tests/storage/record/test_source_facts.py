"""Facts that only an item's document has: in their shapes, and in records of older versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from core.items import Concept, MediaFile
from core.writes import PutItem
from storage.embedded.record.archive import Record
from storage.postgres import connections
from storage.postgres.migrations.versions import m0008_document_keywords
from storage.postgres.record import PostgresRecord
from storage.record.facts import values_of
from storage.record.port import RecordOfTruth
from storage.record.source_facts import document_keywords, source_facts, source_ids
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of
from tests.storage.world import ENCODER, FIELD, SetClock, make_item

AP = {
    "source": "AP",
    "infosource": [{"name": "Reuters", "role": "Original source"}],
    "Signals": ["Breaking", "APWhollyOwned"],
    "subject": [
        {"name": "General news", "code": "n", "rels": ["category"], "creator": "Editorial"},
        {"name": "Ferries", "code": "f9", "rels": ["direct"]},
    ],
    "bylines": [{"by": "By ANN LEE", "title": "AP Writer"}],
    "keywords": ["Deep Sea", 7],
    "editorialpriority": "r",
    "altids": {"itemid": "A1B2", "recordid": "r9", "etag": "A1B2_0a"},
    "photographer": {"name": "José Pé"},
    "version": 3,
}
SPACES = {FIELD: ENCODER}
WANTED = {
    "signals:breaking",
    "signals:apwhollyowned",
    "category:general news",
    "category:n",
    "byline:ann",
    "keywords:deep",
    "keywords:sea",
    "keywords:7",
    "editorialpriority:r",
    "photographer:josé",
    "slugline:rescue",
    "version:3",
    "person.code:wd:q5",
}


def test_what_a_document_says_of_an_item() -> None:
    item = make_item(
        "urn:1", 3, slugline="BC-Ferry-Rescue", person=(Concept("X", "wd:Q5"),), source=AP
    )
    facts = set(source_facts(item))
    assert facts >= WANTED
    assert not any("ferries" in fact for fact in facts)
    assert source_ids(item) == ["itemid:a1b2", "recordid:r9", "slugline:bc-ferry-rescue"]
    signed = make_item("urn:2", byline=" By  Ingrid\tSolvane")
    assert source_ids(signed) == ["byline:ingrid solvane"]


@pytest.mark.parametrize(
    "altids",
    [
        {"itemid": "A1B2"},
        {"ItemId": "A1B2"},
        [{"role": "itemid", "value": "A1B2"}],
        [{"Role": "itemid", "Value": "A1B2"}, {"role": "other", "value": "x"}, "odd"],
    ],
)
def test_alternative_ids_in_every_shape(altids: object) -> None:
    assert source_ids(make_item("urn:1", source={"altIds": altids})) == ["itemid:a1b2"]


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"source": None, "signals": {}, "altids": "x", "subject": "x", "keywords": [None, [], " "]},
        {"source": [[["deep"]]], "altids": [None, 1], "subject": [None, {"rels": None}]},
    ],
)
def test_members_of_other_shapes_do_no_harm(source: Mapping[str, Any]) -> None:
    assert "version:1" in source_facts(make_item("urn:1", source=source))
    assert source_ids(make_item("urn:1", source=source)) == []


@pytest.mark.parametrize(
    ("renditions", "wanted"),
    [
        (
            {"main": {"width": 4000, "height": 3000}, "preview": {"width": 640}},
            ("landscape", "large"),
        ),
        ([{"width": 90, "height": 120}, {"width": 2999, "height": 2995}], ("square", "medium")),
        ([{"width": 400, "height": 999}], ("portrait", "small")),
        ([{"width": "400", "height": True}, None], ()),
        ("x", ()),
    ],
)
def test_orientation_and_size_are_those_of_the_largest_rendition(
    renditions: object, wanted: tuple[str, ...]
) -> None:
    found = document_keywords(make_item("urn:1", source={"renditions": renditions}))
    assert tuple(value for values in found.values() for value in values) == wanted


def test_the_file_goes_before_what_the_document_says_of_it() -> None:
    media = MediaFile("/a.jpg", "", "image/jpeg", 1, width=800, height=1200)
    source = {
        "renditions": {"main": {"width": 6000, "height": 4000}},
        "creditline": ["Lens", "LENS"],
    }
    found = document_keywords(make_item("urn:1", media=media, source=source))
    assert found == {"credit": ["Lens"], "orientation": ["portrait"], "size": ["medium"]}


def fill(record: RecordOfTruth) -> None:
    items = [make_item(f"urn:{number}", source=AP if number == 1 else {}) for number in range(3)]
    record.put([PutItem(item) for item in items])
    record.close()


def bare(facts: bytes) -> bytes:
    """The facts as an older version recorded them."""
    known = orjson.loads(facts)
    return orjson.dumps(
        {name: known[name] for name in known if name not in ("source", "ids", "sources")}
    )


def check(record: RecordOfTruth) -> None:
    try:
        rows = [row for page in record.reads.facts_from(0) for row in page]
        found = {row.uri: values_of(row) for row in rows}
        assert found["urn:1"]["id"] == ["uri:urn:1", "itemid:a1b2", "recordid:r9"]
        assert "category:n" in found["urn:1"]["fact"]
        assert found["urn:1"]["source"] == ["AP", "Reuters"]
        assert found["urn:2"]["fact"] == ["version:1"]
        again = record.put([PutItem(make_item("urn:1", source=AP))])
        assert [entry.outcome for entry in again] == ["unchanged"]
    finally:
        record.close()


@pytest.mark.parametrize("made", ["DROP TABLE source_facts", "DELETE FROM source_facts"])
def test_an_older_record_on_sqlite(folder: Path, made: str) -> None:
    fill(Record(folder, SPACES, SetClock()))
    with sqlite3.connect(folder / "record.sqlite3") as connection:
        connection.execute(made)
        connection.create_function("bare", 1, bare)
        connection.execute("UPDATE items SET facts = bare(facts)")
    connection.close()
    check(Record(folder, SPACES, SetClock()))


def test_an_older_record_on_postgres(postgres: Server, folder: Path) -> None:
    address = address_of(postgres, folder)
    fill(PostgresRecord(address, SPACES, SetClock()))
    pool = connections.pool_of(address)
    update = sa.text("UPDATE items SET facts = :facts WHERE seq = :seq")
    with pool.begin() as connection:
        rows = connection.execute(sa.text("SELECT seq, facts FROM items")).all()
        connection.execute(update, [{"seq": row.seq, "facts": bare(row.facts)} for row in rows])
        with Operations.context(MigrationContext.configure(connection)):
            m0008_document_keywords.upgrade()
    pool.dispose()
    check(PostgresRecord(address, SPACES, SetClock()))
