"""The tables of the audit log. Its entries are only ever added, one transaction after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.audit import START, AuditEntry, AuditFilter, AuditHead, Chained, chained, moment
from storage.databases import Database

_AT_ONCE = 1000  # rows
_TABLES = sa.MetaData()
_ENTRIES = sa.Table(
    "dateline_audit",
    _TABLES,
    sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Index("dateline_audit_by_action", "action", "n"),
)
_INDEXED = 500  # characters of a uri: Postgres takes no more than 2,704 bytes into an index
# Numbers in the text: an index on an expression is used only where the query has the same text.
_BEGUN = sa.func.substr(_ENTRIES.c.item, sa.literal_column("1"), sa.literal_column(str(_INDEXED)))
sa.Index("dateline_audit_by_item", _BEGUN, _ENTRIES.c.n)
_HEAD = sa.Table(
    "dateline_audit_head",
    _TABLES,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)


class StoredAudit:
    """`core.ports.customers.AuditLog` in a database, for any number of processes. Thread-safe.
    Every method raises StorageError if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)
        first = database.insert(_HEAD).values(one=1, n=0, digest=START).on_conflict_do_nothing()
        database.run(lambda connection: connection.execute(first))

    def append(self, entries: Sequence[AuditEntry]) -> AuditHead:
        """Add entries, durable when it returns; return the head."""
        return self._database.write(lambda connection: append_in(connection, entries))

    def head(self) -> AuditHead:
        """Return the newest entry's number and digest."""
        return self._database.run(_head)

    def rows_until(self, last: int) -> Iterator[Chained]:
        """Yield the entries up to number `last` in order, by reading some at a time."""
        after = 0
        while found := self._page(after, last):
            yield from found
            after = found[-1].n

    def newest(self, chosen: AuditFilter, limit: int) -> list[Chained]:
        """Return at most `limit` entries, the newest first."""
        query = sa.select(_ENTRIES).order_by(_ENTRIES.c.n.desc()).limit(limit)
        for name in ("who", "action"):
            if wanted := getattr(chosen, name):
                query = query.where(_ENTRIES.c[name] == wanted)
        if chosen.item:
            # Not the bare column: SQLite would put its value into the expression of the index.
            whole, begun = _ENTRIES.c.item.concat(""), _BEGUN
            query = query.where(begun == chosen.item[:_INDEXED], whole == chosen.item)
        if chosen.actions:
            query = query.where(_ENTRIES.c.action.in_(sorted(chosen.actions)))
        if chosen.since is not None:
            query = query.where(_ENTRIES.c.at >= moment(chosen.since))
        return [_row(row) for row in self._database.run(lambda c: c.execute(query).all())]

    def _page(self, after: int, last: int) -> list[Chained]:
        between = _ENTRIES.c.n > after, _ENTRIES.c.n <= last
        query = sa.select(_ENTRIES).where(*between).order_by(_ENTRIES.c.n)
        rows = self._database.run(lambda c: c.execute(query.limit(_AT_ONCE)).all())
        return [_row(row) for row in rows]


def append_in(connection: sa.Connection, entries: Sequence[AuditEntry]) -> AuditHead:
    """Add entries in a transaction of `Database.write`; return the head. The tables must exist."""
    # A second process waits here for the transaction of the first.
    row = connection.execute(sa.select(_HEAD).with_for_update()).one()
    head = AuditHead(row.n, row.digest)
    if not entries:
        return head
    fresh = chained(head, entries)
    connection.execute(sa.insert(_ENTRIES), [one.members() for one in fresh])
    head = AuditHead(fresh[-1].n, fresh[-1].digest)
    connection.execute(sa.update(_HEAD).values(n=head.n, digest=head.digest))
    return head


def _head(connection: sa.Connection) -> AuditHead:
    row = connection.execute(sa.select(_HEAD)).one()
    return AuditHead(row.n, row.digest)


def _row(row: Any) -> Chained:
    at = datetime.fromisoformat(row.at)
    entry = AuditEntry(at, row.who, row.key, row.action, row.item, row.detail)
    return Chained(row.n, entry, row.digest)
