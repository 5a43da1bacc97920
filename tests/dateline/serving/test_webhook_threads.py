"""Webhooks from transitions to receivers: order, kills, retries, and who gets what."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from api.customers.webhook_bodies import WebhookBodies
from core.callers import Caller
from core.customers.transitions import START, Position, Told, Transition, TransitionKind
from core.customers.webhooks import Endpoint, EndpointState
from core.errors import StorageError
from core.items import Item, ItemType, PubStatus
from core.ports.customers import BoolMatrix
from core.query_tree import EVERYTHING, Node, Word
from core.standing import Head, Sight
from customers.feed import Feed
from customers.webhooks.addresses import AddressRules
from customers.webhooks.making import MessageMaker
from customers.webhooks.sending import Sender
from customers.webhooks.signing import new_secret, signature
from dateline.serving.webhook_posts import WebhookPosts
from dateline.serving.webhook_threads import AttemptCounts, WebhookThreads
from storage.customers.webhook_tables import LANES
from storage.customers.webhooks import StoredWebhooks
from storage.databases import open_database
from tests.webhook_receiver import Received, Receiver, receiver, silent, status

SHOWN, UPDATED, HIDDEN, KILLED = (
    TransitionKind.SHOWN,
    TransitionKind.UPDATED,
    TransitionKind.HIDDEN,
    TransitionKind.KILLED,
)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE_S = 60.0
HERE = AddressRules.of(["127.0.0.0/8"], http=True)


@dataclass
class Wire:
    """The record, the transitions and the receipts, in memory."""

    items: dict[int, Item] = field(default_factory=dict)
    log: list[Transition] = field(default_factory=list)
    epoch: str = "one"
    products: dict[str, frozenset[str]] = field(default_factory=dict)
    got: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    on_receipt: Callable[[], None] = lambda: None

    # transitions

    def last(self) -> Position:
        return Position(self.log[-1].n, self.log[-1].id) if self.log else START

    def after(self, n: int, limit: int, account: str | None) -> Sequence[Transition]:
        assert account is None
        return [one for one in self.log if one.n > n][:limit]

    def tell(
        self, kind: TransitionKind, uri: str, account: str = "", *, undoes: bool = False
    ) -> Transition:
        seq = max((seq for seq, item in self.items.items() if item.uri == uri), default=0)
        version = self.items[seq].version if seq else 1
        n = self.last().n + 1
        made = Transition(n, f"t{n}", AT, kind, uri, uri, version, seq, account, undoes)
        self.log.append(made)
        return self.log[-1]

    def put(self, uri: str, headline: str = "Ferry", products: tuple[str, ...] = ("wire",)) -> None:
        old = [seq for seq, item in self.items.items() if item.uri == uri]
        version = self.items.pop(old[0]).version + 1 if old else 1
        item = Item(uri, version, ItemType.TEXT, AT, AT, uri, headline=headline, products=products)
        self.items[max(self.items, default=0) + len(old) + 1] = item
        self.tell(UPDATED if old else SHOWN, uri)

    def kill(self, uri: str) -> None:
        (seq,) = (seq for seq, item in self.items.items() if item.uri == uri)
        self.items[seq] = replace(self.items[seq], pubstatus=PubStatus.CANCELED)
        self.tell(KILLED, uri)

    def undo(self, uri: str) -> None:
        """Bring back what was killed."""
        (seq,) = (seq for seq, item in self.items.items() if item.uri == uri)
        self.items[seq] = replace(self.items[seq], pubstatus=PubStatus.USABLE)
        self.tell(SHOWN, uri, undoes=True)

    def told(self, uris: Collection[str]) -> Mapping[str, Told]:
        found = {}
        for one in self.log:
            if one.uri in uris and not one.account:
                item = self.items.get(one.seq)
                products = frozenset(item.products) if item else frozenset[str]()
                found[one.uri] = Told(
                    one.uri, one.story, one.kind, one.version, one.seq, products, one.n
                )
        return found

    def owe(self, uris: Collection[str]) -> None:
        """Their transitions are told at once."""

    # accounts and the library

    def caller(self, account: str) -> Caller | None:
        held = self.products.get(account)
        return None if held is None else Caller(account, held)

    def sights(self, named: Mapping[str, Collection[str]], caller: Caller) -> Mapping[str, Sight]:
        return {
            item.uri: Sight(item if self._shows(item, caller) else None)
            for item in [*self.items.values()]
            if item.uri in named
        }

    def heads(self, uris: Collection[str], caller: Caller) -> Mapping[str, Head]:
        return {
            item.uri: Head(item.uri, item.version, seq, item.products)
            for seq, item in [*self.items.items()]
            if item.uri in uris and self._shows(item, caller)
        }

    def versions(self, ids: Collection[int]) -> Mapping[int, Item]:
        return {seq: item for seq, item in [*self.items.items()] if seq in ids}

    def _shows(self, item: Item, caller: Caller) -> bool:
        return item.pubstatus is PubStatus.USABLE and bool(caller.products & {*item.products})

    # receipts

    def add(
        self,
        account: str,
        channel: str,
        versions: Collection[tuple[str, int]],
        *,
        synced: bool = False,
    ) -> None:
        self.got[account] |= {uri for uri, _ in versions}
        self.on_receipt()

    def received(self, account: str, uris: Collection[str]) -> Mapping[str, int]:
        return dict.fromkeys(self.got[account] & {*uris}, 1)

    def receivers(self, uris: Collection[str]) -> Mapping[str, frozenset[str]]:
        return {u: frozenset(a for a, got in self.got.items() if u in got) for u in uris}


class Words:
    """Queries of one word, which the headline has."""

    def tree(self, endpoint: Endpoint) -> Node:
        return Word(endpoint.query) if endpoint.query else EVERYTHING

    def matches(self, items: Sequence[Item], trees: Sequence[Node]) -> BoolMatrix:
        words = [tree.text if isinstance(tree, Word) else "" for tree in trees]
        rows = [[word in item.headline for word in words] for item in items]
        return np.array(rows, np.bool_).reshape(len(items), len(trees))


class World:
    """The wire, the outbox, and threads that send."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(folder / "customers.sqlite", synced=False)
        self.store = StoredWebhooks(self.database)
        self.wire = Wire(products={"post": frozenset({"wire"}), "weekly": frozenset({"photos"})})
        self.posts = WebhookPosts(HERE, total_s=60.0)
        self.counts = AttemptCounts()
        wire: Any = self.wire  # of each port, what is asked here
        compile_: Any = Words().tree
        feed = Feed(
            wire, wire, wire, wire, Words(), compile_, lambda: AT, lambda _: {}, lambda _: []
        )
        bodies = WebhookBodies(wire, wire)
        self.sender = Sender(
            self.store, feed, wire.caller, bodies, self.posts, self.counts, rate=1e6
        )
        self.maker = MessageMaker(wire, self.store, feed, wire.caller, Words().tree)
        while self.maker.step():
            pass

    def endpoint(self, to: Receiver | str, account: str = "post", **values: Any) -> Endpoint:
        url = to if isinstance(to, str) else to.url
        made = Endpoint(
            f"wh{len(self.store.receiving())}",
            account,
            url,
            secret=new_secret(),
            begins=self.wire.last().n,
            created=time.time(),
        )
        made = replace(made, **values)
        self.store.create(made, 99)
        return made

    def wait(self, seconds: float) -> None:
        """Have each post wait so long for its answer."""
        self.posts.close()
        self.posts = WebhookPosts(HERE, total_s=seconds)
        self.sender = replace(self.sender, post=self.posts)

    def make(self) -> None:
        while self.maker.step():
            pass

    def end_waits(self) -> None:
        self.database.run(lambda one: one.execute(sa.update(LANES).values(free_at=0.0)))

    def send_all(self) -> None:
        """Sends what is leased until nothing is left."""
        while leases := self.store.lease("test", {"kills": 9, "prompt": 9, "slow": 9}):
            for lease in leases:
                self.sender.send(lease)

    @contextmanager
    def threads(self) -> Iterator[WebhookThreads]:
        threads = WebhookThreads(self.maker, self.sender, self.store, self.counts)
        threads.start()
        try:
            yield threads
        finally:
            threads.stop()


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    made = World(folder)
    yield made
    made.posts.close()
    made.database.close()


