"""What may be kept of a search, and of whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.audit import AuditFilter
from core.callers import Caller
from core.customers.use import Action, Event, LoggedQuery
from core.errors import StorageError
from customers.experiments import LoggedSearch
from customers.use_log import UseLog, UseRules, is_personal
from search.answers import SearchRequest
from storage.customers.audit import StoredAudit
from storage.customers.use_log import StoredUse
from storage.databases import open_database
from tests.search.room import Room, story

WIRE = frozenset({"wire"})
ADA, BOB, EVE = (Caller(name, WIRE) for name in ("ada-lee", "bob", "eve"))
START = datetime.fromtimestamp(684 * 30 * 86_400, UTC)  # a period of secrets begins


@dataclass
class Desk:
    """A log by a clock that stands still, and a search before it."""

    log: UseLog
    search: LoggedSearch
    audit: StoredAudit
    now: datetime = START

    def ask(self, q: str, caller: Caller = ADA, **more: object) -> str:
        return self.search.search(SearchRequest(q=q, **more), caller).query_id  # type: ignore[arg-type]

    def kept(self) -> list[LoggedQuery]:
        since = START - timedelta(days=365)
        return [*self.log.store.logged(since, since + timedelta(days=3650))]


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    room = Room(folder)
    room.put(story("u1", "Ferry strike"), story("u2", "The ferry sails again", body="ferry"))
    database = open_database(folder / "use.sqlite")
    store = StoredUse(database)
    rules = UseRules(frozenset({"ada-lee", "bob"}), 90, 2)
    made: list[Desk] = []
    log = UseLog(store, rules, lambda: made[0].now)
    search = LoggedSearch(room.pipeline, log, lambda: made[0].now)
    made.append(Desk(log, search, StoredAudit(database)))
    yield made[0]
    room.engine.close()


def test_only_first_pages_of_words_from_those_who_agreed_are_kept(desk: Desk) -> None:
    assert desk.ask("ferry")
    assert not desk.ask("ferry", EVE)
    assert not desk.ask("")
    assert not desk.ask("ferry", page=2)
    first = desk.search.search(SearchRequest(q="ferry", page_size=1), EVE)
    assert first.cursor
    assert not desk.log.keeps(SearchRequest(q="ferry", cursor=first.cursor), ADA)
    assert not desk.ask("", similar_to="u1")
    (kept,) = desk.kept()
    assert ({*kept.hits}, kept.total, kept.profile, kept.words) == ({"u1", "u2"}, 2, "hybrid", "")
    assert "ada-lee" not in str(kept)


def test_two_callers_make_words_that_are_kept(desk: Desk) -> None:
    desk.ask("Ferry  strike")
    desk.ask("ferry strike")
    assert {query.words for query in desk.kept()} == {""}
    desk.ask("ferry strike ", Caller("desk", WIRE, customer="bob"))
    assert {query.words for query in desk.kept()} == {"ferry strike"}
    assert len({query.query for query in desk.kept()}) == 1


@pytest.mark.parametrize(
    ("words", "personal"),
    [
        ("ana@example.org strike", True),
        ("call +351 912 345 678", True),
        ("4111-1111-1111-1111", True),
        ("https://x.example/?key=1", True),
        ("x" * 201, True),
        ("ferry 2024-03-01", False),
        ("2023-03-01 2024-03-01", False),
        ("g7 summit 2024 in 1000 towns", False),
        ("election 01.03.2024", False),
    ],
)
def test_words_that_look_personal_stay_a_hash(desk: Desk, words: str, personal: bool) -> None:
    assert is_personal(words) is personal
    desk.ask(words)
    desk.ask(words, BOB)
    assert {query.words for query in desk.kept()} == {"" if personal else words}


def click(query: str, uri: str = "u2") -> Event:
    return Event(query, uri, Action.CLICK, START)


def test_a_caller_tells_of_its_own_hits_only(desk: Desk) -> None:
    mine = desk.ask("ferry")
    assert desk.log.note([click(mine), click(mine, "u3"), click("other")], ADA) == 1
    assert desk.log.note([click(mine)], BOB) == 0
    assert desk.log.note([click(mine)], EVE) == 0
    assert desk.kept()[0].first_click == Event(
        mine, "u2", Action.CLICK, START, desk.kept()[0].hits.index("u2") + 1
    )


def test_the_secret_rotates_and_a_caller_is_erased_under_all_of_them(desk: Desk) -> None:
    first = desk.ask("ferry")
    desk.ask("ferry", BOB)
    desk.now += timedelta(days=29, hours=1)
    late = desk.ask("ferry")
    desk.now += timedelta(days=2)
    desk.ask("ferry")
    hashes = {query.caller for query in desk.kept() if query.id != first}
    assert len(hashes) == 3  # bob's, and two of ada's
    assert desk.log.note([click(late)], ADA) == 0  # of two days ago, under the secret before
    assert desk.log.erase("ada-lee") == 3
    assert len(desk.kept()) == 1
    (entry,) = [row.entry for row in desk.audit.newest(AuditFilter(), 9)]
    assert (entry.at, entry.who, entry.action) == (desk.now, "operator", "use.erase")
    assert entry.detail == "account=ada-lee queries=3"


def test_what_is_old_goes_on_time(desk: Desk) -> None:
    desk.ask("ferry")
    desk.now += timedelta(days=89)
    assert desk.log.drop_old() == 0
    desk.now += timedelta(days=2)
    assert desk.log.drop_old() == 1
    assert desk.kept() == []


def test_a_log_that_fails_stops_no_search(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(desk.log.store, "add", fail)
    assert desk.ask("ferry") == ""
