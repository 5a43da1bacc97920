"""The amounts spent by day, in a database that every process of an archive shares.

Sums are whole millionths of the currency, so nothing is lost to rounding; amounts are rounded up. A
day's sum is what was settled and what is set aside. The table `spend_set_aside` has the amounts
that are not settled yet; those of killed processes stay there and count as spent.
"""

from __future__ import annotations

import math

import sqlalchemy as sa

from storage.databases import Database

_MILLIONTHS = 1_000_000
_MOST = 2**62  # millionths; means that there is no cap
_TABLES = sa.MetaData()
_DAYS = sa.Table(
    "spend_days",
    _TABLES,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("spent", sa.BigInteger, nullable=False),
)
_SET_ASIDE = sa.Table(
    "spend_set_aside",
    _TABLES,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
)


class StoredSpend:
    """A book of spends in a database, for any number of processes. Thread-safe. Every method raises
    StorageError if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)

    def reserve(self, key: str, day: str, amount: float, most: float) -> bool:
        """Set `amount` aside for `key` unless the day's sum would exceed `most`, in one step;
        return whether it is set aside.

        A `key` that is set aside already counts once. Raises ValueError for an invalid amount.
        """
        wanted = _millionths(amount)
        cap = _MOST if math.isinf(most) else math.floor(round(most * _MILLIONTHS, 3))
        new_day = self._database.insert(_DAYS).values(day=day, spent=0).on_conflict_do_nothing()
        # A second process waits here for the transaction of the first.
        locked = sa.select(_DAYS.c.spent).where(_DAYS.c.day == day).with_for_update()
        there = sa.select(_SET_ASIDE.c.key).where(_SET_ASIDE.c.key == key)
        aside = sa.insert(_SET_ASIDE).values(key=key, day=day, amount=wanted)

        def work(connection: sa.Connection) -> bool:
            connection.execute(new_day)
            spent = int(connection.execute(locked).scalar_one())
            if connection.execute(there).first() is not None:
                return True
            if spent + wanted > cap:
                return False
            connection.execute(aside)
            connection.execute(_added(day, wanted))
            return True

        return self._database.run(work)

    def settle(self, key: str, amount: float) -> bool:
        """Replace the amount that was set aside for `key` by `amount`, on the same day. Return
        False, and change nothing, if it is not set aside (any more). Raises ValueError for an
        invalid amount.
        """
        used = _millionths(amount)
        aside = sa.delete(_SET_ASIDE).where(_SET_ASIDE.c.key == key)
        taken = aside.returning(_SET_ASIDE.c.day, _SET_ASIDE.c.amount)

        def work(connection: sa.Connection) -> bool:
            row = connection.execute(taken).first()
            if row is not None:
                connection.execute(_added(str(row.day), used - int(row.amount)))
            return row is not None

        return self._database.run(work)

    def spent(self, day: str) -> float:
        """Return the day's sum: what was settled and what is set aside."""
        return spent_on(self._database, day)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def spent_on(database: Database, day: str) -> float:
    """Return a day's sum: what was settled and what is set aside; 0.0 in a database that has no
    book yet. Raises StorageError.
    """
    query = sa.select(_DAYS.c.spent).where(_DAYS.c.day == day)

    def work(connection: sa.Connection) -> float:
        there = sa.inspect(connection).has_table(_DAYS.name)
        return int(connection.execute(query).scalar() or 0) / _MILLIONTHS if there else 0.0

    return database.run(work)


def _added(day: str, amount: int) -> sa.Update:
    return sa.update(_DAYS).where(_DAYS.c.day == day).values(spent=_DAYS.c.spent + amount)


def _millionths(amount: float) -> int:
    """Return whole millionths, rounded up. Raises ValueError for an invalid amount."""
    if not 0 <= amount < _MOST / _MILLIONTHS:
        raise ValueError(f"{amount} can't be spent")
    return math.ceil(round(amount * _MILLIONTHS, 3))