def told(received: Sequence[Received]) -> list[tuple[str, str]]:
    return [(one.json["type"], one.json["data"]["item"]["uri"]) for one in received]


def test_what_happens_is_sent_in_order_and_signed(world: World) -> None:
    with receiver(status(204)) as there, world.threads() as threads:
        hook = world.endpoint(there)
        for n in range(30):
            world.wire.put(f"urn:{n}")
        world.wire.put("urn:3", "Ferry sails")
        threads.wake()
        received = there.wait(30)
        assert [one.json["data"]["meta"]["transition"]["position"] for one in received] == sorted(
            one.json["data"]["meta"]["transition"]["position"] for one in received
        )
        first = received[0]
        assert first.headers["webhook-signature"] == signature(
            hook.secret, first.name, int(first.headers["webhook-timestamp"]), first.body
        )
        assert abs(int(first.headers["webhook-timestamp"]) - time.time()) < PATIENCE_S
        data = first.json["data"]
        assert (first.name, data["meta"]["transition"]["id"]) == ("t1", "t1")
        assert (data["item"]["headline"], data["item"]["version"]) == ("Ferry", 1)
        assert data["meta"]["products"] == [{"name": "wire"}]
        assert first.headers["content-type"] == "application/json"


def test_an_account_gets_what_its_plans_queries_and_kinds_let_through(world: World) -> None:
    with receiver(status(204)) as plain, receiver(status(204)) as filtered:
        world.endpoint(plain)
        world.endpoint(filtered, query="Storm", kinds=frozenset({SHOWN, HIDDEN}))
        world.wire.put("urn:a", "Ferry")
        world.wire.put("urn:b", "Storm")
        world.wire.put("urn:b", "Storm ends")
        world.wire.put("urn:photo", "Storm", products=("photos",))
        world.make()
        world.send_all()
        assert told(plain.received) == [
            ("item.shown", "urn:a"),
            ("item.shown", "urn:b"),
            ("item.updated", "urn:b"),
        ]
        assert told(filtered.received) == [("item.shown", "urn:b")]
        items = [one.json["data"]["item"] for one in plain.received]
        assert [item["version"] for item in items] == [1, 2, 2]  # as it is at that moment
        world.wire.put("urn:c", "Storm")
        world.make()
        world.send_all()
        assert told(filtered.received)[1:] == [("item.shown", "urn:c")]


