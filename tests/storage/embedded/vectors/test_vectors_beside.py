"""Vectors of two encoders in one field, while an archive moves from the one to the other: on both
records of truth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from core.items import FloatMatrix, Passage
from core.writes import Outcome, PutItem
from storage.embedded.record import schema
from storage.embedded.record.archive import FILE, Record
from storage.postgres.record import PostgresRecord
from storage.record.port import RecordOfTruth
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of
from tests.storage.world import FIELD, SetClock, make_item, vector_of, vectors

OLD, NEW, THIRD = "space-old", "space-new", "space-third"
ITEM = make_item("a", body="word")


@pytest.fixture(params=["sqlite", "postgres"])
def record(request: pytest.FixtureRequest, folder: Path) -> Iterator[RecordOfTruth]:
    spaces, beside = {FIELD: OLD}, {FIELD: NEW}
    made: RecordOfTruth
    if request.param == "sqlite":
        made = Record(folder, spaces, SetClock(), beside)
    else:
        server: Server = request.getfixturevalue("postgres")
        made = PostgresRecord(address_of(server, folder), spaces, SetClock(), beside)
    yield made
    made.close()


def of(encoder: str) -> tuple[FloatMatrix, ...]:
    return tuple(vector_of(f"{encoder} {n}") for n in range(1 + len(encoder) % 2))


def put(record: RecordOfTruth, *encoders: str, **members: object) -> Outcome:
    item = make_item("a", body="word", **members)
    own = tuple(vectors(*of(encoder), encoder=encoder) for encoder in encoders)
    (written,) = record.put([PutItem(item, own)])
    return written.outcome


def held(record: RecordOfTruth) -> set[str]:
    """The encoders whose vectors the item has, each seen to be its own."""
    seq = record.reads.seq_of("a", 1)
    assert seq is not None
    found = set()
    for encoder in (OLD, NEW, THIRD):
        for _, matrix in record.reads.vectors_by_seq(FIELD, encoder, [seq]):
            np.testing.assert_allclose(matrix, np.concatenate(of(encoder)), atol=1e-3)
            spans = record.reads.passages_by_seq(FIELD, encoder, [seq])[seq]
            assert spans == tuple(Passage("body", 10 * n, 10 * n + 10) for n in range(len(matrix)))
            found.add(encoder)
    return found


def add(record: RecordOfTruth, encoder: str) -> int:
    seq = record.reads.seq_of("a", 1)
    assert seq is not None
    return record.add_vectors({seq: vectors(*of(encoder), encoder=encoder)})


def test_those_of_the_next_encoder_lie_beside(record: RecordOfTruth) -> None:
    put(record, OLD)
    assert record.reads.count_lacking(FIELD, NEW) == 1
    assert (add(record, NEW), add(record, NEW)) == (1, 0)
    assert held(record) == {OLD, NEW}
    assert record.reads.count_lacking(FIELD, NEW) == 0


def test_the_log_says_whose_vectors_came(record: RecordOfTruth) -> None:
    put(record)
    add(record, OLD)
    add(record, NEW)
    _, old, new = record.reads.changes_after(0, 10)
    assert (old.brings_vectors, old.encoder) == (True, "")
    assert (new.brings_vectors, new.encoder) == (True, NEW)


def test_an_encoder_of_neither_takes_the_place_of_both(record: RecordOfTruth) -> None:
    put(record, OLD, NEW)
    assert add(record, THIRD) == 1
    assert held(record) == {THIRD}
    assert add(record, OLD) == 1
    assert held(record) == {OLD}


def test_the_same_version_once_more_keeps_them(record: RecordOfTruth) -> None:
    put(record, OLD, NEW)
    assert put(record, OLD, products=("wire", "sport")) is Outcome.UPDATED
    assert held(record) == {OLD, NEW}
    assert put(record, OLD, NEW, products=("wire", "sport")) is Outcome.UNCHANGED


def test_what_is_not_kept_is_forgotten(record: RecordOfTruth) -> None:
    put(record, OLD, NEW)
    assert [*record.forget_vectors(FIELD, (OLD, NEW), 0, 10)] == []
    assert len(record.forget_vectors(FIELD, (NEW,), 0, 10)) == 1
    assert held(record) == {NEW}
    assert [*record.forget_vectors("other", (), 0, 10)] == []


def test_versions_that_are_emptied_lack_nothing(record: RecordOfTruth) -> None:
    for version in (1, 2, 3):
        item = make_item("a", version=version, body="word")
        entries = tuple(vectors(*of(encoder), encoder=encoder) for encoder in (OLD, NEW))
        record.put([PutItem(item, entries)])
    assert record.empty_vectors("a", 1, 2) == 4
    assert record.empty_vectors("a", 1, 2) == 0
    sizes = []
    for version in (1, 2, 3):
        seq = record.reads.seq_of("a", version)
        assert seq is not None
        ((_, matrix),) = record.reads.vectors_by_seq(FIELD, OLD, [seq])
        sizes.append((len(matrix), len(record.reads.passages_by_seq(FIELD, OLD, [seq])[seq])))
    assert sizes == [(0, 0), (0, 0), (len(of(OLD)), len(of(OLD)))]
    assert record.reads.count_lacking(FIELD, OLD) == 0


def test_they_are_forgotten_page_by_page(record: RecordOfTruth) -> None:
    """Each page begins where the one before ended: what was looked through is not read again."""
    entries = (vectors(*of(OLD), encoder=OLD), vectors(*of(NEW), encoder=NEW))
    record.put([PutItem(make_item(f"{number}"), entries) for number in range(7)])
    seqs = sorted(seq for n in range(7) if (seq := record.reads.seq_of(f"{n}", 1)) is not None)
    pages, after = [], 0
    while page := record.forget_vectors(FIELD, (NEW,), after, 3):
        pages.append([*page])
        after = page[-1]
    assert pages == [seqs[:3], seqs[3:6], seqs[6:]]
    put(record, OLD, NEW)
    last = record.reads.seq_of("a", 1)
    assert last is not None
    assert [*record.forget_vectors(FIELD, (NEW,), last, 3)] == []
    assert [*record.forget_vectors(FIELD, (NEW,), last - 1, 3)] == [last]


def test_a_record_of_before_gets_room_when_it_is_needed(folder: Path) -> None:
    """The table as it was: one encoder in a field."""
    with closing(Record(folder, {FIELD: OLD}, SetClock())) as first:
        put(first, OLD)
    narrow = "PRIMARY KEY (seq, field)\n"
    with closing(sqlite3.connect(folder / FILE)) as connection:
        (wide,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'vectors'"
        ).fetchone()
        rows = connection.execute("SELECT * FROM vectors").fetchall()
        connection.execute("DROP TABLE vectors")
        connection.execute(wide.replace("PRIMARY KEY (seq, field, encoder)\n", narrow))
        connection.executemany("INSERT INTO vectors VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.commit()
    with closing(Record(folder, {FIELD: OLD}, SetClock())) as same:
        assert held(same) == {OLD}
    with closing(Record(folder, {FIELD: OLD}, SetClock(), {FIELD: NEW})) as wider:
        assert add(wider, NEW) == 1
        assert held(wider) == {OLD, NEW}
    with closing(schema.connect(folder / FILE)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
