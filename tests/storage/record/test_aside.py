"""Changes of state that the record does not take: in force everywhere, and recorded by and by.

What keeps the record from taking them here is a process that holds SQLite's lock and stands still;
tests/faults fills disks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import BusyError
from core.items import PubStatus
from core.query_tree import Word
from core.writes import Outcome, PutItem
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.record.archive import FILE, Record
from storage.record.guard import Guard
from tests.storage.world import (
    ENCODER,
    FIELD,
    WIRE,
    SetClock,
    change,
    make_item,
    opened,
    uris,
    write,
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    with opened(tmp_path, SetClock()) as made:
        for uri in "ab":
            write(made, make_item(uri, headline="zebra"))
        made.catch_up()
        yield made


@contextmanager
def stopped_writer(folder: Path) -> Iterator[None]:
    """A process that was stopped in the middle of a write, until the end of the block."""
    connection = sqlite3.connect(folder / FILE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")
    connection.close()


def test_a_kill_is_in_force_in_every_process_while_another_holds_the_record(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    record = Record(tmp_path, {FIELD: ENCODER}, SetClock())
    guard = Guard(record, SetClock())
    seqs = np.array([record.reads.seq_of(uri, 1) for uri in "ab"], np.int64)
    assert guard.visible(seqs, WIRE).tolist() == seqs.tolist()
    with opened(tmp_path, SetClock()) as other:
        with stopped_writer(tmp_path):
            assert change(engine, "a", pubstatus=PubStatus.CANCELED) is Outcome.UPDATED
            for each in (engine, other):
                assert each.item("a", WIRE) is None
                assert uris(each, Word("zebra")) == {"b"}
            assert guard.visible(seqs, WIRE).tolist() == seqs[1:].tolist()
            assert record.unsettled.uris == {"a"}
        record.settle()
        assert record.unsettled.uris == engine.record.unsettled.uris == frozenset()
        assert guard.visible(seqs, WIRE).tolist() == seqs[1:].tolist()
        assert change(other, "a", pubstatus=PubStatus.USABLE) is Outcome.UPDATED
        assert engine.item("a", WIRE) is not None
        assert guard.visible(seqs, WIRE).tolist() == seqs.tolist()
    record.close()


def test_what_was_set_aside_comes_before_what_is_written_later(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    with stopped_writer(tmp_path):
        change(engine, "a", pubstatus=PubStatus.CANCELED)
    assert change(engine, "a", pubstatus=PubStatus.USABLE) is Outcome.UPDATED
    assert engine.record.unsettled.uris == frozenset()
    assert engine.item("a", WIRE) is not None


def test_a_document_that_kills_hides_its_item_though_it_is_not_recorded(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    killed = make_item("a", 2, pubstatus=PubStatus.CANCELED)
    withheld = make_item("b", 2, pubstatus=PubStatus.WITHHELD)
    with stopped_writer(tmp_path):
        with pytest.raises(BusyError):
            engine.put([PutItem(killed), PutItem(withheld)])
        assert engine.item("a", WIRE) is None
        assert engine.item("b", WIRE) is not None
    assert engine.put([PutItem(killed)])[0].outcome is Outcome.SUPERSEDED
    assert engine.record.unsettled.uris == frozenset()
    assert engine.item("a", WIRE) is None


def test_a_document_that_would_be_refused_hides_nothing(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    write(engine, make_item("a", 3))
    stale = make_item("a", 2, pubstatus=PubStatus.CANCELED)
    strange = replace(WIRE, writes=frozenset({"other"}))
    taken = make_item("b", 2, products=("other",), pubstatus=PubStatus.CANCELED)
    with stopped_writer(tmp_path), pytest.raises(BusyError):
        engine.put([PutItem(stale), PutItem(taken)], strange)
    assert engine.record.unsettled.uris == frozenset()
    assert engine.item("a", WIRE) is not None
    assert engine.item("b", WIRE) is not None


def test_the_record_opens_while_another_process_stands_still_in_a_write(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    with stopped_writer(tmp_path):
        record = Record(tmp_path, {FIELD: ENCODER}, SetClock())
        assert [row.uri for row in record.reads.versions_of("a")] == ["a"]
        record.close()