def test_the_end_of_an_item_is_told_to_who_received_it_and_nobody_else(world: World) -> None:
    with receiver(status(204)) as mine, receiver(status(204)) as other:
        world.endpoint(mine, kinds=frozenset({SHOWN}))
        world.endpoint(other, "weekly")
        for name in ("a", "b", "c"):
            world.wire.put(f"urn:{name}")
        world.make()
        world.send_all()
        world.wire.add("weekly", "search", {("urn:b", 1)})
        world.wire.products["post"] = frozenset()  # its plan ended
        world.wire.tell(HIDDEN, "urn:a")  # not of the kinds that it wants
        world.wire.kill("urn:b")
        world.wire.kill("urn:c")
        world.make()
        world.send_all()
        assert sorted(told(mine.received)[3:]) == [
            ("item.killed", "urn:b"),
            ("item.killed", "urn:c"),
        ]
        assert told(other.received) == [("item.killed", "urn:b")]
        item = other.received[0].json["data"]["item"]
        assert item == {"uri": "urn:b", "version": 1, "pubstatus": "canceled"}


def test_the_undo_of_a_kill_is_sent_where_the_kill_was(world: World) -> None:
    """Neither wants what is shown, and the query does not match; one account has the item."""
    with receiver(status(204)) as mine, receiver(status(204)) as other:
        world.endpoint(mine, query="Train", kinds=frozenset({KILLED}))
        world.wire.products["weekly"] = frozenset({"wire"})
        world.endpoint(other, "weekly", kinds=frozenset({KILLED}))
        world.wire.put("urn:a")
        world.wire.add("post", "search", {("urn:a", 1)})
        world.wire.kill("urn:a")
        world.wire.undo("urn:a")
        world.make()
        world.send_all()
        assert told(mine.received)[-1] == ("item.shown", "urn:a")
        assert mine.received[-1].json["data"]["item"]["headline"] == "Ferry"
        assert told(other.received) == []


