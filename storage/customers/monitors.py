"""The tables of monitors, of the sessions that they watch, and of notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from core.customers.monitors import (
    Alert,
    AlertKind,
    Checked,
    Condition,
    ConditionState,
    ConditionType,
    Monitor,
    Standing,
    Watched,
)
from storage.databases import Database
from storage.record.item_rows import from_micros, to_micros

_NUMBER = sa.BigInteger
_COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts these only
_TABLES = sa.MetaData()
_MONITORS = sa.Table(
    "dateline_monitors",
    _TABLES,
    sa.Column("id", _COUNTED, primary_key=True, autoincrement=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("name", sa.String(20), nullable=False),
    sa.Column("emails", sa.Text, nullable=False),
    sa.Column("conditions", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("playbook", sa.Text, nullable=False),
    sa.Column("repeat_s", _NUMBER, nullable=False),
    sa.UniqueConstraint("account", "name"),
    sqlite_autoincrement=True,
)
_WATCHED = sa.Table(
    "dateline_watched_sessions",
    _TABLES,
    sa.Column("session", sa.String(64), primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("monitor", sa.String(20), nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("since", _NUMBER, nullable=False),
    sa.Column("used", _NUMBER, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("requests", _NUMBER, nullable=False),
    sa.Column("failures", _NUMBER, nullable=False),
    sa.Column("checked_requests", _NUMBER, nullable=False),
    sa.Column("checked_failures", _NUMBER, nullable=False),
    sa.Column("checked", _NUMBER),
    sa.Index("dateline_watched_sessions_by_account", "account"),
)
_STANDINGS = sa.Table(
    "dateline_monitor_standings",
    _TABLES,
    sa.Column("session", sa.String(64), primary_key=True),
    sa.Column("type", sa.String(16), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("alerted", _NUMBER),
)
_ALERTS = sa.Table(
    "dateline_alerts",
    _TABLES,
    sa.Column("n", _COUNTED, primary_key=True, autoincrement=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("monitor", sa.String(20), nullable=False),
    sa.Column("session", sa.String(64), nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("at", _NUMBER, nullable=False),
    sa.Column("sent", _NUMBER),
    sa.Column("next_try", _NUMBER, nullable=False),
    sa.Index("dateline_alerts_by_account", "account", "n"),
    sa.Index("dateline_alerts_by_try", "sent", "next_try"),
    sqlite_autoincrement=True,
)
_NEWS = timedelta(hours=24)  # older notices are no longer mailed
_COUNTS = ("requests", "failures")
_TURN = 7351903  # of who puts a monitor of an account
_LOOKS = ("checked_requests", "checked_failures", "checked")
_TIMES = frozenset({"since", "used", "checked", "at", "sent", "alerted"})


class StoredMonitors:
    """`core.ports.customers.MonitorStore` in a database, for any number of processes. Thread-safe.
    Every method raises StorageError if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)

    def put(self, monitor: Monitor, id_: int, most: int) -> Monitor | None:
        """Record a monitor, in place of the account's monitor `id_` unless that is 0."""
        row = _monitor_row(monitor)
        here = (_MONITORS.c.account == monitor.account, _MONITORS.c.id == id_)
        insert = self._database.insert(_MONITORS).values(**row).on_conflict_do_nothing()

        def work(connection: sa.Connection) -> Monitor | None:
            self._database.take_turn(connection, _TURN, monitor.account)
            own = _of(connection, monitor.account)
            if any(one.name == monitor.name and one.id != id_ for one in own):
                return None
            if id_:
                before = next((one for one in own if one.id == id_), None)
                if before is None:
                    return None
                connection.execute(sa.update(_MONITORS).where(*here).values(**row))
                if before.name != monitor.name:
                    of_it = (
                        _WATCHED.c.account == monitor.account,
                        _WATCHED.c.monitor == before.name,
                    )
                    rename = sa.update(_WATCHED).where(*of_it).values(monitor=monitor.name)
                    connection.execute(rename)
                return replace(monitor, id=id_)
            if len(own) >= most:
                return None
            made = connection.execute(insert.returning(_MONITORS.c.id)).scalar()
            return None if made is None else replace(monitor, id=int(made))

        return self._database.write(work)

    def remove(self, account: str, id_: int) -> bool:
        """Delete a monitor of the account; return whether there was one."""
        here = (_MONITORS.c.account == account, _MONITORS.c.id == id_)
        delete = sa.delete(_MONITORS).where(*here).returning(_MONITORS.c.name)

        def work(connection: sa.Connection) -> bool:
            name = connection.execute(delete).scalar()
            if name is not None:
                of_it = (_WATCHED.c.account == account, _WATCHED.c.monitor == name)
                _forget(connection, *of_it)
            return name is not None

        return self._database.write(work)

    def of(self, account: str) -> Sequence[Monitor]:
        """Return the monitors of an account, the oldest first."""
        return self._database.run(lambda connection: _of(connection, account))

    def seen(self, sessions: Sequence[Watched]) -> None:
        """Add requests and failures to the counts of sessions; record new sessions."""
        if not sessions:
            return
        insert = self._database.insert(_WATCHED)
        counts = {name: _WATCHED.c[name] + insert.excluded[name] for name in _COUNTS}
        newer = sa.case((insert.excluded.used > _WATCHED.c.used, insert.excluded.used))
        used = sa.func.coalesce(newer, _WATCHED.c.used)
        # If another account has a session of the same id, it stays as it is.
        kept = insert.on_conflict_do_update(
            index_elements=["session"],
            set_={**counts, "used": used},
            where=_WATCHED.c.account == insert.excluded.account,
        )
        rows = [_row(one) for one in sorted(sessions, key=lambda one: one.session)]
        self._database.run(lambda connection: connection.execute(kept, rows))

    def watched(self, account: str = "") -> Sequence[Watched]:
        """Return the watched sessions, of an account or of all, the newest use first."""
        query = sa.select(*(_WATCHED.c[name] for name in Watched.__slots__))
        if account:
            query = query.where(_WATCHED.c.account == account)
        rows = self._all(query.order_by(_WATCHED.c.used.desc(), _WATCHED.c.session))
        return [Watched(**_values(row)) for row in rows]

    def standings(self, session: str) -> Mapping[ConditionType, Standing]:
        """Return how the conditions of a session stand."""
        columns = [_STANDINGS.c[name] for name in Standing.__slots__]
        rows = self._all(sa.select(*columns).where(_STANDINGS.c.session == session))
        return {ConditionType(row.type): _standing(row) for row in rows}

    def enable(self, account: str, session: str, *, enabled: bool, at: datetime) -> bool:
        """Begin or end watching a session of the account; return whether there is one."""
        here = (_WATCHED.c.account == account, _WATCHED.c.session == session)
        update = sa.update(_WATCHED).where(*here).values(enabled=enabled, since=to_micros(at))
        return self._database.run(lambda connection: connection.execute(update).rowcount == 1)

    def record(self, before: datetime | None, checked: Checked) -> bool:
        """Record a look at a session whose last one was at `before`."""
        session, look = checked.watched.session, _row(checked.watched)
        same = _WATCHED.c.checked == (None if before is None else to_micros(before))
        update = sa.update(_WATCHED).where(_WATCHED.c.session == session, same)
        rows = [_row(one) | {"session": session} for one in checked.standings]
        alerts = [
            {name: value for name, value in _row(one).items() if name != "n"}
            | {"next_try": to_micros(one.at)}
            for one in checked.alerts
        ]

        def work(connection: sa.Connection) -> bool:
            done = connection.execute(update.values(**{name: look[name] for name in _LOOKS}))
            if done.rowcount != 1:
                return False
            connection.execute(sa.delete(_STANDINGS).where(_STANDINGS.c.session == session))
            if rows:
                connection.execute(sa.insert(_STANDINGS), rows)
            if alerts:
                connection.execute(sa.insert(_ALERTS), alerts)
            return True

        return self._database.write(work)

    def forget(self, used_before: datetime) -> int:
        """Delete sessions that were not used since; return how many."""
        old = to_micros(used_before)

        def work(connection: sa.Connection) -> int:
            connection.execute(sa.delete(_ALERTS).where(_ALERTS.c.at < old))
            return _forget(connection, _WATCHED.c.used < old)

        return self._database.write(work)

    def alerts(self, account: str, limit: int) -> Sequence[Alert]:
        """Return the notices of an account, the newest first."""
        query = sa.select(*_ALERT_COLUMNS).where(_ALERTS.c.account == account)
        return [_alert(row) for row in self._all(query.order_by(_ALERTS.c.n.desc()).limit(limit))]

    def take_mail(self, now: datetime, until: datetime, limit: int) -> Sequence[Alert]:
        """Return notices to send now; no other process gets them before `until`."""
        fresh = _ALERTS.c.at > to_micros(now - _NEWS)
        due = (_ALERTS.c.sent.is_(None), _ALERTS.c.next_try <= to_micros(now), fresh)
        query = sa.select(*_ALERT_COLUMNS).where(*due).order_by(_ALERTS.c.n).limit(limit)

        def work(connection: sa.Connection) -> Sequence[Alert]:
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            taken = _ALERTS.c.n.in_([row.n for row in rows])
            update = sa.update(_ALERTS).where(taken).values(next_try=to_micros(until))
            connection.execute(update)
            return [_alert(row) for row in rows]

        return self._database.write(work)

    def mailed(self, n: int, at: datetime) -> None:
        """Note that the mail server took a notice."""
        update = sa.update(_ALERTS).where(_ALERTS.c.n == n).values(sent=to_micros(at))
        self._database.run(lambda connection: connection.execute(update))

    def _all(self, query: Any) -> Sequence[Any]:
        return self._database.run(lambda connection: connection.execute(query).all())


