"""The tables of transitions, receipts and sessions, on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
import sqlalchemy as sa

from core.customers.transitions import START, FeedSession, Position, Told, TransitionKind
from core.errors import StorageFullError
from core.ports.customers import Turn
from storage.customers.receipts import StoredReceipts
from storage.customers.sessions import StoredSessions
from storage.customers.transitions import StoredTransitions
from storage.databases import Database
from storage.record.item_rows import from_micros, to_micros
from tests.storage.world import NOW

SHOWN, UPDATED, HIDDEN, KILLED, EXPIRED = TransitionKind
NOW_MICROS = to_micros(NOW)
LONG = "urn:" + "é" * 2_000


def told(uri: str, kind: TransitionKind = SHOWN, story: str = "", **more: int) -> Told:
    values = {"version": 1, "seq": 1, **more}
    return Told(uri, story or uri, kind, products=frozenset({"a"}), **values)


def write(book: StoredTransitions, *transitions: Told, at: int = 0, line: str = "") -> bool:
    turn = book.turn()
    wakes = dict.fromkeys(each.story for each in transitions)
    to = Turn(turn.number + 1, at, line)
    return book.write(turn, transitions, (), wakes, to, NOW_MICROS)


def test_transitions_are_numbered_in_their_order(database: Database) -> None:
    book = StoredTransitions(database)
    assert book.last() == START
    assert write(book, told("x"), told(LONG), at=7, line="seven")
    assert write(book, told("x", KILLED))
    found = book.after(0, 10, "a")
    assert [(t.n, t.uri, t.kind) for t in found] == [
        (1, "x", SHOWN),
        (2, LONG, SHOWN),
        (3, "x", KILLED),
    ]
    assert len({t.id for t in found}) == 3
    assert book.after(1, 1, "a") == [found[1]]
    assert book.last() == Position(3, found[2].id)
    assert found[0].at == NOW
    assert book.count() == 3


def test_what_was_told_last(database: Database) -> None:
    book = StoredTransitions(database)
    write(book, told("x", story="s"), told("y", story="s"))
    write(book, told("x", KILLED, story="s", version=2))
    last = book.told(["x", "y", "z"])
    assert last.keys() == {"x", "y"}
    assert (last["x"].kind, last["x"].version, last["x"].n) == (KILLED, 2, 3)
    assert last["y"].products == {"a"}
    assert {each.uri for each in book.told_of(["s"])} == {"x", "y"}
    turn = book.turn()
    moved = replace(last["y"], story="t", seq=9)
    assert book.write(turn, (), (moved,), {}, turn, NOW_MICROS)
    assert book.told(["y"])["y"] == moved
    assert book.last().n == 3


def test_only_one_of_two_that_look_at_the_same_turn_writes(database: Database) -> None:
    books = [StoredTransitions(database), StoredTransitions(database)]
    turn = books[0].turn()
    to = Turn(turn.number + 1, 5, "five")
    with ThreadPoolExecutor(2) as pool:
        written = [*pool.map(lambda b: b.write(turn, (told("x"),), (), {}, to, NOW_MICROS), books)]
    assert sorted(written) == [False, True]
    assert books[0].turn() == to
    assert books[1].count() == 1


def test_numbers_have_no_gap_however_many_write(database: Database) -> None:
    books = [StoredTransitions(database) for _ in range(4)]

    def hide(book: StoredTransitions) -> None:
        for _ in range(5):
            book.entitle("a", frozenset({"a"}), [told("x", HIDDEN)], NOW_MICROS)

    with ThreadPoolExecutor(4) as pool:
        [*pool.map(hide, books)]
    assert [t.n for t in books[0].after(0, 100, "a")] == [*range(1, 21)]
    assert books[0].after(0, 100, "b") == []


def test_stories_that_change_by_themselves(database: Database) -> None:
    book = StoredTransitions(database)
    turn = book.turn()
    assert book.next_due() is None
    book.write(turn, (), (), {"s": 20, "t": 10, LONG: 30}, Turn(1), NOW_MICROS)
    assert (book.next_due(), book.due(20, 10), book.due(20, 1)) == (10, ["t", "s"], ["t"])
    book.write(book.turn(), (), (), {"t": None, "s": 40}, Turn(2), NOW_MICROS)
    assert (book.next_due(), book.due(100, 10)) == (30, [LONG, "s"])


def test_what_is_owed_until_it_is_told(database: Database) -> None:
    book, other = StoredTransitions(database), StoredTransitions(database)
    assert (book.owed(9), book.next_due()) == ([], None)
    book.owe(["x", LONG])
    other.owe(["x"])
    other.owe([])
    assert ({*other.owed(9)}, len(other.owed(1)), book.next_due()) == ({"x", LONG}, 1, 0)
    turn = book.turn()
    assert book.write(turn, [told("x")], (), {}, Turn(1), NOW_MICROS, ["x"])
    assert not other.write(turn, [told(LONG)], (), {}, Turn(1), NOW_MICROS, [LONG])
    assert book.owed(9) == [LONG]


def test_another_history(database: Database) -> None:
    book = StoredTransitions(database)
    write(book, told("x", story="s"), told("y", story="s"), told("z"), at=9, line="nine")
    epoch, turn = book.epoch, book.turn()
    assert book.begin_anew(turn)
    assert not book.begin_anew(turn)
    assert book.epoch != epoch
    assert (book.turn().position, book.turn().line) == (0, "")
    assert sorted(book.due(0, 10)) == ["s", "z"]
    assert book.last().n == 3
    assert StoredTransitions(database).epoch == book.epoch


def test_tables_that_are_made_anew_are_another_history(database: Database) -> None:
    """As `pg_restore` makes them. A file is brought back by `dateline restore`, which says so."""
    book = StoredTransitions(database)
    write(book, told("x"))
    epoch = book.epoch
    assert StoredTransitions(database).epoch == epoch
    copied = [
        "CREATE TABLE copied AS SELECT * FROM dateline_transition_turn",
        "DROP TABLE dateline_transition_turn",
        "ALTER TABLE copied RENAME TO dateline_transition_turn",
    ]
    for statement in copied:
        database.run(lambda connection, s=statement: connection.exec_driver_sql(s))
    again = StoredTransitions(database)
    assert (again.epoch == epoch) == database.is_sqlite
    assert StoredTransitions(database).epoch == again.epoch
    assert again.last() == book.last()


def test_a_table_of_turns_of_an_earlier_version_is_the_same_history(database: Database) -> None:
    epoch = StoredTransitions(database).epoch
    drop = "ALTER TABLE dateline_transition_turn DROP COLUMN tables"
    database.run(lambda connection: connection.execute(sa.text(drop)))
    for _ in range(2):
        assert StoredTransitions(database).epoch == epoch


def test_a_position_of_another_history_is_unknown(database: Database) -> None:
    book = StoredTransitions(database)
    write(book, told("x"))
    assert book.knows(START)
    assert book.knows(book.last())
    assert not book.knows(Position(1, "other"))
    assert not book.knows(Position(2, book.last().id))
    assert book.before(NOW) == START
    assert book.before(NOW + timedelta(microseconds=1)) == book.last()


def test_products_of_accounts(database: Database) -> None:
    book = StoredTransitions(database)
    book.entitle("a", frozenset({"p", "q"}), [], NOW_MICROS)
    book.entitle("a", frozenset({"q"}), [told("x", HIDDEN)], NOW_MICROS)
    assert book.entitled(["a", "b"]) == {"a": {"q"}}
    assert [(t.account, t.kind) for t in book.after(0, 9, "a")] == [("a", HIDDEN)]


def test_ends_are_told_late_by_the_same_id(database: Database) -> None:
    book = StoredTransitions(database)
    write(book, told("x"), told("y"))
    write(book, told("x", KILLED))
    assert book.tell_late("a", {"x": 1, "y": 1, "z": 1}, NOW_MICROS) == 1
    found = book.after(2, 9, "a")
    assert [(t.uri, t.kind, t.account) for t in found] == [("x", KILLED, ""), ("x", KILLED, "a")]
    assert found[0].id == found[1].id
    assert book.tell_late("b", {"y": 1}, NOW_MICROS) == 0
    assert book.after(found[1].n, 9, "b") == []


def test_receipts(database: Database) -> None:
    late: list[tuple[str, list[str]]] = []
    receipts = StoredReceipts(database, late=lambda account, uris: late.append((account, [*uris])))
    receipts.add("a", "search", [("x", 1), (LONG, 2)])
    receipts.add("a", "search", [("x", 1)])
    receipts.add("a", "feed", [("x", 2), ("x", 1)], synced=True)
    receipts.add("b", "search", [("x", 1), ("y", 1)])
    receipts.add("b", "search", [])
    assert receipts.received("a", ["x", "y", LONG]) == {"x": 2, LONG: 2}
    assert receipts.receivers(["x", "y", "z"]) == {"x": {"a", "b"}, "y": {"b"}}
    assert [sorted(uris) for _, uris in late] == [sorted(["x", LONG]), ["x"], ["x", "y"]]
    first = receipts.of("a", "", 1)
    assert sorted([*first, *receipts.of("a", first[0], 9)]) == sorted(["x", LONG])
    assert receipts.of("a", receipts.of("a", first[0], 9)[-1], 9) == []
    assert receipts.count() == 5
    assert StoredReceipts(database).received("a", ["x"]) == {"x": 2}


def test_a_receipt_that_is_not_on_the_disk_is_written_again(database: Database) -> None:
    late: list[str] = []
    receipts = StoredReceipts(database, late=lambda account, uris: late.extend(uris))
    for synced in (False, False, True, True, False):
        receipts.add("a", "search", [("x", 1)], synced=synced)
    assert late == ["x", "x"]


class FullDisk:
    """A database that takes nothing while it is full."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.full = True

    def run(self, work: Any) -> Any:
        if self.full:
            raise StorageFullError("no space left")
        return self._database.run(work)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


