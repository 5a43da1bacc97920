"""The time by which leases in a database end.

The end of a lease does not depend on a host's clock, so a jump of that neither ends nor prolongs a
lease. In SQLite, a file of one machine, it is in the time since the machine started, and a lease
from an earlier start has ended. In Postgres it is in the database's time.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storage.databases import Database
from storage.record.steady_clock import TimeSources

_DATABASE_TIME = sa.literal_column("extract(epoch from clock_timestamp())", sa.Float)


class LeaseClock:
    """Says when rows with the columns `free_at` and `boot` are free."""

    def __init__(self, database: Database, clock: TimeSources | None = None) -> None:
        self._database = database
        self._clock = clock or TimeSources()

    def until(self, seconds: float) -> dict[str, Any]:
        """Return the values of a row that nobody may take for this many seconds."""
        now, boot = self._now()
        return {"free_at": now + seconds, "boot": boot}

    def is_free(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """Return the condition for rows without a lease, or with an ended lease."""
        now, boot = self._now()
        return sa.or_(table.c.free_at <= now, table.c.boot != boot)

    def _now(self) -> tuple[Any, str]:
        """Return the seconds of the clock, as a value or an expression, and which clock it is."""
        if self._database.is_sqlite:
            return self._clock.since_start() / 1e9, self._clock.boot()
        return _DATABASE_TIME, ""
