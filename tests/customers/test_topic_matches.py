"""Topics over a real archive and its transitions: what is shown, updated or released matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.callers import Caller
from core.items import PubStatus
from core.writes import PutItem, SetStatus
from customers.maker import TransitionMaker
from customers.topic_alerts import TopicAlerts
from customers.topics import FollowedTopics
from storage.customers.receipts import StoredReceipts
from storage.customers.topics import StoredTopics
from storage.customers.transitions import StoredTransitions
from storage.databases import open_database
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet
from storage.words.topics import Topics
from tests.search.room import START, Room, story
from tests.storage.postgres_world import address_of

GAZETTE = Caller("gazette", frozenset({"wire"}))


class Wire:
    """An archive, its transitions, and what follows them."""

    def __init__(self, folder: Path, address: str = "") -> None:
        self.room = Room(folder)
        self.database = open_database(address or folder / "customers.sqlite", synced=False)
        self.store = StoredTopics(self.database)
        log, receipts = StoredTransitions(self.database), StoredReceipts(self.database)
        percolator = Percolator(Topics(), self.room.engine.languages)

        def clock() -> datetime:
            return self.room.now

        self.topics = FollowedTopics(self.store, clock, lambda: TopicSet(percolator))
        self.maker = TransitionMaker(self.room.engine.record, log, receipts, clock)
        self.alerts = TopicAlerts(
            log,
            self.store,
            TopicSet(percolator),
            self.room.engine,
            lambda account: GAZETTE.products,
        )

    def matched(self) -> list[tuple[str, str, int]]:
        """What matched so far: kind, uri and version."""
        self.maker.run()
        self.look()
        return [(str(m.kind), m.uri, m.version) for m in self.store.matches(0, 100)]

    def look(self) -> None:
        while self.alerts.step():
            pass

    def take_back(self, transitions: int, topics: int) -> None:
        """As a restore does: what came after so many of each is gone, the history is another."""
        kept = {"n": transitions, "id": topics, "epoch": f"after {self.alerts.log.epoch}"[:32]}
        for statement in (
            "DELETE FROM dateline_transitions WHERE n > :n",
            "DELETE FROM dateline_told WHERE n > :n",
            "UPDATE dateline_transition_turn SET last = :n, position = 0, line = ''",
            "UPDATE dateline_transition_turn SET epoch = :epoch",
            "DELETE FROM dateline_followed_topics WHERE id > :id",
        ):
            asked = sa.text(statement)
            given = {name: kept[name] for name in asked.compile().params}
            self.database.run(lambda connection, a=asked, g=given: connection.execute(a, g))

    def pass_time(self, **by: int) -> None:
        self.room.now += timedelta(**by)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path)
    yield made
    made.database.close()
    made.room.engine.close()


def test_matches_follow_what_is_shown(wire: Wire) -> None:
    room = wire.room
    room.put(story("old", "Ferry of yesterday"))
    assert wire.matched() == []
    end = wire.alerts.log.epoch, wire.alerts.log.last().n
    assert wire.store.position() == end, "without topics nothing is looked at"
    wire.topics.create(GAZETTE, "Ferries", "ferry")
    wire.pass_time(minutes=1)
    lifts = room.now + timedelta(hours=1)
    room.put(
        story("a", "Ferry aground"),
        story("b", "Bank"),
        story("c", "Ferry sold", products=("photos",)),
        story("d", "Ferry race", embargoed=lifts),
    )
    shown = [("shown", "a", 1)]
    assert wire.matched() == shown
    wire.pass_time(hours=2)
    shown.append(("shown", "d", 1))
    assert wire.matched() == shown, "the embargo has lifted"
    room.put(replace(story("b", "Bank buys ferry"), version=2))
    shown.append(("updated", "b", 2))
    assert wire.matched() == shown
    room.engine.set_status([SetStatus("a", PubStatus.CANCELED)])
    assert wire.matched() == shown
    room.engine.put([PutItem(story("e", "Ferry killed before it is looked at"))])
    room.engine.set_status([SetStatus("e", PubStatus.CANCELED)])
    assert wire.matched() == shown


@pytest.mark.parametrize(
    "away", [{"pubstatus": PubStatus.WITHHELD}, {"embargoed": START + timedelta(days=9)}]
)
def test_a_story_that_is_away_when_it_is_looked_at_and_comes_back(
    wire: Wire, away: dict[str, Any]
) -> None:
    """Nobody has told that it was away, so no transition would tell that it is back."""
    wire.topics.create(GAZETTE, "Ferries", "ferry")
    wire.pass_time(minutes=1)
    wire.room.put(story("a", "Ferry aground"))
    wire.maker.run()
    wire.room.engine.set_status([SetStatus("a", **away)])
    wire.look()
    wire.room.engine.set_status([SetStatus("a", PubStatus.USABLE, lift_embargo=True)])
    assert [(uri, version) for _, uri, version in wire.matched()] == [("a", 1)]


def test_a_story_that_stays_away_is_told_once(wire: Wire) -> None:
    wire.topics.create(GAZETTE, "Ferries", "ferry")
    wire.pass_time(minutes=1)
    wire.room.put(
        story("a", "Ferry aground"), story("b", "Ferry", products=("photos",)), story("c", "Bank")
    )
    wire.maker.run()
    wire.room.engine.set_status([SetStatus("a", PubStatus.WITHHELD)])
    for _ in range(3):
        wire.look()
        wire.maker.run()
    kinds = [(one.uri, str(one.kind)) for one in wire.alerts.log.after(0, 99, "")]
    assert kinds == [("a", "shown"), ("b", "shown"), ("c", "shown"), ("a", "hidden")]
    assert wire.matched() == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_matches_go_on_after_a_restore(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The position lies behind what a restore left, and a topic is gone that the follower knew."""
    server = request.getfixturevalue("postgres") if kind == "postgres" else None
    wire = Wire(tmp_path, address_of(server, tmp_path) if server else "")
    try:
        kept = wire.topics.create(GAZETTE, "Ferries", "ferry")
        wire.pass_time(minutes=1)
        wire.room.put(story("a", "Ferry aground"))
        assert wire.matched() == [("shown", "a", 1)]
        told = wire.alerts.log.last().n
        wire.topics.create(GAZETTE, "Boats", "boat")
        wire.room.put(*(story(f"b{n}", "Boat sold") for n in range(3)))
        assert len(wire.matched()) == 4
        after = wire.store.last()
        wire.take_back(told, kept.id)
        wire.pass_time(minutes=1)
        wire.room.put(story("c", "Ferry and boat"))
        wire.matched()
        assert [(m.topic, m.uri) for m in wire.store.matches(after, 10)] == [(kept.id, "c")]
        assert wire.store.position() == (wire.alerts.log.epoch, wire.alerts.log.last().n)
    finally:
        wire.database.close()
        wire.room.engine.close()
