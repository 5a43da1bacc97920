"""The guard tells what the record tells, at once; and what it reads of each kind of record."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.callers import NOBODY, Caller
from core.items import Concept, Item, PubStatus
from core.ports.engine import Clock
from core.writes import PutItem, SetStatus
from storage.embedded.record.archive import Record
from storage.postgres.record import PostgresRecord
from storage.record import guard as guard_module
from storage.record.facts import chain_number, values_of
from storage.record.guard import Guard
from storage.record.item_rows import to_micros
from storage.record.port import RecordOfTruth, RecordReads
from storage.record.visibility import StoryView
from tests.conftest import new_folder
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of
from tests.storage.world import ENCODER, FIELD, HOUR, NOW, WIRE, SetClock, make_item

SPACES = {FIELD: ENCODER}
PHOTOS = Caller("photos", frozenset({"Photos"}))
Open = Callable[[Clock], RecordOfTruth]


@pytest.fixture(params=["sqlite", "postgres"])
def opens(request: pytest.FixtureRequest, folder: Path) -> Open:
    """Opens the record in one of its places; the same one each time."""
    if request.param == "sqlite":
        return lambda clock: Record(folder, SPACES, clock)
    server: Server = request.getfixturevalue("postgres")
    return lambda clock: PostgresRecord(address_of(server, folder), SPACES, clock)


@pytest.fixture
def record(opens: Open) -> Iterator[RecordOfTruth]:
    record = opens(SetClock())
    yield record
    record.close()


def put(record: RecordOfTruth, *items: Item) -> None:
    record.put([PutItem(item) for item in items])


def every(record: RecordOfTruth) -> list[int]:
    return [row.seq for page in record.reads.facts_from(0) for row in page]


def seen(guard: Guard, ids: list[int], caller: Caller = WIRE) -> list[int]:
    found: list[int] = guard.visible(np.array(ids, np.int64), caller).tolist()
    return found


# --- what is read of the record


def test_facts_by_seq_are_those_of_the_whole_record(record: RecordOfTruth) -> None:
    put(record, *(make_item(f"{n}", person=(Concept(f"Ana {n}", "c"),)) for n in range(1200)))
    (rows,) = [[row for page in record.reads.facts_from(0) for row in page]]
    seqs = [row.seq for row in rows]
    found = record.reads.facts_by_seq([*seqs[::-1], seqs[-1] + 9, *seqs[:3]])
    assert found == {row.seq: row for row in rows}
    assert values_of(found[seqs[7]])["person"] == ["Ana 7"]
    assert record.reads.facts_by_seq([]) == {}


def test_the_story_of_a_version_is_what_its_items_newest_names(record: RecordOfTruth) -> None:
    put(record, make_item("a", 1, chain="one"), make_item("b", chain="one"))
    put(record, make_item("a", 2, chain="two"), make_item("c"))
    seqs = every(record)
    stories = record.reads.stories_of([*seqs, seqs[-1] + 1])
    assert [stories.get(seq) for seq in seqs] == ["two", "one", "two", "c"]
    assert len(stories) == 4
    assert record.reads.stories_of([]) == {}


# --- the guard


def test_a_kill_in_another_process_holds_at_the_next_question(opens: Open) -> None:
    clock = SetClock()
    ours, theirs = opens(clock), opens(clock)
    try:
        guard = Guard(ours, clock)
        put(ours, *(make_item(f"{n}") for n in range(5)))
        ids = every(ours)
        assert seen(guard, ids[::-1]) == ids[::-1]
        theirs.set_status([SetStatus("2", PubStatus.CANCELED)])
        assert seen(guard, ids) == [ids[0], ids[1], *ids[3:]]
        items = guard.items(np.array([ids[2], ids[0], ids[0], 99], np.int64), WIRE)
        assert [item and item.uri for item in items] == [None, "0", "0", None]
        theirs.set_status([SetStatus("2", PubStatus.USABLE)])
        assert seen(guard, ids) == ids
        theirs.put([PutItem(make_item("3", products=("photos",)))])
        assert seen(guard, ids) == [*ids[:3], ids[4]]
        newest = every(ours)[-1:]
        assert seen(guard, newest) == []
        assert seen(guard, newest, PHOTOS) == newest
        assert seen(guard, newest, NOBODY) == []
    finally:
        ours.close()
        theirs.close()


def test_stories_are_numbers_of_chains(record: RecordOfTruth) -> None:
    guard = Guard(record, SetClock())
    put(record, make_item("a", 1, chain="one"), make_item("b", chain="one"), make_item("c"))
    ids = np.array([*every(record), 77], np.int64)
    one, other, third, gone = guard.stories(ids).tolist()
    assert one == other == chain_number("one")
    assert third == chain_number("c")
    put(record, make_item("a", 2, chain="two"))
    assert guard.stories(ids).tolist() == [chain_number("two"), one, third, gone]
    assert len({one, third, gone}) == 3


@pytest.mark.parametrize("kept", [6, 100])
def test_more_changes_than_are_looked_at_one_by_one(
    record: RecordOfTruth, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(guard_module, "_MOST_CHANGES", 4)
    guard = Guard(record, SetClock(), kept * guard_module._VERSION_BYTES)
    put(record, *(make_item(f"{n}") for n in range(9)))
    ids = every(record)
    for _ in range(3):
        assert seen(guard, ids) == ids
    record.set_status([SetStatus(f"{n}", PubStatus.WITHHELD) for n in range(7)])
    assert seen(guard, ids) == ids[7:]


def test_what_is_known_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its story changes; a change of another story, and vectors, leave it known."""
    record = Record(folder, SPACES, SetClock())
    guard = Guard(record, SetClock())
    put(record, *(make_item(f"{n}") for n in range(3)))
    ids, reads = every(record), list[list[int]]()
    read = guard_module._read

    def counted(
        moment: RecordReads, seqs: Sequence[int], now: int
    ) -> dict[int, tuple[str, StoryView]]:
        reads.append(list(seqs))
        return read(moment, seqs, now)

    monkeypatch.setattr(guard_module, "_read", counted)
    for _ in range(3):
        assert seen(guard, ids) == ids
    assert reads == [ids]
    record.set_status([SetStatus("1", PubStatus.WITHHELD)])
    for _ in range(3):
        assert seen(guard, ids) == [ids[0], ids[2]]
    assert reads[:2] == [ids, [ids[1]]]
    assert all(seqs == [ids[1]] for seqs in reads[1:])
    record.set_status([SetStatus("1", PubStatus.USABLE)])
    for _ in range(3):
        assert seen(guard, ids) == ids
    assert all(seqs == [ids[1]] for seqs in reads[1:])
    known = len(reads)
    assert seen(guard, ids) == ids
    assert len(reads) == known
    record.close()


