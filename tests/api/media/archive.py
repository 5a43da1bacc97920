"""AP's whole API over a real archive: every part that a service has, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from api.access.keys import KeyRing
from api.access.services import ApiSettings, Services
from api.app import create_app
from api.customers.followed import TopicSearch
from core.callers import Caller
from customers.feed import Feed
from customers.maker import TransitionMaker
from customers.monitoring import Monitoring
from customers.on_demand import OnDemand
from customers.readers import Readers
from customers.topics import FollowedTopics
from search.understanding.strict_query import frozen_tree
from storage.customers.monitors import StoredMonitors
from storage.customers.queues import StoredQueues
from storage.customers.receipts import StoredReceipts
from storage.customers.sessions import StoredSessions
from storage.customers.topics import StoredTopics
from storage.customers.transitions import StoredTransitions
from storage.databases import open_database
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet
from storage.record.stories import earlier_versions, recorded_versions
from storage.words.topics import Topics
from tests.api.conftest import Served, serving_app
from tests.api.media.customer import now, parts_over
from tests.api.newsroom import Newsroom
from tests.search.room import Room, story

KEY, OTHER = "wire-key-1234", "photo-key-5678"
WIRE = Caller("Gazette", frozenset({"wire", "7"}))
KEYS = {KEY: WIRE, OTHER: Caller("Photo Weekly", frozenset({"photos"}))}


@dataclass(frozen=True)
class Whole:
    """A running service, its archive, and the parts about customers."""

    served: Served
    room: Room
    maker: TransitionMaker
    book: StoredTransitions
    services: Services

    def get(self, path: str, key: str = KEY, **params: Any) -> Any:
        return self.served.get(path, key=key, **params)


@contextmanager
def whole(folder: Path) -> Iterator[Whole]:
    """The service over three stories. Transitions are made when `maker.step` is called."""
    room = Room(folder)
    room.put(
        replace(story("a", "Ferry aground", products=("wire", "7")), source={"uri": "a"}),
        story("0", "Ferry freed", chain="a"),
        story("b", "Bank raises rates"),
    )
    with ExitStack() as life:
        life.callback(room.engine.close)
        database = life.enter_context(closing(open_database(folder / "customers.sqlite")))
        book, receipts = StoredTransitions(database), StoredReceipts(database)
        percolator, record = Percolator(Topics(), room.engine.languages), room.engine.record
        feed = Feed(
            book,
            receipts,
            StoredSessions(database),
            room.engine,
            percolator,
            frozen_tree,
            now,
            lambda named: recorded_versions(record.reads, named),
            lambda named: earlier_versions(record.reads, named),
        )
        maker = TransitionMaker(record, book, receipts, now, dict)
        maker.step()
        topics = FollowedTopics(StoredTopics(database), now, lambda: TopicSet(percolator))
        readers = life.enter_context(closing(Readers(feed)))
        accounts = parts_over(database)
        life.callback(accounts.usage.close)
        life.callback(accounts.in_force.close)
        absent = Newsroom()
        services = Services(
            search=TopicSearch(room.pipeline, topics),
            library=room.engine,
            writer=room.engine,
            ingest=absent,
            status=absent,
            keys=KeyRing.of(KEYS, accounts=accounts.in_force),
            accounts=accounts,
            settings=ApiSettings(held_seconds=0.0),
            receipts=receipts,
            feed=feed,
            readers=readers,
            topics=topics,
            monitoring=Monitoring(StoredMonitors(database), now),
            on_demand=OnDemand(StoredQueues(database), room.engine, now, receipts.add),
        )
        with serving_app(absent, create_app(services)) as served:
            yield Whole(served, room, maker, book, services)
