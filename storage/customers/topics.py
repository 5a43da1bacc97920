"""The tables of followed topics and of what matched them.

One row, the state, is written first in every transaction that changes topics or adds matches, so
these transactions wait for one another, and changes and matches are numbered in the order in which
they become visible. The number of a match is at least the time at which it is recorded, in
microseconds. So a restore gives no number a second time, and who goes on after an old number misses
nothing new.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.customers.topics import FollowedTopic, TopicMatch
from core.customers.transitions import TransitionKind
from storage.databases import Database
from storage.record.item_rows import from_micros, to_micros

_KEPT = timedelta(days=7)  # matches
_NUMBER = sa.BigInteger
_COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts these only
_TABLES = sa.MetaData()
_TOPICS = sa.Table(
    "dateline_followed_topics",
    _TABLES,
    sa.Column("id", _COUNTED, primary_key=True, autoincrement=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("created", _NUMBER, nullable=False),
    sa.Column("last_match", _NUMBER),
    sa.Column("changed", _NUMBER, nullable=False),
    sa.Column("gone", sa.Boolean, nullable=False),
    sa.Column("emails", sa.Text, nullable=False, server_default=""),  # a line each
    sa.Index("dateline_followed_topics_by_account", "account"),
    sa.Index("dateline_followed_topics_by_change", "changed"),
    sqlite_autoincrement=True,  # an id is never given again
)
_MATCHES = sa.Table(
    "dateline_topic_matches",
    _TABLES,
    sa.Column("n", _COUNTED, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("topic", _NUMBER, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("at", _NUMBER, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("story", sa.Text, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("version", _NUMBER, nullable=False),
    sa.Column("seq", _NUMBER, nullable=False),
    sa.Index("dateline_topic_matches_by_account", "account", "n"),
    sa.Index("dateline_topic_matches_by_time", "at"),
    sqlite_autoincrement=True,
)
_STATE = sa.Table(
    "dateline_topics_state",
    _TABLES,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("changes", _NUMBER, nullable=False),
    sa.Column("position", _NUMBER, nullable=False),  # in the transitions
    sa.Column("epoch", sa.String(32), nullable=False, server_default=""),  # of the transitions
    sa.Column("mailed", _NUMBER, nullable=False, server_default="0"),  # the last match
)
_TOPIC_COLUMNS = [_TOPICS.c[name] for name in FollowedTopic.__slots__]
_MATCH_COLUMNS = [_MATCHES.c[name] for name in TopicMatch.__slots__]


class StoredTopics:
    """`core.ports.customers.TopicStore` in a database, for any number of processes. Thread-safe.
    Every method raises StorageError if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)
        database.add_columns(_STATE, ["epoch", "mailed"])
        database.add_columns(_TOPICS, ["emails"])
        first = database.insert(_STATE).values(one=1, changes=0, position=0)
        database.run(lambda connection: connection.execute(first.on_conflict_do_nothing()))

    def add(
        self,
        account: str,
        name: str,
        query: str,
        at: datetime,
        most: int,
        emails: Sequence[str] = (),
    ) -> FollowedTopic | None:
        """Record a topic; return it, or None if the account has `most` topics already."""

        def work(connection: sa.Connection) -> FollowedTopic | None:
            changed = _next_change(connection)
            if len(_of(connection, account)) >= most:
                return None
            row = {"account": account, "name": name, "query": query, "created": to_micros(at)}
            more = {"changed": changed, "gone": False, "emails": "\n".join(emails)}
            insert = sa.insert(_TOPICS).values(**row, **more)
            id_ = connection.execute(insert.returning(_TOPICS.c.id)).scalar_one()
            return FollowedTopic(
                int(id_), account, name, query, at, None, changed, emails=tuple(emails)
            )

        return self._database.write(work)

    def change(
        self, account: str, id_: int, name: str, query: str, emails: Sequence[str] = ()
    ) -> FollowedTopic | None:
        """Give a topic of the account another name, query and addresses; return it, None without
        one.
        """
        values = {"name": name, "query": query, "emails": "\n".join(emails)}
        return self._changed(account, id_, values)

    def remove(self, account: str, id_: int) -> bool:
        """Delete a topic of the account; return whether there was one."""
        return self._changed(account, id_, {"gone": True}) is not None

    def _changed(self, account: str, id_: int, values: dict[str, Any]) -> FollowedTopic | None:
        here = (_TOPICS.c.account == account, _TOPICS.c.id == id_, ~_TOPICS.c.gone)

        def work(connection: sa.Connection) -> FollowedTopic | None:
            changed = _next_change(connection)
            update = sa.update(_TOPICS).where(*here).values(**values, changed=changed)
            row = connection.execute(update.returning(*_TOPIC_COLUMNS)).first()
            return None if row is None else _topic(row)

        return self._database.write(work)

    def of(self, account: str) -> Sequence[FollowedTopic]:
        """Return the topics of an account, the oldest first."""
        return self._database.run(lambda connection: _of(connection, account))

    def changes(self) -> int:
        """Return the number of changes of topics so far."""
        query = sa.select(_STATE.c.changes)
        return self._database.run(lambda connection: int(connection.execute(query).scalar_one()))

    def since(self, changes: int, limit: int) -> Sequence[FollowedTopic]:
        """Return at most `limit` topics by their last change, of those changed after `changes`;
        deleted ones too.
        """
        query = sa.select(*_TOPIC_COLUMNS).where(_TOPICS.c.changed > changes)
        ordered = query.order_by(_TOPICS.c.changed).limit(limit)
        return [_topic(row) for row in self._all(ordered)]

    def position(self) -> tuple[str, int]:
        """Return the history of transitions, and the place in it up to which matches were looked
        for; "" before the first.
        """
        row = self._all(sa.select(_STATE.c.epoch, _STATE.c.position))[0]
        return row.epoch, row.position

    def note(
        self, before: tuple[str, int], matches: Sequence[TopicMatch], after: tuple[str, int]
    ) -> bool:
        """Record matches and the new position in one transaction. Return False, and record nothing,
        if another process has moved the position from `before`.
        """
        here = (_STATE.c.epoch == before[0], _STATE.c.position == before[1])
        moved = sa.update(_STATE).where(*here).values(epoch=after[0], position=after[1])
        newest = {match.topic: to_micros(match.at) for match in sorted(matches, key=_when)}

        def work(connection: sa.Connection) -> bool:
            if connection.execute(moved).rowcount != 1:
                return False
            if matches:
                first = _next_match(connection)
                rows = [_match_row(match, n) for n, match in enumerate(matches, start=first)]
                insert = self._database.insert(_MATCHES).on_conflict_do_nothing()
                connection.execute(insert, rows)
                old = min(newest.values()) - _KEPT // timedelta(microseconds=1)
                connection.execute(sa.delete(_MATCHES).where(_MATCHES.c.at < old))
            for topic, at in newest.items():
                update = sa.update(_TOPICS).where(_TOPICS.c.id == topic)
                connection.execute(update.values(last_match=at))
            return True

        return self._database.write(work)

    def matches(self, n: int, limit: int, account: str = "") -> Sequence[TopicMatch]:
        """Return at most `limit` matches after place `n`, of one account or of all, in order."""
        query = sa.select(*_MATCH_COLUMNS).where(_MATCHES.c.n > n)
        if account:
            query = query.where(_MATCHES.c.account == account)
        return [_match(row) for row in self._all(query.order_by(_MATCHES.c.n).limit(limit))]

    def last(self) -> int:
        """Return the place of the newest match, 0 without any."""
        return int(self._all(sa.select(sa.func.max(_MATCHES.c.n)))[0][0] or 0)

    def unmailed(self) -> Sequence[tuple[FollowedTopic, int]]:
        """Return the topics with addresses that matched since the last call of any process, each
        with the number of its matches.
        """
        if self.last() <= self._all(sa.select(_STATE.c.mailed))[0][0]:
            return ()
        # A second process waits here for the transaction of the first.
        locked = sa.update(_STATE).values(mailed=_STATE.c.mailed).returning(_STATE.c.mailed)

        def work(connection: sa.Connection) -> list[tuple[FollowedTopic, int]]:
            new = _MATCHES.c.n > connection.execute(locked).scalar_one()
            counted = sa.select(_MATCHES.c.topic, sa.func.count(), sa.func.max(_MATCHES.c.n)).where(
                new
            )
            found = connection.execute(counted.group_by(_MATCHES.c.topic)).all()
            if found:
                last = max(each[2] for each in found)
                connection.execute(sa.update(_STATE).values(mailed=last))
            counts = {each[0]: int(each[1]) for each in found}
            mailing = sa.select(*_TOPIC_COLUMNS).where(_TOPICS.c.emails != "", ~_TOPICS.c.gone)
            topics = map(_topic, connection.execute(mailing.order_by(_TOPICS.c.id)))
            return [(topic, counts[topic.id]) for topic in topics if topic.id in counts]

        return self._database.write(work)

    def _all(self, query: Any) -> Sequence[Any]:
        return self._database.run(lambda connection: connection.execute(query).all())