def test_reads_go_on_while_nothing_can_be_recorded(database: Database) -> None:
    late: list[tuple[str, str]] = []

    def tell(account: str, uris: Collection[str]) -> None:
        late.extend((account, uri) for uri in uris)

    quick = FullDisk(database)
    receipts = StoredReceipts(database, cast("Database", quick), late=tell)
    receipts.add("a", "search", [("x", 1)])
    receipts.add("b", "search", [("x", 1), ("y", 1)])
    assert receipts.receivers(["x", "y"]) == {}
    assert late == []
    quick.full = False
    receipts.add("a", "search", [("z", 1)])
    assert receipts.receivers(["x", "y", "z"]) == {"x": {"a", "b"}, "y": {"b"}, "z": {"a"}}
    assert sorted(late) == [("a", "x"), ("a", "z"), ("b", "x"), ("b", "y")]


def test_a_receipt_that_must_be_on_the_disk_is_refused_without_it(database: Database) -> None:
    """What is owed stays owed."""
    disk, quick = FullDisk(database), FullDisk(database)
    receipts = StoredReceipts(cast("Database", disk), cast("Database", quick))
    receipts.add("a", "search", [("x", 1)])
    with pytest.raises(StorageFullError):
        receipts.add("a", "feed", [("y", 1)], synced=True)
    disk.full = False
    assert receipts.received("a", ["x", "y"]) == {}
    receipts.add("a", "feed", [("z", 1)], synced=True)
    assert receipts.received("a", ["x", "y", "z"]) == {"x": 1, "z": 1}


def test_a_receipt_that_was_forgotten_is_written_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.customers.receipts._REMEMBERED", 4)
    receipts = StoredReceipts(database)
    for _ in range(2):
        for n in range(9):
            receipts.add("a", "search", [(f"u{n}", 1)])
    assert receipts.count() == 9


def test_sessions(database: Database) -> None:
    sessions = StoredSessions(database)
    first = FeedSession(
        "1", "a", "desk", "e", NOW, NOW, Position(3, "id"), {"q": "ferry", "é": "ü"}
    )
    other = FeedSession("2", "b", "", "e", NOW + timedelta(hours=1), NOW)
    sessions.add(first)
    sessions.add(other)
    assert sessions.session("1") == first
    assert sessions.session("3") is None
    assert sessions.all() == [other, first]
    assert sessions.all("a") == [first]
    sessions.use("1", NOW + timedelta(hours=2))
    used = sessions.session("1")
    assert used is not None
    assert used.used == NOW + timedelta(hours=2)
    assert sessions.drop(NOW + timedelta(hours=1)) == 1
    assert sessions.all() == [used]
    assert from_micros(to_micros(used.started)) == NOW