_ALERT_COLUMNS = [_ALERTS.c[name] for name in Alert.__slots__]


def _forget(connection: sa.Connection, *where: Any) -> int:
    gone = sa.delete(_WATCHED).where(*where).returning(_WATCHED.c.session)
    sessions = list(connection.execute(gone).scalars())
    for session in sessions:
        connection.execute(sa.delete(_STANDINGS).where(_STANDINGS.c.session == session))
    return len(sessions)


def _of(connection: sa.Connection, account: str) -> list[Monitor]:
    query = sa.select(_MONITORS).where(_MONITORS.c.account == account).order_by(_MONITORS.c.id)
    return [_monitor(row) for row in connection.execute(query)]


def _monitor_row(monitor: Monitor) -> dict[str, Any]:
    conditions = [
        [one.type, one.enabled, one.idle // timedelta(seconds=1)] for one in monitor.conditions
    ]
    return {
        "account": monitor.account,
        "name": monitor.name,
        "emails": orjson.dumps(monitor.emails).decode(),
        "conditions": orjson.dumps(conditions).decode(),
        "description": monitor.description,
        "playbook": monitor.playbook,
        "repeat_s": monitor.repeat // timedelta(seconds=1),
    }


def _monitor(row: Any) -> Monitor:
    conditions = tuple(
        Condition(ConditionType(kind), enabled, timedelta(seconds=idle))
        for kind, enabled, idle in orjson.loads(row.conditions)
    )
    return Monitor(
        row.account,
        row.name,
        tuple(orjson.loads(row.emails)),
        conditions,
        row.description,
        row.playbook,
        timedelta(seconds=row.repeat_s),
        row.id,
    )


def _row(value: Any) -> dict[str, Any]:
    """Return a value as a row of its table."""
    found = {name: getattr(value, name) for name in type(value).__slots__}
    return {
        name: to_micros(one) if isinstance(one, datetime) else one for name, one in found.items()
    }


def _values(row: Any) -> dict[str, Any]:
    """Return the members of a value in a row."""
    return {
        name: from_micros(one) if name in _TIMES and one is not None else one
        for name, one in row._mapping.items()  # noqa: SLF001 - its public name
    }


def _standing(row: Any) -> Standing:
    values = _values(row)
    kinds = {"type": ConditionType(row.type), "state": ConditionState(row.state)}
    return Standing(**(values | kinds))


def _alert(row: Any) -> Alert:
    kinds = {"type": ConditionType(row.type), "kind": AlertKind(row.kind)}
    return Alert(**(_values(row) | kinds))
