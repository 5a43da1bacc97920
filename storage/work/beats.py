"""Which processes are alive: each says so from time to time, by the database's own clock."""

from __future__ import annotations

import sqlalchemy as sa

from storage.databases import Database

_TABLES = sa.MetaData()
_BEATS = sa.Table(
    "dateline_workers",
    _TABLES,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("seen", sa.Float, nullable=False),
)


class StoredBeats:
    """`core.work_ports.Beats` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)
        now = (
            "(julianday('now') - 2440587.5) * 86400.0"
            if database.is_sqlite
            else "extract(epoch from now())"
        )
        self._now: sa.ColumnElement[float] = sa.literal_column(now, sa.Float)

    def beat(self, name: str) -> None:
        """See `core.work_ports.Beats`."""
        insert = self._database.insert(_BEATS).values(name=name, seen=self._now)
        statement = insert.on_conflict_do_update(index_elements=["name"], set_={"seen": self._now})
        self._database.run(lambda connection: connection.execute(statement))

    def silent(self, seconds: float) -> tuple[str, ...]:
        """See `core.work_ports.Beats`."""
        query = sa.select(_BEATS.c.name).where(_BEATS.c.seen < self._now - seconds)
        return tuple(
            self._database.run(lambda connection: connection.execute(query).scalars().all())
        )

    def forget(self, name: str) -> None:
        """See `core.work_ports.Beats`."""
        statement = sa.delete(_BEATS).where(_BEATS.c.name == name)
        self._database.run(lambda connection: connection.execute(statement))