def test_what_is_read_while_it_changes_is_never_kept(folder: Path) -> None:
    """Kills from one thread, questions from others: who asks after a kill does not see it."""
    clock = SetClock()
    record = Record(folder, SPACES, clock)
    guard = Guard(record, clock)
    put(record, *(make_item(f"{n}") for n in range(60)))
    ids = every(record)
    killed: list[int] = []
    wrong: list[set[int]] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            before = set(killed)
            if late := before & set(seen(guard, ids)):
                wrong.append(late)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for thread in lookers:
        thread.start()
    for place, seq in enumerate(ids):
        record.set_status([SetStatus(f"{place}", PubStatus.CANCELED)])
        killed.append(seq)
    done.set()
    for thread in lookers:
        thread.join()
    assert wrong == []
    assert seen(guard, ids) == []
    record.close()


class Histories(RuleBasedStateMachine):
    """A guard that lives through a history tells what a fresh one tells."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = SetClock()
        self.folder = new_folder()
        self.record = Record(self.folder, SPACES, self.clock)
        self.guard = Guard(self.record, self.clock)

    @rule(
        uri=st.sampled_from("abc"),
        chain=st.sampled_from(("x", "y")),
        version=st.integers(1, 4),
        embargo=st.none() | st.integers(-2, 5),
        expiry=st.none() | st.integers(-2, 5),
        products=st.sampled_from((("wire",), ("photos",), ())),
    )
    def write(
        self,
        uri: str,
        chain: str,
        version: int,
        embargo: int | None,
        expiry: int | None,
        products: tuple[str, ...],
    ) -> None:
        item = make_item(uri, version, chain=chain, products=products)
        times = {
            name: None if hours is None else NOW + hours * HOUR
            for name, hours in (("embargoed", embargo), ("expires", expiry))
        }
        put(self.record, replace(item, **times))

    @rule(uri=st.sampled_from("abc"), status=st.sampled_from(PubStatus))
    def change(self, uri: str, status: PubStatus) -> None:
        self.record.set_status([SetStatus(uri, status)])

    @rule(minutes=st.integers(-90, 90))
    def time_goes_by(self, minutes: int) -> None:
        self.clock.advance(timedelta(minutes=minutes))

    @invariant()
    def it_tells_what_the_record_tells(self) -> None:
        ids = np.array([*every(self.record), 1, 99], np.int64)
        now = to_micros(self.clock())
        heads = {view.head for _, view in self.record.reads.all_views(now) if view.head}
        items = self.record.reads.items_by_seq(sorted(heads))
        for caller in (WIRE, PHOTOS):
            held = {code.casefold() for code in caller.products}
            wanted = [seq for seq in ids.tolist() if seq in items and held & {*items[seq].products}]
            assert self.guard.visible(ids, caller).tolist() == wanted
        fresh = Guard(self.record, self.clock)
        assert self.guard.stories(ids).tolist() == fresh.stories(ids).tolist()

    def teardown(self) -> None:
        self.record.close()
        shutil.rmtree(self.folder)


Histories.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestHistories = Histories.TestCase
