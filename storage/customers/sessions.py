"""The sessions of feeds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from core.customers.transitions import FeedSession, Position
from storage.databases import Database
from storage.record.item_rows import from_micros, to_micros

_TABLES = sa.MetaData()
_SESSIONS = sa.Table(
    "dateline_feed_sessions",
    _TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("epoch", sa.String(32), nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("first_id", sa.String(32), nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Index("dateline_feed_sessions_by_account", "account"),
    sa.Index("dateline_feed_sessions_by_use", "used"),
)


class StoredSessions:
    """`core.ports.customers.FeedSessions` in a database. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)

    def add(self, session: FeedSession) -> None:
        """Record a new session."""
        row = {name: getattr(session, name) for name in ("id", "account", "label", "epoch")}
        row |= {"started": to_micros(session.started), "used": to_micros(session.used)}
        row |= {"first": session.first.n, "first_id": session.first.id}
        row |= {"parameters": orjson.dumps(dict(session.parameters)).decode()}
        self._run(sa.insert(_SESSIONS).values(**row))

    def session(self, id_: str) -> FeedSession | None:
        """Return the session of an id, or None."""
        found = self._select(_SESSIONS.c.id == id_)
        return found[0] if found else None

    def use(self, id_: str, at: datetime) -> None:
        """Note that a page of a session was asked for."""
        mine = _SESSIONS.c.id == id_
        self._run(sa.update(_SESSIONS).where(mine).values(used=to_micros(at)))

    def all(self, account: str = "") -> Sequence[FeedSession]:
        """Return the sessions, of one account or of all, the newest first."""
        return self._select(_SESSIONS.c.account == account if account else sa.true())

    def drop(self, unused_since: datetime) -> int:
        """Delete the sessions that were not used since; return how many."""
        return self._run(sa.delete(_SESSIONS).where(_SESSIONS.c.used < to_micros(unused_since)))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _select(self, where: Any) -> list[FeedSession]:
        query = sa.select(_SESSIONS).where(where).order_by(_SESSIONS.c.started.desc())
        return [_session(row) for row in self._database.run(lambda c: c.execute(query).all())]

    def _run(self, statement: Any) -> int:
        return self._database.run(lambda connection: int(connection.execute(statement).rowcount))


def _session(row: Any) -> FeedSession:
    return FeedSession(
        id=row.id,
        account=row.account,
        label=row.label,
        epoch=row.epoch,
        started=from_micros(row.started),
        used=from_micros(row.used),
        first=Position(row.first, row.first_id),
        parameters=orjson.loads(row.parameters),
    )
