"""The tables of baskets, over SQLite and Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from core.customers.baskets import Basket, BasketEntry
from storage.customers.baskets import StoredBaskets
from storage.databases import Database

NOW = datetime(2026, 3, 18, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def store(database: Database) -> StoredBaskets:
    return StoredBaskets(database)


def begun(store: StoredBaskets, id_: str = "b1", account: str = "gazette") -> Basket:
    basket = Basket(id_, account, "Ferries", NOW, NOW)
    assert store.create(basket, 100)
    return basket


def entry(uri: str, minutes: int = 0) -> BasketEntry:
    return BasketEntry(uri, 2, NOW + timedelta(minutes=minutes))


def uris(store: StoredBaskets, id_: str = "b1") -> list[str]:
    return [one.uri for one in store.entries(id_)]


def test_baskets_come_back_to_their_account(store: StoredBaskets, database: Database) -> None:
    first, other = begun(store), begun(store, "b2", "herald")
    assert StoredBaskets(database).of("gazette") == [first]
    assert store.one("b2") == other
    assert store.one("b3") is None
    assert store.change("gazette", "b1", "Boats", True, NOW + timedelta(hours=1))
    changed = store.one("b1")
    assert changed is not None
    assert (changed.name, changed.shared, changed.created) == ("Boats", True, NOW)
    assert not store.change("gazette", "b2", "x", True, NOW)
    assert store.one("b2") == other


def test_the_last_changed_comes_first(store: StoredBaskets) -> None:
    for id_ in ("b1", "b2", "b3"):
        begun(store, id_)
    store.put_in("gazette", "b2", entry("u", 5), 10)
    assert [basket.id for basket in store.of("gazette")] == ["b2", "b1", "b3"]
    assert [basket.count for basket in store.of("gazette")] == [1, 0, 0]


def test_an_item_is_in_a_basket_once(store: StoredBaskets) -> None:
    begun(store)
    long = "urn:" + "🌍" * 3000  # longer than an entry of an index may be
    for minute, uri in enumerate(("a", long, "a")):
        assert store.put_in("gazette", "b1", entry(uri, minute), 10)
    assert uris(store) == [long, "a"]
    assert store.entries("b1")[1] == entry("a")
    assert store.take_out("gazette", "b1", long, NOW)
    assert not store.take_out("gazette", "b1", long, NOW)
    assert uris(store) == ["a"]


def test_others_change_nothing(store: StoredBaskets) -> None:
    begun(store)
    store.put_in("gazette", "b1", entry("a"), 10)
    assert not store.put_in("herald", "b1", entry("b"), 10)
    assert not store.take_out("herald", "b1", "a", NOW)
    assert not store.remove("herald", "b1")
    assert uris(store) == ["a"]
    assert store.remove("gazette", "b1")
    assert not store.remove("gazette", "b1")
    assert uris(store) == []
    assert not store.put_in("gazette", "b1", entry("a"), 10)


def test_threads_share_the_limits(store: StoredBaskets) -> None:
    made: list[bool] = []

    def work(number: int) -> None:
        made.append(store.create(Basket(f"b{number}", "gazette", "x", NOW, NOW), 3))

    def put(number: int) -> None:
        made.append(store.put_in("gazette", store.of("gazette")[0].id, entry(f"u{number}"), 3))

    for each in (work, put):
        made.clear()
        threads = [Thread(target=each, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made.count(True) == 3
    assert sum(basket.count for basket in store.of("gazette")) == 3
