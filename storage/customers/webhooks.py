"""Endpoints and the outbox of their messages: `Endpoints`, `Queue` and `Outbox` of
`customers/webhooks/ports.py`.

An endpoint has two lanes, one of kills and one of all else, and the lane is what a worker leases.
So each lane's messages go out in their order, and a kill waits for nothing but another kill.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.customers.webhooks import Endpoint, EndpointState, Lease, Message
from core.errors import NotFoundError
from storage.customers.webhook_tables import (
    ENDPOINTS,
    LANES,
    MESSAGES,
    POSITION,
    TABLES,
    endpoint_of,
    endpoint_row,
    message_of,
    message_row,
)
from storage.databases import Database
from storage.lease_clock import LeaseClock

LEASE_S = 60.0
BATCH = 20
_MAX_WHY = 300
_TURN = 7351904  # of who adds an endpoint of an account
_CLASSES = {
    "kills": LANES.c.kills & ~LANES.c.slow,
    "prompt": ~LANES.c.kills & ~LANES.c.slow,
    "slow": LANES.c.slow,
}


class StoredWebhooks:
    """The endpoints and messages of all accounts, for any number of processes. Thread-safe."""

    def __init__(self, database: Database, clock: LeaseClock | None = None) -> None:
        self._database = database
        self._clock = clock or LeaseClock(database)
        database.prepare(TABLES)
        first = database.insert(POSITION).values(id=1, epoch="", n=0).on_conflict_do_nothing()
        database.run(lambda connection: connection.execute(first))

    # --- endpoints

    def create(self, endpoint: Endpoint, most: int) -> bool:
        """Add an endpoint, with its lanes; return False if its account has `most` already."""
        lanes = [
            {"endpoint": endpoint.id, "kills": kills, "holder": "", "failures": 0, "slow": False}
            for kills in (False, True)
        ]

        own = sa.select(sa.func.count()).where(ENDPOINTS.c.account == endpoint.account)

        def work(connection: sa.Connection) -> bool:
            self._database.take_turn(connection, _TURN, endpoint.account)
            if int(connection.execute(own).scalar_one()) >= most:
                return False
            connection.execute(sa.insert(ENDPOINTS).values(endpoint_row(endpoint)))
            for lane in lanes:
                connection.execute(sa.insert(LANES).values(**lane, free_at=0.0, boot=""))
            return True

        return self._database.write(work)

    def of_account(self, account: str) -> tuple[Endpoint, ...]:
        """Return an account's endpoints, the oldest first."""
        query = sa.select(ENDPOINTS).where(ENDPOINTS.c.account == account)
        return self._endpoints(query.order_by(ENDPOINTS.c.created, ENDPOINTS.c.id))

    def receiving(self) -> tuple[Endpoint, ...]:
        """Return the endpoints of all accounts for which messages are queued."""
        return self._endpoints(
            sa.select(ENDPOINTS).where(ENDPOINTS.c.state != str(EndpointState.DISABLED))
        )

    def endpoint(self, account: str, name: str) -> Endpoint:
        """Return an account's endpoint. Raises NotFoundError."""
        found = self._endpoints(sa.select(ENDPOINTS).where(*_named(account, name)))
        if not found:
            raise NotFoundError(f"There is no webhook '{name[:40]}'.", mend="List your webhooks.")
        return found[0]

    def change(self, endpoint: Endpoint) -> None:
        """Replace what the account may set of an endpoint; an endpoint that is active again is
        tried at once. Raises NotFoundError.
        """
        row = endpoint_row(endpoint)
        for counted in ("id", "account", "created", "sent", "sent_at", "failed_at"):
            del row[counted]
        here = _named(endpoint.account, endpoint.id)
        free = sa.update(LANES).where(LANES.c.endpoint == endpoint.id, LANES.c.holder == "")

        def work(connection: sa.Connection) -> int:
            changed = connection.execute(sa.update(ENDPOINTS).where(*here).values(row)).rowcount
            if changed and endpoint.state is EndpointState.ACTIVE:
                connection.execute(free.values(self._clock.until(0.0)))
            return changed

        if not self._database.write(work):
            self.endpoint(endpoint.account, endpoint.id)  # raises

    def delete(self, account: str, name: str) -> None:
        """Delete an account's endpoint and its messages. Raises NotFoundError."""

        def work(connection: sa.Connection) -> int:
            gone = connection.execute(sa.delete(ENDPOINTS).where(*_named(account, name))).rowcount
            if gone:
                connection.execute(sa.delete(LANES).where(LANES.c.endpoint == name))
                connection.execute(sa.delete(MESSAGES).where(MESSAGES.c.endpoint == name))
            return gone

        if not self._database.write(work):
            self.endpoint(account, name)  # raises

    # --- what is queued

    def position(self) -> tuple[str, int]:
        """Return the history of transitions, and the place up to which they are queued; "" before
        the first.
        """
        query = sa.select(POSITION.c.epoch, POSITION.c.n)
        row = self._database.run(lambda connection: connection.execute(query).one())
        return row.epoch, row.n

    def queued(self, uris: Collection[str]) -> frozenset[tuple[str, str]]:
        """Return the (endpoint, uri) of waiting and leased messages about these items."""
        if not uris:
            return frozenset()
        query = sa.select(MESSAGES.c.endpoint, MESSAGES.c.uri).where(
            MESSAGES.c.uri.in_(uris), ~MESSAGES.c.dead
        )
        rows = self._database.run(lambda connection: connection.execute(query).all())
        return frozenset((row.endpoint, row.uri) for row in rows)

    def queue(
        self, before: tuple[str, int], after: tuple[str, int], messages: Sequence[Message]
    ) -> bool:
        """Queue messages and move the position, in one transaction. Return False, and do neither,
        if another process moved the position from `before`.
        """
        rows = [message_row(message, time.time()) for message in messages]
        epoch, n = after
        there = (POSITION.c.epoch == before[0], POSITION.c.n == before[1])
        move = sa.update(POSITION).where(*there).values(epoch=epoch, n=n)

        def work(connection: sa.Connection) -> bool:
            if not connection.execute(move).rowcount:
                return False
            if epoch != before[0]:  # places of another history mean nothing in this one
                connection.execute(sa.update(ENDPOINTS).values(begins=n))
            self._insert(connection, rows)
            return True

        return self._database.write(work)

    def add(self, message: Message) -> None:
        """Queue a message that no transition gives."""
        rows = [message_row(message, time.time())]
        self._database.write(lambda connection: self._insert(connection, rows))

    def _insert(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        there = set()
        if rows:
            query = sa.select(ENDPOINTS.c.id).where(
                ENDPOINTS.c.id.in_({row["endpoint"] for row in rows})
            )
            there = set(connection.execute(query).scalars())
        if found := [row for row in rows if row["endpoint"] in there]:
            connection.execute(sa.insert(MESSAGES), found)

    # --- what is sent

    def lease(self, worker: str, room: Mapping[str, int]) -> tuple[Lease, ...]:
        """Lease lanes that have something to send, at most the given number of each class (kills,
        prompt, slow). Most calls find none, and take no lock for that.
        """
        wanted = {name: most for name, most in room.items() if most > 0}
        if not wanted or not self._database.run(lambda one: self._ready(one, wanted)):
            return ()
        holder = f"{worker}/{os.urandom(4).hex()}"

        def work(connection: sa.Connection) -> tuple[Lease, ...]:
            return tuple(
                lease
                for name, most in wanted.items()
                for lease in self._take(connection, _CLASSES[name], most, holder)
            )

        return self._database.write(work)

    def sent(self, lease: Lease, message: Message) -> bool:
        """Take a message out of the outbox as sent, and prolong the lease; return False if the
        lease was lost.
        """
        counted = {"sent": ENDPOINTS.c.sent + 1, "sent_at": time.time(), "why": ""}
        told = sa.update(ENDPOINTS).where(ENDPOINTS.c.id == lease.endpoint.id).values(counted)
        return self._end(lease, message, told, failures=0)

    def drop(self, lease: Lease, message: Message) -> bool:
        """Take a message out of the outbox unsent; return False if the lease was lost."""
        return self._end(lease, message)

    def fail(
        self, lease: Lease, message: Message, why: str, *, dead: bool, too_old_s: float
    ) -> None:
        """Count a failed attempt. The message stays first, or is `dead`; all others of the lane
        that wait for longer than `too_old_s` are dead too.
        """
        now, told = time.time(), why[:_MAX_WHY]
        tried = {"attempts": MESSAGES.c.attempts + 1, "why": told, "dead": dead, "ended": now}
        old = (
            MESSAGES.c.endpoint == lease.endpoint.id,
            MESSAGES.c.kills == lease.kills,
            ~MESSAGES.c.dead,
            MESSAGES.c.queued_at < now - too_old_s,
        )
        failed = {"failed_at": now, "why": told}
        here = ENDPOINTS.c.id == lease.endpoint.id

        def work(connection: sa.Connection) -> None:
            if not self._holds(connection, lease, failures=LANES.c.failures + 1):
                return
            row = sa.update(MESSAGES).where(MESSAGES.c.row == message.row)
            connection.execute(row.values(tried))
            buried = {"dead": True, "why": told, "ended": now}
            connection.execute(sa.update(MESSAGES).where(*old).values(buried))
            connection.execute(sa.update(ENDPOINTS).where(here).values(failed))

        self._database.write(work)

    def disable(self, lease: Lease, why: str) -> None:
        """Disable an endpoint whose receiver wants no more; its messages are dead."""
        now, name = time.time(), lease.endpoint.id
        disabled = {"state": str(EndpointState.DISABLED), "why": why[:_MAX_WHY], "failed_at": now}
        dead = {"dead": True, "why": why[:_MAX_WHY], "ended": now}

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.update(ENDPOINTS).where(ENDPOINTS.c.id == name).values(disabled))
            waiting = sa.update(MESSAGES).where(MESSAGES.c.endpoint == name, ~MESSAGES.c.dead)
            connection.execute(waiting.values(dead))

        self._database.write(work)

    def release(self, lease: Lease, delay_s: float, *, slow: bool) -> None:
        """Give a lane back; it is free after `delay_s`. Both lanes of the endpoint are `slow` from
        now on, or not: its kills must not take the threads of other receivers either.
        """
        free = sa.update(LANES).where(*_held(lease)).values(holder="", **self._clock.until(delay_s))
        here = sa.update(LANES).where(LANES.c.endpoint == lease.endpoint.id)

        def work(connection: sa.Connection) -> None:
            if connection.execute(free).rowcount:
                connection.execute(here.where(LANES.c.slow != slow).values(slow=slow))

        self._database.write(work)

    def release_all(self, worker: str) -> None:
        """Give back what is leased to a worker of this name."""
        theirs = LANES.c.holder.startswith(f"{worker}/", autoescape=True)
        statement = sa.update(LANES).where(theirs).values(holder="", **self._clock.until(0.0))
        self._database.run(lambda connection: connection.execute(statement))

    # --- what was given up

    def dead(self, name: str, after: int, limit: int) -> tuple[Message, ...]:
        """Return at most `limit` dead letters of an endpoint, by row, with rows above `after`."""
        query = sa.select(MESSAGES).where(
            MESSAGES.c.endpoint == name, MESSAGES.c.dead, MESSAGES.c.row > after
        )
        ordered = query.order_by(MESSAGES.c.row).limit(limit)
        rows = self._database.run(lambda connection: connection.execute(ordered).all())
        return tuple(message_of(row) for row in rows)

    def replay(self, name: str, rows: Collection[int] | None = None) -> int:
        """Queue dead letters of an endpoint again, all or these; return how many."""
        which = [MESSAGES.c.endpoint == name, MESSAGES.c.dead]
        if rows is not None:
            which.append(MESSAGES.c.row.in_(rows))
        again = {"dead": False, "attempts": 0, "queued_at": time.time()}
        free = sa.update(LANES).where(LANES.c.endpoint == name, LANES.c.holder == "")

        def work(connection: sa.Connection) -> int:
            count = connection.execute(sa.update(MESSAGES).where(*which).values(again)).rowcount
            connection.execute(free.values(self._clock.until(0.0)))
            return count

        return self._database.write(work)

    def prune(self, dead_before: float) -> int:
        """Delete dead letters that were given up before a moment; return how many."""
        old = sa.delete(MESSAGES).where(MESSAGES.c.dead, MESSAGES.c.ended < dead_before)
        return self._database.run(lambda connection: connection.execute(old).rowcount)

    def figures(self) -> Mapping[str, Any]:
        """Return counts of endpoints by state and of messages, and the age of the oldest message
        that waits, as values for JSON.
        """
        states = sa.select(ENDPOINTS.c.state, sa.func.count()).group_by(ENDPOINTS.c.state)
        letters = sa.select(MESSAGES.c.dead, sa.func.count(), sa.func.min(MESSAGES.c.queued_at))

        def work(connection: sa.Connection) -> Mapping[str, Any]:
            by_state = {str(state): count for state, count in connection.execute(states)}
            found = connection.execute(letters.group_by(MESSAGES.c.dead)).all()
            by_dead = {bool(dead): (count, first) for dead, count, first in found}
            waiting, first = by_dead.get(False, (0, 0.0))
            return {
                "endpoints": {str(state): by_state.get(state, 0) for state in EndpointState},
                "waiting": waiting,
                "oldest_seconds": max(0.0, time.time() - first) if waiting else 0.0,
                "dead": by_dead.get(True, (0, 0.0))[0],
            }

        return self._database.run(work)

    # --- parts

    def _endpoints(self, query: sa.Select[Any]) -> tuple[Endpoint, ...]:
        rows = self._database.run(lambda connection: connection.execute(query).all())
        return tuple(endpoint_of(row) for row in rows)

    def _ready(self, connection: sa.Connection, wanted: Mapping[str, int]) -> bool:
        any_class = sa.or_(*(_CLASSES[name] for name in wanted))
        query = self._free().where(any_class).limit(1)
        return connection.execute(query).first() is not None

    def _free(self) -> sa.Select[Any]:
        """Return the query for lanes of active endpoints that have something to send now."""
        waiting = sa.exists().where(
            MESSAGES.c.endpoint == LANES.c.endpoint,
            MESSAGES.c.kills == LANES.c.kills,
            ~MESSAGES.c.dead,
        )
        active = ENDPOINTS.c.state == str(EndpointState.ACTIVE)
        joined = sa.select(LANES).join(ENDPOINTS, ENDPOINTS.c.id == LANES.c.endpoint)
        return joined.where(active, self._clock.is_free(LANES), waiting)

    def _take(
        self, connection: sa.Connection, of_class: sa.ColumnElement[bool], most: int, holder: str
    ) -> list[Lease]:
        first = (
            self._free().where(of_class).order_by(LANES.c.kills.desc(), LANES.c.free_at).limit(most)
        )
        rows = connection.execute(first.with_for_update(of=LANES, skip_locked=True)).all()
        return [self._leased(connection, row, holder) for row in rows]

    def _leased(self, connection: sa.Connection, row: Any, holder: str) -> Lease:
        lane = (LANES.c.endpoint == row.endpoint, LANES.c.kills == row.kills)
        held = {"holder": holder, **self._clock.until(LEASE_S)}
        connection.execute(sa.update(LANES).where(*lane).values(held))
        query = sa.select(ENDPOINTS).where(ENDPOINTS.c.id == row.endpoint)
        endpoint = endpoint_of(connection.execute(query).one())
        first = (
            sa.select(MESSAGES)
            .where(MESSAGES.c.endpoint == row.endpoint, MESSAGES.c.kills == row.kills)
            .where(~MESSAGES.c.dead)
            .order_by(MESSAGES.c.n, MESSAGES.c.row)
            .limit(BATCH)
        )
        messages = tuple(message_of(each) for each in connection.execute(first))
        return Lease(endpoint, bool(row.kills), holder, messages, row.failures, bool(row.slow))

    def _end(
        self, lease: Lease, message: Message, told: sa.Update | None = None, **values: Any
    ) -> bool:
        def work(connection: sa.Connection) -> bool:
            if not self._holds(connection, lease, **values):
                return False
            connection.execute(sa.delete(MESSAGES).where(MESSAGES.c.row == message.row))
            if told is not None:
                connection.execute(told)
            return True

        return self._database.write(work)

    def _holds(self, connection: sa.Connection, lease: Lease, **values: Any) -> bool:
        """Prolong the lease and set `values` of the lane; return False if the lease was lost."""
        kept = {**values, **self._clock.until(LEASE_S)}
        return bool(connection.execute(sa.update(LANES).where(*_held(lease)).values(kept)).rowcount)


def _named(account: str, name: str) -> tuple[Any, ...]:
    return ENDPOINTS.c.account == account, ENDPOINTS.c.id == name


def _held(lease: Lease) -> tuple[Any, ...]:
    return (
        LANES.c.endpoint == lease.endpoint.id,
        LANES.c.kills == lease.kills,
        LANES.c.holder == lease.holder,
    )
