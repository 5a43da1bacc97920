"""Parts of a work that processes and hosts share: each part is leased by one of them at a time.

A part is a row until it is done. If a process is killed, its lease ends and another process takes
the part, so a part may be looked at twice: the work itself must see what was done.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from storage.databases import Database
from storage.lease_clock import LeaseClock
from storage.record.steady_clock import TimeSources

LEASE_S = 30.0
_TABLES = sa.MetaData()
_PARTS = sa.Table(
    "dateline_parts",
    _TABLES,
    sa.Column("work", sa.String(64), primary_key=True),
    sa.Column("part", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("holder", sa.String(32), nullable=False),  # "" if it is not leased
    sa.Column("free_at", sa.Float, nullable=False),
    sa.Column("boot", sa.String(40), nullable=False),
)


class StoredParts:
    """`core.ports.work.Parts` in a database, for any number of processes; one object holds the
    leases of one of them.
    """

    def __init__(
        self, database: Database, *, lease_s: float = LEASE_S, clock: TimeSources | None = None
    ) -> None:
        self._database = database
        self._lease_s = lease_s
        self._clock = LeaseClock(database, clock)
        self._holder = os.urandom(8).hex()
        database.prepare(_TABLES)

    def divide(self, work: str, parts: Iterable[int]) -> None:
        """Add parts to a work; those that are there stay as they are."""
        free = {"work": work, "holder": "", "free_at": 0.0, "boot": ""}
        rows = [{**free, "part": part} for part in parts]
        if rows:
            insert = self._database.insert(_PARTS).on_conflict_do_nothing()
            self._database.write(lambda connection: connection.execute(insert, rows))

    def lease(self, work: str) -> int | None:
        """Lease the first free part; return it, or None if none is free."""
        free = sa.select(_PARTS.c.part).where(_PARTS.c.work == work)
        first = free.where(self._clock.is_free(_PARTS)).order_by(_PARTS.c.part).limit(1)
        mine = {"holder": self._holder, **self._clock.until(self._lease_s)}

        def take(connection: sa.Connection) -> int | None:
            part = connection.execute(first.with_for_update(skip_locked=True)).scalar()
            if part is None:
                return None
            taken = sa.update(_PARTS).where(_PARTS.c.work == work, _PARTS.c.part == part)
            connection.execute(taken.values(mine))
            return int(part)

        return self._database.write(take)

    def renew(self, work: str, part: int) -> None:
        """Prolong a lease, unless it was lost."""
        self._change(sa.update(_PARTS).values(self._clock.until(self._lease_s)), work, part)

    def give_back(self, work: str, part: int) -> None:
        """End the lease of a part that is not done, so that others take it; not if it was lost."""
        self._change(sa.update(_PARTS).values(free_at=0.0, holder=""), work, part)

    def end(self, work: str, part: int) -> None:
        """Note that a part is done, unless its lease was lost."""
        self._change(sa.delete(_PARTS), work, part)

    def left(self, work: str) -> int:
        """Return how many parts are not done."""
        count = sa.select(sa.func.count()).where(_PARTS.c.work == work)
        return int(self._database.run(lambda connection: connection.execute(count).scalar_one()))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _change(self, statement: Any, work: str, part: int) -> None:
        held = (_PARTS.c.work == work, _PARTS.c.part == part, _PARTS.c.holder == self._holder)
        self._database.run(lambda connection: connection.execute(statement.where(*held)))
