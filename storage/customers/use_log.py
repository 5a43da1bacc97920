"""The tables of the use log: queries, events, the words that enough callers asked, and secrets.

Words lie apart from queries, under the keyed hash of the query. So the tables never hold words that
fewer than `least` callers asked, not even for a moment, and one statement takes them away again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from core.audit import AuditEntry
from core.customers.use import Action, Event, LoggedQuery
from storage.customers.audit import StoredAudit, append_in
from storage.databases import Database
from storage.record.item_rows import from_micros, to_micros

_AT_ONCE = 500  # queries
_SECRET = 32  # bytes
_TABLES = sa.MetaData()
_QUERIES = sa.Table(
    "dateline_use_queries",
    _TABLES,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("period", sa.BigInteger, nullable=False),
    sa.Column("caller", sa.String(32), nullable=False),
    sa.Column("query", sa.String(32), nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("hits", sa.Text, nullable=False),  # JSON
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("milliseconds", sa.Float, nullable=False),
    sa.Column("unknown", sa.Boolean, nullable=False),
    sa.Column("experiment", sa.Text, nullable=False, server_default=""),
    sa.Column("arm", sa.Text, nullable=False, server_default=""),
    sa.Column("unit", sa.String(32), nullable=False, server_default=""),
    sa.Column("teams", sa.Text, nullable=False, server_default=""),
    sa.Index("dateline_use_queries_by_time", "at", "id"),
    sa.Index("dateline_use_queries_by_query", "query", "caller"),
    sa.Index("dateline_use_queries_by_caller", "caller"),
)
_EVENTS = sa.Table(
    "dateline_use_events",
    _TABLES,
    sa.Column("query_id", sa.String(36), primary_key=True),
    sa.Column("action", sa.String(16), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)
_WORDS = sa.Table(
    "dateline_use_words",
    _TABLES,
    sa.Column("query", sa.String(32), primary_key=True),
    sa.Column("words", sa.Text, nullable=False),
)
_SECRETS = sa.Table(
    "dateline_use_secrets",
    _TABLES,
    sa.Column("period", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("secret", sa.LargeBinary(_SECRET), nullable=False),
)
_PLAIN = [name for name in LoggedQuery.__slots__ if name not in ("words", "events")]


class StoredUse:
    """`core.ports.customers.UseStore` in a database, for any number of processes. Thread-safe.
    Every method raises StorageError if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)
        StoredAudit(database)  # its tables: an erasure has an entry there

    def secret(self, period: int) -> bytes:
        """Return the secret of a period, which is made when it is first asked for."""
        made = {"period": period, "secret": secrets.token_bytes(_SECRET)}
        new = self._database.insert(_SECRETS).values(made).on_conflict_do_nothing()
        kept = sa.select(_SECRETS.c.secret).where(_SECRETS.c.period == period)

        def work(connection: sa.Connection) -> bytes:
            connection.execute(new)
            return bytes(connection.execute(kept).scalar_one())

        return self._database.run(work)

    def secrets(self) -> Mapping[int, bytes]:
        """Return the secret of each period that has queries, and of the newest."""
        rows = self._database.run(lambda c: c.execute(sa.select(_SECRETS)).all())
        return {int(row.period): bytes(row.secret) for row in rows}

    def add(self, query: LoggedQuery, words: str, least: int) -> None:
        """Keep a query; its `words` only if `least` callers asked it in its period. With "" they
        are never kept.
        """
        row = {name: getattr(query, name) for name in _PLAIN}
        row |= {"at": to_micros(query.at), "hits": orjson.dumps(query.hits).decode()}
        known = sa.select(_WORDS.c.query).where(_WORDS.c.query == query.query)
        same = _QUERIES.c.query == query.query
        callers = sa.select(sa.func.count(_QUERIES.c.caller.distinct())).where(same)
        kept = self._database.insert(_WORDS).values(query=query.query, words=words)

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.insert(_QUERIES).values(row))
            if not words or connection.execute(known).first() is not None:
                return
            if int(connection.execute(callers).scalar_one()) >= least:
                connection.execute(kept.on_conflict_do_nothing())

        self._database.run(work)

    def note(self, event: Event, caller: str) -> bool:
        """Keep an event; return False, and keep nothing, if the caller was shown no such hit."""
        own = (_QUERIES.c.id == event.query_id, _QUERIES.c.caller == caller)
        shown = sa.select(_QUERIES.c.hits).where(*own)
        insert = self._database.insert(_EVENTS)

        def work(connection: sa.Connection) -> bool:
            row = connection.execute(shown).first()
            hits = [] if row is None else orjson.loads(row.hits)
            if event.uri not in hits:
                return False
            place = hits.index(event.uri) + 1
            told = {"query_id": event.query_id, "action": event.action.value, "uri": event.uri}
            values = insert.values(**told, place=place, at=to_micros(event.at))
            connection.execute(values.on_conflict_do_nothing())
            return True

        return self._database.run(work)

    def logged(self, since: datetime, until: datetime) -> Iterator[LoggedQuery]:
        """Yield the queries from `since` to before `until` with their events, the oldest first."""
        last = (to_micros(since), "")
        at, name = _QUERIES.c.at, _QUERIES.c.id
        words = sa.func.coalesce(_WORDS.c.words, "").label("words")
        joined = _QUERIES.outerjoin(_WORDS, _WORDS.c.query == _QUERIES.c.query)
        every = sa.select(_QUERIES, words).select_from(joined).order_by(at, name).limit(_AT_ONCE)
        while True:
            here = sa.or_(at > last[0], sa.and_(at == last[0], name > last[1]))
            rows = self._all(every.where(here, at < to_micros(until)))
            events = self._events([row.id for row in rows])
            yield from (_query(row, events.get(row.id, ())) for row in rows)
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1].at, rows[-1].id

    def erase(self, callers: Collection[str], least: int, entry: AuditEntry) -> int:
        """Delete what these callers did; return how many queries. Words that fewer than `least`
        callers asked now are deleted too. The `entry` of the audit log, with that number, is kept
        in the same transaction.
        """
        delete = self._deleting(_QUERIES.c.caller.in_(list(callers)), least)

        def work(connection: sa.Connection) -> int:
            gone = delete(connection)
            append_in(connection, [replace(entry, detail=f"{entry.detail} queries={gone}")])
            return gone

        return self._database.write(work)

    def drop(self, before: datetime, least: int) -> int:
        """Delete what is older, and secrets that nothing uses any more; return how many queries."""
        return self._database.run(self._deleting(_QUERIES.c.at < to_micros(before), least))

    def _deleting(self, old: Any, least: int) -> Callable[[sa.Connection], int]:
        """Return the transaction that deletes `old` queries and returns how many."""
        chosen = sa.select(_QUERIES.c.id).where(old)
        counted = sa.func.count(_QUERIES.c.caller.distinct()) >= least
        common = sa.select(_QUERIES.c.query).group_by(_QUERIES.c.query).having(counted)
        newest = sa.select(sa.func.max(_SECRETS.c.period)).scalar_subquery()
        used = sa.select(_QUERIES.c.period)
        unused = _SECRETS.c.period.not_in(used) & (_SECRETS.c.period != newest)

        def work(connection: sa.Connection) -> int:
            connection.execute(sa.delete(_EVENTS).where(_EVENTS.c.query_id.in_(chosen)))
            gone = int(connection.execute(sa.delete(_QUERIES).where(old)).rowcount)
            connection.execute(sa.delete(_WORDS).where(_WORDS.c.query.not_in(common)))
            connection.execute(sa.delete(_SECRETS).where(unused))
            return gone

        return work

    def _events(self, ids: Collection[str]) -> dict[str, tuple[Event, ...]]:
        query = sa.select(_EVENTS).where(_EVENTS.c.query_id.in_(ids))
        found: dict[str, list[Event]] = {}
        for row in self._all(query.order_by(_EVENTS.c.at, _EVENTS.c.place)):
            event = Event(row.query_id, row.uri, Action(row.action), from_micros(row.at), row.place)
            found.setdefault(row.query_id, []).append(event)
        return {name: tuple(events) for name, events in found.items()}

    def _all(self, query: Any) -> Any:
        return self._database.run(lambda connection: connection.execute(query).all())


def _query(row: Any, events: tuple[Event, ...]) -> LoggedQuery:
    values = {name: getattr(row, name) for name in _PLAIN}
    values |= {"at": from_micros(row.at), "hits": tuple(orjson.loads(row.hits))}
    return LoggedQuery(**values, words=row.words, events=events)
