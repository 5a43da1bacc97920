"""The tables of the use log, over SQLite and Postgres."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.audit import AuditEntry
from core.customers.use import Action, Event, LoggedQuery
from storage.customers.audit import StoredAudit
from storage.customers.use_log import StoredUse
from storage.databases import Database

NOW = datetime(2026, 3, 18, 12, 0, 0, 123456, tzinfo=UTC)
END = NOW + timedelta(days=1)


@pytest.fixture
def store(database: Database) -> StoredUse:
    return StoredUse(database)


def asked(name: str, caller: str = "ada", query: str = "ferry", at: datetime = NOW) -> LoggedQuery:
    hits = (f"urn:{name}:1", f"urn:{name}:🌍")
    return LoggedQuery(
        name, at, 7, caller, query, "hybrid@2", hits, 2, 12.5, True, "weights", "hybrid", "u", "a="
    )


def every(store: StoredUse) -> list[LoggedQuery]:
    return [*store.logged(NOW - timedelta(days=365), END)]


def test_a_query_comes_back_with_its_events(store: StoredUse, database: Database) -> None:
    store.add(asked("q1"), "ferry", 1)
    click = Event("q1", "urn:q1:🌍", Action.CLICK, NOW + timedelta(seconds=3))
    assert store.note(click, "ada")
    assert store.note(replace(click, at=END), "ada")  # a second time is no second event
    assert every(StoredUse(database)) == [
        replace(asked("q1"), words="ferry", events=(replace(click, place=2),))
    ]


def test_an_event_of_another_caller_or_of_no_hit_is_not_kept(store: StoredUse) -> None:
    store.add(asked("q1"), "ferry", 1)
    click = Event("q1", "urn:q1:1", Action.CLICK, NOW)
    assert not store.note(click, "bob")
    assert not store.note(replace(click, uri="urn:other"), "ada")
    assert not store.note(replace(click, query_id="q2"), "ada")
    assert every(store)[0].events == ()


def raw(database: Database) -> str:
    """All that lies in the tables."""
    names = sa.inspect(database.engine).get_table_names()
    with database.engine.connect() as connection:
        return str([connection.execute(sa.text(f"SELECT * FROM {n}")).all() for n in names])


def test_words_are_nowhere_until_enough_callers_asked(store: StoredUse, database: Database) -> None:
    for number, caller in enumerate(["ada", "ada", "ada", "bob"]):
        store.add(asked(f"q{number}", caller), "secretferry", 3)
    assert "secretferry" not in raw(database)
    store.add(asked("q9", "eve"), "secretferry", 3)
    assert [query.words for query in every(store)] == ["secretferry"] * 5
    store.add(asked("p1", "ada", "mail"), "", 1)  # personal: never
    assert every(store)[0].words == ""


def test_what_is_erased_takes_words_with_it_that_are_rare_then(
    store: StoredUse, database: Database
) -> None:
    for caller in ("ada", "bob", "eve"):
        store.add(asked(caller, caller), "secretferry", 3)
        store.note(Event(caller, f"urn:{caller}:1", Action.SAVE, NOW), caller)
    entry = AuditEntry(NOW, "operator", "operator", "use.erase", detail="account=ada")
    assert store.erase(["ada", "other"], 3, entry) == 1
    assert StoredAudit(database).head().n == 1
    assert {query.caller for query in every(store)} == {"bob", "eve"}
    assert "secretferry" not in raw(database)
    assert "urn:ada" not in raw(database)


def test_what_is_old_is_deleted_with_secrets_that_nothing_uses(store: StoredUse) -> None:
    first, second, third = (store.secret(period) for period in (7, 8, 9))
    assert store.secret(7) == first
    assert len({first, second, third}) == 3
    old = NOW - timedelta(days=2)
    store.add(replace(asked("old", at=old), period=8), "ferry", 1)
    store.add(asked("new"), "ferry", 1)
    assert store.drop(NOW - timedelta(days=1), 1) == 1
    assert [query.id for query in every(store)] == ["new"]
    assert store.secrets() == {7: first, 9: third}  # 9 is the newest, and may be in use


def test_pages_of_many_queries_are_read_in_order(store: StoredUse) -> None:
    for number in range(1100):
        store.add(asked(f"q{number:04}", at=NOW + timedelta(seconds=number // 3)), "", 1)
    assert [query.id for query in every(store)] == [f"q{number:04}" for number in range(1100)]
