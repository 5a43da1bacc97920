"""Endpoints and the outbox, in a file and in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.customers.transitions import TransitionKind
from core.customers.webhooks import Endpoint, EndpointState, Lease, Message
from core.errors import NotFoundError
from storage.customers.webhook_tables import LANES, MESSAGES
from storage.customers.webhooks import BATCH, StoredWebhooks
from storage.databases import Database, open_database
from storage.lease_clock import LeaseClock
from storage.record.steady_clock import TimeSources

MOST = 9
ROOM = {"kills": 2, "prompt": 2, "slow": 2}
AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, UTC)


@pytest.fixture
def webhooks(database: Database) -> StoredWebhooks:
    return StoredWebhooks(database)


def endpoint(name: str = "a", account: str = "post", **values: object) -> Endpoint:
    plain = Endpoint(name, account, f"https://{name}.example/", secret="whsec_eA==", created=1.0)
    return replace(plain, **values)  # type: ignore[arg-type]


def message(to: str, n: int, event: str = TransitionKind.SHOWN, uri: str = "") -> Message:
    return Message(to, event, f"t{n}", n, AT, uri or f"urn:{n}", 2, 30 + n)


def queue(webhooks: StoredWebhooks, *messages: Message) -> None:
    before = webhooks.position()
    assert webhooks.queue(before, ("e", before[1] + 100), messages)


def places(leases: Sequence[Lease]) -> list[tuple[str, bool, list[int]]]:
    return [(one.endpoint.id, one.kills, [m.n for m in one.messages]) for one in leases]


def end_waits(database: Database) -> None:
    database.run(lambda one: one.execute(sa.update(LANES).values(free_at=0.0)))


def test_an_account_has_no_more_endpoints_than_it_may(webhooks: StoredWebhooks) -> None:
    names = [f"e{n}" for n in range(12)]
    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(lambda name: webhooks.create(endpoint(name), 3), names))
    assert sum(added) == len(webhooks.of_account("post")) == 3
    assert webhooks.create(endpoint("b", "weekly"), 3)


def test_an_endpoint_comes_back_as_it_was_and_belongs_to_its_account(
    webhooks: StoredWebhooks,
) -> None:
    made = endpoint(
        query="ferry",
        topics=(1, 2),
        kinds=frozenset({TransitionKind.SHOWN, TransitionKind.HIDDEN}),
        begins=12,
    )
    webhooks.create(made, MOST)
    webhooks.create(endpoint("b", "weekly"), MOST)
    assert webhooks.of_account("post") == (made,)
    assert webhooks.endpoint("post", "a") == made
    for call in (
        lambda: webhooks.endpoint("weekly", "a"),
        lambda: webhooks.delete("weekly", "a"),
        lambda: webhooks.change(replace(made, account="weekly")),
    ):
        with pytest.raises(NotFoundError):
            call()
    changed = replace(made, url="https://c.example/", state=EndpointState.PAUSED, old_until=5.5)
    webhooks.change(changed)
    assert webhooks.endpoint("post", "a") == changed
    webhooks.delete("post", "a")
    assert webhooks.of_account("post") == ()
    assert [one.id for one in webhooks.receiving()] == ["b"]


def test_what_is_queued_and_the_position_are_one_transaction(webhooks: StoredWebhooks) -> None:
    webhooks.create(endpoint(), MOST)
    assert webhooks.position() == ("", 0)
    assert webhooks.queue(("", 0), ("e", 7), [message("a", 5), message("gone", 6)])
    assert not webhooks.queue(("", 0), ("e", 7), [message("a", 5)])
    assert webhooks.position() == ("e", 7)
    assert webhooks.queued(["urn:5", "urn:6"]) == {("a", "urn:5")}
    (lease,) = webhooks.lease("w", ROOM)
    assert lease.messages == (
        replace(message("a", 5), row=1, queued_at=lease.messages[0].queued_at),
    )


def test_lanes_go_in_their_order_and_kills_wait_for_nothing(
    webhooks: StoredWebhooks, database: Database
) -> None:
    webhooks.create(endpoint(), MOST)
    webhooks.create(endpoint("b", "weekly"), MOST)
    kill = message("a", 9, TransitionKind.KILLED)
    queue(webhooks, message("a", 3), message("b", 4), message("a", 2), kill)
    leases = webhooks.lease("w", ROOM)
    assert sorted(places(leases)) == [("a", False, [2, 3]), ("a", True, [9]), ("b", False, [4])]
    assert webhooks.lease("other", ROOM) == ()
    (first,) = (one for one in leases if one.endpoint.id == "a" and not one.kills)
    assert webhooks.sent(first, first.messages[0])
    assert webhooks.queued(["urn:2", "urn:3"]) == {("a", "urn:3")}
    webhooks.release(first, 0.0, slow=False)
    assert webhooks.endpoint("post", "a").sent == 1
    queue(webhooks, message("a", 1))
    assert places(webhooks.lease("w", ROOM)) == [("a", False, [1, 3])]
    webhooks.release_all("w")
    assert len(webhooks.lease("x", {"prompt": 1})) == 1
    assert places(webhooks.lease("x", {"kills": 1, "slow": 5})) == [("a", True, [9])]


def test_a_lease_has_a_bounded_number_of_messages(webhooks: StoredWebhooks) -> None:
    webhooks.create(endpoint(), MOST)
    queue(webhooks, *(message("a", n) for n in range(1, BATCH + 10)))
    assert [len(one.messages) for one in webhooks.lease("w", ROOM)] == [BATCH]


def test_who_lost_the_lease_changes_nothing(webhooks: StoredWebhooks, database: Database) -> None:
    webhooks.create(endpoint(), MOST)
    queue(webhooks, message("a", 1))
    (late,) = webhooks.lease("w", ROOM)
    end_waits(database)
    (lease,) = webhooks.lease("other", ROOM)
    assert not webhooks.sent(late, late.messages[0])
    assert not webhooks.drop(late, late.messages[0])
    webhooks.fail(late, late.messages[0], "x", dead=True, too_old_s=0.0)
    webhooks.release(late, 0.0, slow=True)
    assert webhooks.lease("third", ROOM) == ()
    assert webhooks.sent(lease, lease.messages[0])
    assert webhooks.endpoint("post", "a").sent == 1


def test_a_failed_message_stays_first_and_its_lane_is_slow(
    webhooks: StoredWebhooks, database: Database
) -> None:
    webhooks.create(endpoint(), MOST)
    queue(webhooks, message("a", 1), message("a", 2))
    (lease,) = webhooks.lease("w", ROOM)
    webhooks.fail(lease, lease.messages[0], "HTTP 500", dead=False, too_old_s=3600.0)
    webhooks.release(lease, 600.0, slow=True)
    assert webhooks.lease("w", ROOM) == ()
    queue(webhooks, message("a", 3, TransitionKind.KILLED))
    assert places(webhooks.lease("w", {"kills": 5, "prompt": 5})) == []
    (kill,) = webhooks.lease("w", {"slow": 5})  # it does not wait, and takes no other's threads
    assert (places([kill]), kill.slow) == ([("a", True, [3])], True)
    end_waits(database)
    assert places(webhooks.lease("w", {"prompt": 5})) == []
    assert places(webhooks.lease("w", {"slow": 1})) == [("a", True, [3])]
    (again,) = webhooks.lease("w", {"slow": 5})
    assert (again.failures, again.slow, again.threads) == (1, True, "slow")
    assert [(one.n, one.attempts, one.why) for one in again.messages] == [
        (1, 1, "HTTP 500"),
        (2, 0, ""),
    ]
    assert webhooks.sent(again, again.messages[0])
    webhooks.release(again, 0.0, slow=False)
    (last,) = webhooks.lease("w", {"prompt": 5})
    assert (last.failures, webhooks.endpoint("post", "a").why) == (0, "")


def test_dead_letters_are_listed_and_replayed(webhooks: StoredWebhooks, database: Database) -> None:
    webhooks.create(endpoint(), MOST)
    webhooks.create(endpoint("b"), MOST)
    queue(webhooks, message("a", 1), message("a", 2), message("b", 3))
    (lease,) = (one for one in webhooks.lease("w", ROOM) if one.endpoint.id == "a")
    webhooks.fail(lease, lease.messages[0], "HTTP 400", dead=True, too_old_s=3600.0)
    webhooks.release(lease, 0.0, slow=True)
    (letter,) = webhooks.dead("a", 0, 10)
    assert (letter.n, letter.why, letter.attempts) == (1, "HTTP 400", 1)
    assert webhooks.dead("a", letter.row, 10) == webhooks.dead("b", 0, 10) == ()
    assert webhooks.queued(["urn:1", "urn:2"]) == {("a", "urn:2")}
    assert webhooks.figures()["dead"] == 1
    assert webhooks.replay("a", [10**6]) == 0
    assert webhooks.replay("a", [letter.row]) == 1
    (again,) = webhooks.lease("w", ROOM)
    assert [(one.n, one.attempts) for one in again.messages] == [(1, 0), (2, 0)]
    webhooks.fail(again, again.messages[1], "down", dead=False, too_old_s=-1.0)  # all are too old
    assert [one.n for one in webhooks.dead("a", 0, 10)] == [1, 2]
    assert webhooks.replay("a") == 2
    database.run(lambda one: one.execute(sa.update(MESSAGES).values(dead=True, ended=50.0)))
    assert (webhooks.prune(50.0), webhooks.prune(51.0)) == (0, 3)


def test_a_disabled_endpoint_gets_nothing_and_a_paused_one_gets_it_later(
    webhooks: StoredWebhooks,
) -> None:
    webhooks.create(endpoint(), MOST)
    queue(webhooks, message("a", 1))
    webhooks.change(endpoint(state=EndpointState.PAUSED))
    assert webhooks.lease("w", ROOM) == ()
    assert len(webhooks.receiving()) == 1
    webhooks.change(endpoint())
    (lease,) = webhooks.lease("w", ROOM)
    webhooks.disable(lease, "HTTP 410")
    webhooks.release(lease, 0.0, slow=False)
    assert webhooks.receiving() == webhooks.lease("w", ROOM) == ()
    found = webhooks.endpoint("post", "a")
    assert (found.state, found.why) == (EndpointState.DISABLED, "HTTP 410")
    assert len(webhooks.dead("a", 0, 10)) == 1
    figures = webhooks.figures()
    assert figures["endpoints"] == {"active": 0, "paused": 0, "disabled": 1}
    assert (figures["waiting"], figures["oldest_seconds"]) == (0, 0.0)


def test_another_history_moves_the_beginnings(webhooks: StoredWebhooks) -> None:
    webhooks.create(endpoint(begins=90), MOST)
    assert webhooks.queue(("", 0), ("e", 95), ())
    assert webhooks.endpoint("post", "a").begins == 95
    assert webhooks.queue(("e", 95), ("e", 99), ())
    assert webhooks.endpoint("post", "a").begins == 95
    assert webhooks.queue(("e", 99), ("f", 4), ())
    assert webhooks.endpoint("post", "a").begins == 4


def test_a_lease_of_an_earlier_start_of_the_machine_has_ended(folder: Path) -> None:
    database = open_database(folder / "customers.sqlite")
    starts = ["first"]
    clock = TimeSources(since_start=lambda: 10**12, boot=lambda: starts[-1])
    webhooks = StoredWebhooks(database, LeaseClock(database, clock))
    webhooks.create(endpoint(), MOST)
    queue(webhooks, message("a", 1))
    assert len(webhooks.lease("w", ROOM)) == 1
    assert webhooks.lease("w", ROOM) == ()
    starts.append("second")
    assert len(webhooks.lease("w", ROOM)) == 1
    database.close()
