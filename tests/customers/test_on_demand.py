"""Items on demand: each consumer gets each item, and again until it has confirmed it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from core.callers import Caller
from core.errors import InputError
from core.items import Item, ItemType
from core.standing import Sight
from customers.on_demand import OnDemand
from storage.customers.queues import StoredQueues
from storage.databases import Database

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
GAZETTE = Caller("gazette", frozenset({"wire"}))


class Desk:
    """Queues over items that may be hidden."""

    def __init__(self, database: Database) -> None:
        self.hidden: set[str] = set()
        self.received: list[tuple[str, str, frozenset[tuple[str, int]]]] = []
        self.now = NOW
        self.queues = OnDemand(StoredQueues(database), self, lambda: self.now, self.receive)

    def receive(self, account: str, channel: str, versions: Collection[tuple[str, int]]) -> None:
        self.received.append((account, channel, frozenset(versions)))

    def sights(self, named: Mapping[str, Collection[str]], caller: Caller) -> Mapping[str, Sight]:
        return {
            uri: Sight(Item(uri, 1, ItemType.TEXT, NOW, NOW, uri), True)
            for uri in named
            if uri not in self.hidden and "wire" in caller.products
        }

    def uris(
        self, position: int | None = None, size: int = 2, **more: str
    ) -> tuple[list[str], int]:
        page = self.queues.page(GAZETTE, position=position, size=size, **more)
        return [item.uri for item in page.items], page.position


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_a_page_comes_again_until_the_next_one_is_asked_for(desk: Desk) -> None:
    assert desk.queues.send("gazette", ["a", "b", "a", "c"]) == 3
    first, place = desk.uris()
    assert first == ["a", "b"]
    assert desk.uris()[0] == ["a", "b"], "nothing was confirmed"
    second, end = desk.uris(place)
    assert second == ["c"]
    assert desk.uris()[0] == ["c"], "the first page was confirmed"
    assert desk.uris(end) == ([], end)
    assert desk.uris() == ([], end)
    assert desk.uris(place)[0] == ["c"], "the same link gives the same items"
    desk.queues.send("gazette", ["d"])
    assert desk.uris(end)[0] == ["d"]


def test_each_consumer_reads_each_queue_by_itself(desk: Desk) -> None:
    desk.queues.send("gazette", ["a"])
    desk.queues.send("gazette", ["b"], "photos")
    desk.queues.send("herald", ["c"])
    _, place = desk.uris(consumer="one")
    desk.uris(place, consumer="one")
    assert desk.uris(consumer="one")[0] == []
    assert desk.uris(consumer="two")[0] == ["a"]
    assert desk.uris(consumer="one", queue="photos")[0] == ["b"]


def test_what_is_killed_or_not_sold_is_passed_over(desk: Desk) -> None:
    desk.queues.send("gazette", ["a", "b", "c"])
    desk.hidden = {"a", "b"}
    uris, place = desk.uris()
    assert uris == []
    assert desk.uris(place)[0] == ["c"]
    assert desk.received == [("gazette", "ondemand", frozenset({("c", 1)}))]
    other = Caller("gazette", frozenset())
    assert desk.queues.page(other, "x").items == ()


def test_a_place_that_no_page_gave_confirms_nothing(desk: Desk) -> None:
    desk.queues.send("gazette", ["a"])
    for place in (10**9, -5):
        desk.uris(place)
    assert desk.uris()[0] == ["a"]


def test_items_are_kept_for_a_week(desk: Desk) -> None:
    desk.queues.send("gazette", ["old"])
    desk.now += timedelta(days=8)
    desk.queues.send("gazette", ["new"])
    assert desk.uris()[0] == ["new"]


def test_wrong_names_and_counts_are_refused(desk: Desk) -> None:
    for call in (
        lambda: desk.queues.send("gazette", []),
        lambda: desk.queues.send("gazette", ["a"] * 1001),
        lambda: desk.queues.send("gazette", ["a"], "a b"),
        lambda: desk.queues.page(GAZETTE, "x" * 65),
    ):
        with pytest.raises(InputError):
            call()
