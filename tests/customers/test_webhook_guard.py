"""Webhooks over random histories: at the moment of sending each body is what the guard lets
through, and a receiver that obeys docs/webhooks.md ends with what its account may see.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from api.customers.webhook_bodies import WebhookBodies
from core.callers import Caller
from core.customers.transitions import TransitionKind
from core.customers.webhooks import Endpoint
from core.items import PubStatus
from core.query_tree import EVERYTHING
from customers.webhooks.making import MessageMaker
from customers.webhooks.retries import Answer
from customers.webhooks.sending import Sender
from customers.webhooks.signing import new_secret
from storage.customers.webhook_tables import LANES
from storage.customers.webhooks import StoredWebhooks
from tests.customers.feed_world import A, B, FeedWorld
from tests.storage.world import SetClock, change, make_item, write

HISTORIES = max(6, int(os.environ.get("EXAMPLES", "0")) // 20)
STEPS = 60
URIS = [f"urn:{n}" for n in range(5)]
ROOM = {"kills": 9, "prompt": 9, "slow": 9}
CALLERS = {"a": A, "b": B}


@dataclass
class Receiver:
    """A customer's program, which obeys the documentation."""

    caller: Caller
    seen: set[str] = field(default_factory=set)
    handled: dict[str, int] = field(default_factory=dict)
    mirror: dict[str, tuple[int, str]] = field(default_factory=dict)
    kills: list[tuple[str, str]] = field(default_factory=list)

    def take(self, name: str, told: Mapping[str, Any]) -> None:
        if name in self.seen or not told["data"]:
            return
        self.seen.add(name)
        item, position = told["data"]["item"], told["data"]["meta"]["transition"]["position"]
        if told["type"] == "item.killed":
            self.kills.append((item["uri"], name))
        if position < self.handled.get(item["uri"], 0):
            return
        self.handled[item["uri"]] = position
        if told["type"] in ("item.shown", "item.updated"):
            self.mirror[item["uri"]] = item["version"], item["headline"]
        else:
            self.mirror.pop(item["uri"], None)


class Histories:
    """One archive, its outbox, and two accounts with a webhook each."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = FeedWorld(folder, SetClock(), entitled={})
        self.store = StoredWebhooks(self.world.database)
        self.receivers = {name: Receiver(caller) for name, caller in CALLERS.items()}
        self.versions = dict.fromkeys(URIS, 0)
        self.failing = True
        bodies = WebhookBodies(self.world.engine, self.world.receipts)
        self.sender = Sender(
            self.store, self.world.feed, CALLERS.get, bodies, self.post, lambda *_: None, rate=1e9
        )
        self.maker = MessageMaker(
            self.world.book, self.store, self.world.feed, CALLERS.get, lambda _: EVERYTHING
        )
        for name in CALLERS:
            url = f"https://{name}.example/"
            self.store.create(Endpoint(name, name, url, secret=new_secret(), created=1.0), 9)
        self.make()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Checks the body against the archive at this moment; fails now and then."""
        receiver = self.receivers[url[8]]
        told = orjson.loads(body)
        if told["type"] in ("item.shown", "item.updated"):
            item = told["data"]["item"]
            now = self.world.engine.item(item["uri"], receiver.caller)
            assert now is not None, told
            assert (item["version"], item["headline"]) == (now.version, now.headline)
            got = self.world.receipts.received(receiver.caller.account, [item["uri"]])
            assert item["uri"] in got
        else:
            assert {*told["data"]["item"]} == {"uri", "version", "pubstatus"}
        if self.failing and self.rng.random() < 0.2:
            if self.rng.random() < 0.5:
                receiver.take(headers["webhook-id"], told)  # it arrived, and its answer did not
            return Answer(0, "cut off")
        receiver.take(headers["webhook-id"], told)
        return Answer(204)

    # what happens

    def make(self) -> None:
        self.world.maker.run()
        while self.maker.step():
            pass

    def send(self) -> None:
        for lease in self.store.lease("w", ROOM):
            if not self.failing or self.rng.random() < 0.8:  # else its process ends
                self.sender.send(lease)

    def end_waits(self) -> None:
        self.world.database.run(lambda one: one.execute(sa.update(LANES).values(free_at=0.0)))

    def put(self) -> None:
        uri = self.rng.choice(URIS)
        self.versions[uri] += 1
        products = self.rng.choice((("a",), ("b",), ("a", "b"), ("c",)))
        headline = f"{uri} version {self.versions[uri]}"
        write(
            self.world.engine,
            make_item(uri, self.versions[uri], products=products, headline=headline),
        )

    def status(self) -> None:
        uri = self.rng.choice(URIS)
        now = self.world.clock()
        members: Mapping[str, Any] = self.rng.choice(
            (
                {"pubstatus": PubStatus.CANCELED},
                {"pubstatus": PubStatus.CANCELED},
                {"pubstatus": PubStatus.WITHHELD},
                {"pubstatus": PubStatus.USABLE, "lift_embargo": True},
                {"embargoed": now + timedelta(minutes=5)},
            )
        )
        change(self.world.engine, uri, **members)

    def step(self) -> None:
        self.rng.choice(
            (
                self.put,
                self.put,
                self.status,
                self.status,
                self.make,
                self.send,
                self.send,
                self.end_waits,
                lambda: self.world.clock.advance(timedelta(minutes=3)),
            )
        )()

    def settle(self) -> None:
        self.failing = False
        self.world.clock.advance(timedelta(hours=1))
        self.make()
        self.end_waits()
        while self.store.figures()["waiting"]:
            self.send()
            self.end_waits()
            self.make()

    def visible(self, caller: Caller) -> dict[str, tuple[int, str]]:
        found = (self.world.engine.item(uri, caller) for uri in URIS)
        return {item.uri: (item.version, item.headline) for item in found if item is not None}


@pytest.fixture(params=range(HISTORIES))
def history(request: pytest.FixtureRequest, folder: Path) -> Iterator[Histories]:
    made = Histories(folder, request.param)
    yield made
    made.world.close()


def test_a_receiver_ends_with_what_its_account_may_see(history: Histories) -> None:
    for _ in range(STEPS):
        history.step()
    history.settle()
    kinds = {one.id: one.kind for one in history.world.book.after(0, 10_000, None)}
    for receiver in history.receivers.values():
        assert receiver.mirror == history.visible(receiver.caller)
        assert len(receiver.kills) == len({*receiver.kills})
        assert {kinds[name] for _, name in receiver.kills} <= {TransitionKind.KILLED}
    assert history.store.figures()["dead"] == 0
