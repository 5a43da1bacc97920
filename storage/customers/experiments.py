"""The tables of profile versions, of which one is in force, and of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from core.audit import AuditAction, AuditEntry
from core.customers.experiments import Experiment, Version, VersionBook, Way, exactly
from core.errors import ConflictError, NotFoundError
from storage.customers.audit import StoredAudit, append_in
from storage.databases import Database
from storage.record.item_rows import from_micros, to_micros

_COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts these only
_TABLES = sa.MetaData()
_VERSIONS = sa.Table(
    "dateline_profile_versions",
    _TABLES,
    sa.Column("profile", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("changes", sa.Text, nullable=False),  # JSON
    sa.Column("made", sa.BigInteger, nullable=False),
)
_FORCED = sa.Table(
    "dateline_profiles_in_force",  # a row for each promotion and each way back; the last counts
    _TABLES,
    sa.Column("n", _COUNTED, primary_key=True, autoincrement=True),
    sa.Column("profile", sa.String(64), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)
_EXPERIMENTS = sa.Table(
    "dateline_experiments",
    _TABLES,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("way", sa.String(16), nullable=False),
    sa.Column("profile", sa.String(64), nullable=False),
    sa.Column("base", sa.Integer, nullable=False),
    sa.Column("candidate", sa.Integer, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("stopped", sa.BigInteger),
    sa.Column("secret", sa.LargeBinary(32), nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
)
_LOCK = 7_351_911  # of the turns of those who change these tables


class StoredExperiments:
    """Versions and experiments in a database, for any number of processes. Thread-safe. Every
    method raises StorageError if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)
        StoredAudit(database)  # its tables: a promotion has an entry there

    def book(self) -> VersionBook:
        """Return every version, those in force, and the experiment that runs."""
        running = sa.select(_EXPERIMENTS).where(_EXPERIMENTS.c.stopped.is_(None))

        def work(connection: sa.Connection) -> VersionBook:
            versions = [_version(row) for row in connection.execute(sa.select(_VERSIONS))]
            forced = connection.execute(sa.select(_FORCED).order_by(_FORCED.c.n)).all()
            found = connection.execute(running).first()
            return VersionBook(
                {exactly(one.profile, one.number): one for one in versions},
                {row.profile: row.number for row in forced},
                None if found is None else _experiment(found),
            )

        return self._database.run(work)

    def experiments(self) -> Sequence[Experiment]:
        """Return every experiment, the oldest first."""
        query = sa.select(_EXPERIMENTS).order_by(_EXPERIMENTS.c.started)
        return [_experiment(row) for row in self._database.run(lambda c: c.execute(query).all())]

    def start(self, wanted: Experiment, changes: Mapping[str, str]) -> Experiment:
        """Keep an experiment, whose candidate is a new version with these changes. Raises
        ConflictError if one runs, or had the name before.
        """
        every = sa.select(_EXPERIMENTS.c.name, _EXPERIMENTS.c.stopped)
        last = sa.select(sa.func.coalesce(sa.func.max(_VERSIONS.c.number), 0))
        last = last.where(_VERSIONS.c.profile == wanted.profile)

        def work(connection: sa.Connection) -> None:
            self._database.take_turn(connection, _LOCK, "experiments")
            for row in connection.execute(every):
                if row.stopped is None:
                    what, mend = f"the experiment {row.name} runs", "stop it first"
                    raise ConflictError(what, mend=mend)
                if row.name == wanted.name:
                    what = f"an experiment was called {row.name} before"
                    raise ConflictError(what, mend="give another name")
            number = int(connection.execute(last).scalar_one()) + 1
            made = {"profile": wanted.profile, "number": number, "made": to_micros(wanted.started)}
            text = orjson.dumps(dict(changes)).decode()
            connection.execute(sa.insert(_VERSIONS).values(**made, changes=text))
            values = {name: getattr(wanted, name) for name in ("name", "profile", "base", "secret")}
            values |= {"way": wanted.way.value, "candidate": number, "outcome": ""}
            values |= {"started": to_micros(wanted.started)}
            connection.execute(sa.insert(_EXPERIMENTS).values(values))

        self._database.write(work)
        return self.experiment(wanted.name)

    def experiment(self, name: str) -> Experiment:
        """Return an experiment by its name. Raises NotFoundError."""
        for one in self.experiments():
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.experiments()) or "none"
        raise NotFoundError(f"there is no experiment {name!r}", mend=f"experiments: {known}")

    def stop(self, name: str, at: datetime, outcome: str) -> None:
        """End an experiment, and forget the secret by which its callers were told apart."""
        values = {"stopped": to_micros(at), "outcome": outcome, "secret": b""}
        running = (_EXPERIMENTS.c.name == name, _EXPERIMENTS.c.stopped.is_(None))
        change = sa.update(_EXPERIMENTS).where(*running).values(values)
        self._database.run(lambda connection: connection.execute(change))

    def put_in_force(self, profile: str, number: int, at: datetime, why: str) -> None:
        """Let a version of a profile rank from now on; the audit log says who and why."""
        row = {"profile": profile, "number": number, "at": to_micros(at)}
        name = exactly(profile, number)
        entry = AuditEntry(at, "operator", "", AuditAction.PROFILE, detail=f"{name} {why}")

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.insert(_FORCED).values(row))
            append_in(connection, [entry])

        self._database.write(work)

    def before(self, profile: str) -> int:
        """Return the number of the version that was in force before the present one."""
        query = sa.select(_FORCED.c.number).where(_FORCED.c.profile == profile)
        rows = self._database.run(lambda c: c.execute(query.order_by(_FORCED.c.n.desc())).all())
        numbers = [int(row.number) for row in rows]
        return next((number for number in numbers if number != numbers[0]), 0)


def _version(row: Any) -> Version:
    return Version(row.profile, row.number, orjson.loads(row.changes), from_micros(row.made))


def _experiment(row: Any) -> Experiment:
    stopped = None if row.stopped is None else from_micros(row.stopped)
    return Experiment(
        name=row.name,
        way=Way(row.way),
        profile=row.profile,
        base=row.base,
        candidate=row.candidate,
        started=from_micros(row.started),
        stopped=stopped,
        secret=bytes(row.secret),
        outcome=row.outcome,
    )
