"""A kept item is what the record has now, whoever changed it, and the record is not asked for it
again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from core.items import Item, PubStatus
from core.writes import PutItem, SetStatus
from storage.embedded.record.archive import Record
from storage.postgres.record import PostgresRecord
from storage.record import kept_items
from storage.record.kept_items import KeptItems
from storage.record.port import RecordOfTruth, RecordReads
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of
from tests.storage.world import ENCODER, FIELD, NOW, SetClock, make_item

SPACES = {FIELD: ENCODER}


@pytest.fixture(params=["sqlite", "postgres"])
def record(request: pytest.FixtureRequest, folder: Path) -> Iterator[RecordOfTruth]:
    if request.param == "sqlite":
        opened: RecordOfTruth = Record(folder, SPACES, SetClock())
    else:
        server: Server = request.getfixturevalue("postgres")
        opened = PostgresRecord(address_of(server, folder), SPACES, SetClock())
    yield opened
    opened.close()


class Counted:
    """Reads of a record, with the seqs of the items that were read."""

    def __init__(self, reads: RecordReads) -> None:
        self.reads, self.read = reads, list[int]()
        self.states_by_seq = reads.states_by_seq

    def items_by_seq(self, seqs: Sequence[int]) -> dict[int, Item]:
        self.read += seqs
        return self.reads.items_by_seq(seqs)


def put(record: RecordOfTruth, *items: Item) -> list[int]:
    record.put([PutItem(item) for item in items])
    seqs = [record.reads.seq_of(item.uri, item.version) for item in items]
    return [seq for seq in seqs if seq is not None]


def test_an_item_is_read_once(record: RecordOfTruth) -> None:
    seqs = put(record, make_item("urn:a"), make_item("urn:b"))
    kept, reads = KeptItems(), Counted(record.reads)
    first, again = kept.of(reads, seqs), kept.of(reads, [*seqs, 99])  # type: ignore[arg-type]
    assert first == again == record.reads.items_by_seq(seqs)
    assert reads.read == [*seqs, 99]


def test_a_changed_state_is_read_again(record: RecordOfTruth) -> None:
    seqs, kept = put(record, make_item("urn:a"), make_item("urn:b")), KeptItems()
    kept.of(record.reads, seqs)
    for change in (
        SetStatus("urn:a", PubStatus.WITHHELD),
        SetStatus("urn:a", PubStatus.USABLE),
        SetStatus("urn:b", embargoed=NOW + timedelta(hours=1)),
    ):
        record.set_status([change])
        record.settle()
        assert kept.of(record.reads, seqs) == record.reads.items_by_seq(seqs)


def test_a_version_that_is_gone_is_not_kept(record: RecordOfTruth) -> None:
    (seq,) = put(record, make_item("urn:a", products=("a",)))
    kept = KeptItems()
    assert kept.of(record.reads, [seq])[seq].products == ("a",)
    (other,) = put(record, make_item("urn:a", products=("b",)))
    assert kept.of(record.reads, [seq, other]) == record.reads.items_by_seq([seq, other])


def test_few_and_only_short_items_are_kept(
    record: RecordOfTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_items, "_LONGEST", 10)
    seqs = put(record, *(make_item(f"urn:{n}", body="short") for n in range(3)))
    seqs += put(record, make_item("urn:long", body="longer than ten"))
    kept, reads = KeptItems(2), Counted(record.reads)
    for seq in seqs:
        kept.of(reads, [seq])  # type: ignore[arg-type]
    reads.read.clear()
    for seq in reversed(seqs):
        kept.of(reads, [seq])  # type: ignore[arg-type]
    assert reads.read == [seqs[3], seqs[0]]