def _of(connection: sa.Connection, account: str) -> list[FollowedTopic]:
    query = sa.select(*_TOPIC_COLUMNS).where(_TOPICS.c.account == account, ~_TOPICS.c.gone)
    return [_topic(row) for row in connection.execute(query.order_by(_TOPICS.c.id))]


def _next_change(connection: sa.Connection) -> int:
    # A second process waits here for the transaction of the first.
    update = sa.update(_STATE).values(changes=_STATE.c.changes + 1)
    return int(connection.execute(update.returning(_STATE.c.changes)).scalar_one())


def _next_match(connection: sa.Connection) -> int:
    newest = connection.execute(sa.select(sa.func.max(_MATCHES.c.n))).scalar_one() or 0
    return max(int(newest) + 1, time.time_ns() // 1000)


def _when(match: TopicMatch) -> datetime:
    return match.at


def _topic(row: Any) -> FollowedTopic:
    matched = None if row.last_match is None else from_micros(row.last_match)
    return FollowedTopic(
        row.id,
        row.account,
        row.name,
        row.query,
        from_micros(row.created),
        matched,
        row.changed,
        bool(row.gone),
        tuple(row.emails.split("\n")) if row.emails else (),
    )


def _match_row(match: TopicMatch, n: int) -> dict[str, Any]:
    row = {name: getattr(match, name) for name in TopicMatch.__slots__}
    return row | {"n": n, "at": to_micros(match.at), "kind": str(match.kind)}


def _match(row: Any) -> TopicMatch:
    return TopicMatch(
        row.id,
        row.topic,
        row.account,
        from_micros(row.at),
        TransitionKind(row.kind),
        row.story,
        row.uri,
        row.version,
        row.seq,
        row.n,
    )