def test_a_queued_item_that_is_killed_meanwhile_sends_its_tombstone_only(world: World) -> None:
    with receiver(status(204)) as there:
        world.endpoint(there, state=EndpointState.PAUSED)
        world.wire.put("urn:a", "Secret words")
        world.make()
        (hook,) = world.store.of_account("post")
        world.wire.kill("urn:a")
        world.make()
        world.store.change(replace(hook, state=EndpointState.ACTIVE))
        world.send_all()
        assert told(there.received) == [("item.killed", "urn:a")]
        assert b"Secret" not in there.received[0].body
        assert world.wire.got["post"] == set()


def test_a_kill_between_the_receipt_and_the_bytes_sends_no_content(world: World) -> None:
    with receiver(status(204)) as there:
        world.endpoint(there)
        world.wire.put("urn:a", "Secret words")
        world.make()
        world.wire.on_receipt = lambda: world.wire.kill("urn:a")
        world.send_all()
        assert there.received == []
        world.make()
        world.send_all()
        assert told(there.received) == [("item.killed", "urn:a")]


def test_the_receipt_is_there_before_the_message_arrives(world: World) -> None:
    early: list[bool] = []
    looked = lambda one: early.append(one.json["data"]["item"]["uri"] in world.wire.got["post"])  # noqa: E731
    with receiver(status(204), looked) as there:
        world.endpoint(there)
        world.wire.put("urn:a")
        world.make()
        world.send_all()
        assert early == [True]


def test_a_lost_entitlement_sends_nothing(world: World) -> None:
    with receiver(status(204)) as there:
        world.endpoint(there)
        world.wire.put("urn:a")
        world.make()
        del world.wire.products["post"]
        world.send_all()
        assert there.received == []
        assert world.store.figures()["waiting"] == 0


def test_a_failed_message_is_sent_again_first_and_given_up_at_last(world: World) -> None:
    answers = [status(500), status(503), status(204)]
    with receiver(lambda c, e: answers.pop(0)(c, e) if answers else status(400)(c, e)) as there:
        world.endpoint(there)
        world.wire.put("urn:a")
        world.wire.put("urn:b")
        world.make()
        for _ in range(3):
            world.end_waits()
            world.send_all()
        assert [one.name for one in there.received] == ["t1", "t1", "t1", "t2"]
        for _ in range(19):
            world.end_waits()
            world.send_all()
        (letter,) = world.store.dead("wh0", 0, 10)
        assert (letter.name, letter.attempts, letter.why) == ("t2", 20, "HTTP 400")
        answers.append(status(204))
        assert world.store.replay("wh0") == 1
        world.send_all()
        assert there.received[-1].name == "t2"
        assert world.store.figures()["waiting"] == world.store.figures()["dead"] == 0


def test_410_disables(world: World) -> None:
    with receiver(status(410)) as there:
        world.endpoint(there)
        world.wire.put("urn:a")
        world.wire.put("urn:b")
        world.make()
        world.send_all()
        assert len(there.received) == 1
        assert world.store.endpoint("post", "wh0").state is EndpointState.DISABLED
        world.wire.put("urn:c")
        world.make()
        assert world.store.figures()["waiting"] == 0


