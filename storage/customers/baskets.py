"""The tables of baskets and of what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.customers.baskets import Basket, BasketEntry
from storage.customers.digests import key_of
from storage.databases import Database
from storage.record.item_rows import from_micros, to_micros

_NUMBER = sa.BigInteger
_TURN = 7_351_903  # the kind of the turns that an account takes, in Postgres
_TABLES = sa.MetaData()
_BASKETS = sa.Table(
    "dateline_baskets",
    _TABLES,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created", _NUMBER, nullable=False),
    sa.Column("changed", _NUMBER, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False),
    sa.Index("dateline_baskets_by_account", "account"),
)
_ENTRIES = sa.Table(
    "dateline_basket_entries",
    _TABLES,
    sa.Column("basket", sa.String(64), sa.ForeignKey(_BASKETS.c.id), primary_key=True),
    sa.Column("key", sa.LargeBinary(16), primary_key=True),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("version", _NUMBER, nullable=False),
    sa.Column("added", _NUMBER, nullable=False),
)
_COUNT = (
    sa.select(sa.func.count())
    .where(_ENTRIES.c.basket == _BASKETS.c.id)
    .scalar_subquery()
    .label("count")
)


class StoredBaskets:
    """`core.ports.customers.BasketStore` in a database, for any number of processes. Thread-safe.
    Every method raises StorageError if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)

    def create(self, basket: Basket, most: int) -> bool:
        """Record a new basket; False if its account has `most` already."""
        own = sa.select(sa.func.count()).where(_BASKETS.c.account == basket.account)
        row = {
            **{name: getattr(basket, name) for name in ("id", "account", "name", "shared")},
            "created": to_micros(basket.created),
            "changed": to_micros(basket.changed),
        }

        def work(connection: sa.Connection) -> bool:
            self._database.take_turn(connection, _TURN, basket.account)
            if connection.execute(own.select_from(_BASKETS)).scalar_one() >= most:
                return False
            connection.execute(sa.insert(_BASKETS), row)
            return True

        return self._database.write(work)

    def of(self, account: str) -> Sequence[Basket]:
        """Return the baskets of an account, the last changed first."""
        ordered = (_BASKETS.c.changed.desc(), _BASKETS.c.id)
        query = sa.select(_BASKETS, _COUNT).where(_BASKETS.c.account == account)
        return [_basket(row) for row in self._all(query.order_by(*ordered))]

    def one(self, id_: str) -> Basket | None:
        """Return the basket with this id, of any account; None without one."""
        rows = self._all(sa.select(_BASKETS, _COUNT).where(_BASKETS.c.id == id_))
        return _basket(rows[0]) if rows else None

    def entries(self, id_: str) -> Sequence[BasketEntry]:
        """Return what is in a basket, the last one put in first."""
        query = sa.select(_ENTRIES).where(_ENTRIES.c.basket == id_)
        rows = self._all(query.order_by(_ENTRIES.c.added.desc(), _ENTRIES.c.uri))
        return [BasketEntry(row.uri, row.version, from_micros(row.added)) for row in rows]

    def change(self, account: str, id_: str, name: str, shared: bool, at: datetime) -> bool:
        """Give a basket of the account another name and say whether it is shared; False without
        such a basket.
        """
        changed = _own(account, id_).values(name=name, shared=shared, changed=to_micros(at))
        return self._database.run(lambda connection: bool(connection.execute(changed).rowcount))

    def put_in(self, account: str, id_: str, entry: BasketEntry, most: int) -> bool:
        """Put an entry into a basket of the account, once; False if there is no such basket, or
        `most` entries are in it.
        """
        at = to_micros(entry.added)
        row: dict[str, Any] = {"basket": id_, "key": key_of(entry.uri), "uri": entry.uri}
        row |= {"version": entry.version, "added": at}
        held = sa.select(_ENTRIES.c.key).where(_ENTRIES.c.basket == id_)

        def work(connection: sa.Connection) -> bool:
            # The update locks the basket, so that two entries don't share its last place.
            if not connection.execute(_own(account, id_).values(changed=at)).rowcount:
                return False
            keys = {bytes(key) for (key,) in connection.execute(held)}
            if row["key"] not in keys:
                if len(keys) >= most:
                    return False
                connection.execute(sa.insert(_ENTRIES), row)
            return True

        return self._database.write(work)

    def take_out(self, account: str, id_: str, uri: str, at: datetime) -> bool:
        """Take an item out of a basket of the account; False if it was not in it."""
        here = (_ENTRIES.c.basket == id_, _ENTRIES.c.key == key_of(uri))
        changed = _own(account, id_).values(changed=to_micros(at))

        def work(connection: sa.Connection) -> bool:
            if not connection.execute(changed).rowcount:
                return False
            return bool(connection.execute(sa.delete(_ENTRIES).where(*here)).rowcount)

        return self._database.write(work)

    def remove(self, account: str, id_: str) -> bool:
        """Delete a basket of the account and what is in it; False without such a basket."""
        own = (_BASKETS.c.id == id_, _BASKETS.c.account == account)
        locked = sa.select(_BASKETS.c.id).where(*own).with_for_update()

        def work(connection: sa.Connection) -> bool:
            if connection.execute(locked).first() is None:
                return False
            connection.execute(sa.delete(_ENTRIES).where(_ENTRIES.c.basket == id_))
            connection.execute(sa.delete(_BASKETS).where(*own))
            return True

        return self._database.write(work)

    def _all(self, query: Any) -> Sequence[Any]:
        return self._database.run(lambda connection: connection.execute(query).all())


def _own(account: str, id_: str) -> sa.Update:
    return sa.update(_BASKETS).where(_BASKETS.c.id == id_, _BASKETS.c.account == account)


def _basket(row: Any) -> Basket:
    times = from_micros(row.created), from_micros(row.changed)
    return Basket(row.id, row.account, row.name, *times, bool(row.shared), int(row.count))