def test_two_secrets_sign_until_the_overlap_ends(world: World) -> None:
    with receiver(status(204)) as there:
        hook = world.endpoint(there, old_secret=new_secret(), old_until=time.time() + 3600)
        world.wire.put("urn:a")
        world.make()
        world.send_all()
        world.store.change(replace(hook, old_until=time.time() - 1))
        world.wire.put("urn:b")
        world.make()
        world.send_all()
        both, one = (x.headers["webhook-signature"].split(" ") for x in there.received)
        assert (len(both), len(one)) == (2, 1)


def test_after_a_restore_receivers_are_told(world: World) -> None:
    with receiver(status(204)) as there:
        world.endpoint(there)
        world.wire.put("urn:a")
        world.make()
        world.wire.epoch = "two"
        world.wire.put("urn:b")
        world.make()
        world.send_all()
        assert [one.json["type"] for one in there.received] == [
            "item.shown",
            "feed.restarted",
            "item.shown",
        ]


def test_hostile_receivers_delay_nobody_else(world: World) -> None:
    """Thirty receivers that hang: the others, and kills, go on meanwhile."""
    world.wait(5.0)
    with receiver(status(204)) as good, receiver(silent) as bad, world.threads() as threads:
        for _ in range(30):
            world.endpoint(bad)
        world.endpoint(good)
        world.wire.put("urn:a")
        threads.wake()
        good.wait(1)
        for n in range(20):
            world.wire.put(f"urn:{n}")
        world.wire.kill("urn:a")
        threads.wake()
        received = good.wait(22)
        assert min(told(received)) == ("item.killed", "urn:a")
        assert threads.status()["waiting"] > 0
        assert threads.status()["attempts"]["sent"] >= 20
        bad.ended.set()


def test_a_kill_goes_ahead_of_a_long_queue(world: World) -> None:
    go = threading.Event()

    def slowly(connection: Any, ended: threading.Event) -> None:
        if not go.wait(PATIENCE_S):
            return
        status(204)(connection, ended)

    with receiver(status(204)) as first:
        world.endpoint(first)
        world.wire.put("urn:a")
        world.make()
        world.send_all()
    with receiver(lambda c, e: slowly(c, e)) as there:
        (hook,) = world.store.of_account("post")
        world.store.change(replace(hook, url=there.url))
        with world.threads() as threads:
            for n in range(40):
                world.wire.put(f"urn:{n}")
            threads.wake()
            there.wait(1)  # it is not answered yet
            world.wire.kill("urn:a")
            threads.wake()
            received = there.wait(2)
            assert told(received)[1] == ("item.killed", "urn:a")
            go.set()


def test_two_processes_send_each_message_once(world: World) -> None:
    with receiver(status(204)) as there, world.threads() as one, world.threads() as other:
        world.endpoint(there)
        for n in range(60):
            world.wire.put(f"urn:{n}")
            (one if n % 2 else other).wake()
        there.wait(60)
    assert sorted(one.name for one in there.received) == sorted(f"t{n}" for n in range(1, 61))


def test_a_stopped_sender_gives_back_what_it_leased(world: World) -> None:
    """Another process need not wait for the end of the leases."""
    world.wait(1.0)
    with receiver(silent) as there:
        world.endpoint(there)
        world.wire.put("urn:a")
        with world.threads() as threads:
            threads.wake()
            there.wait(1)
            assert world.store.lease("x", {"prompt": 1}) == ()
    world.end_waits()  # of the attempt that failed
    (lease,) = world.store.lease("x", {"prompt": 1, "slow": 1})
    assert [one.name for one in lease.messages] == ["t1"]


def test_no_secret_stands_in_what_is_shown_or_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    hook = world.endpoint("http://127.0.0.1:1/")
    world.wire.put("urn:a")
    world.make()
    (lease,) = world.store.lease("x", {"prompt": 1})
    assert hook.secret not in repr((hook, lease))
    with pytest.raises(StorageError) as raised:
        world.store.create(hook, 9)  # it is there
    causes = f"{raised.value} {raised.value.__cause__!r} {raised.value.__cause__}"
    assert hook.secret not in causes
    assert hook.secret not in caplog.text
