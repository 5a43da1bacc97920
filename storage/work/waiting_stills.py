"""Stills that wait for a batch of captions, in the database of jobs and orders.

A still is first unsent, then in a packet, then in a batch of the provider, then answered. The
packet is made before anything is sent, so that after a crash its name says what was being sent. A
still stays until its asset was described with the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.work import WaitingStill
from storage.databases import Database

_AT_ONCE = 500  # keys in one statement
_TABLES = sa.MetaData()
_STILLS = sa.Table(
    "waiting_stills",
    _TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("job", sa.String(40), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("still", sa.String(80), nullable=False),
    sa.Column("similarity", sa.String(64), nullable=False),
    sa.Column("space", sa.String(64), nullable=False),
    sa.Column("context", sa.Text, nullable=False),
    sa.Column("language", sa.String(40), nullable=False),
    sa.Column("may_leave", sa.Boolean, nullable=False),
    sa.Column("uri", sa.Text, nullable=False, server_default=""),
    sa.Column("terms", sa.String(64), nullable=False, server_default=""),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("packet", sa.String(64), nullable=False),
    sa.Column("batch", sa.String(200), nullable=False),
    sa.Column("answered", sa.Boolean, nullable=False),
    sa.UniqueConstraint("key", "location"),
    sa.Index("waiting_stills_by_location", "location"),
    sa.Index("waiting_stills_by_packet", "answered", "packet", "id"),
)
_COLUMNS = tuple(name for name in WaitingStill.__slots__ if name != "id")
_NEWER = ("uri", "terms")  # columns that tables of earlier versions lack
_UPDATED = ("job", "number", "context", "may_leave", "uri")
_OPEN = ~_STILLS.c.answered


class StoredWaitingStills:
    """`core.ports.work.WaitingStills` in a database, for any number of processes. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)
        database.add_columns(_STILLS, _NEWER)

    def replace(self, locations: Collection[str], stills: Sequence[WaitingStill]) -> None:
        """Make `stills` all that waits for the assets at `locations`; sent stills stay sent."""
        if not locations:
            return
        rows = [{n: getattr(still, n) for n in _COLUMNS} | {"answered": False} for still in stills]
        insert = self._database.insert(_STILLS)
        now = {name: insert.excluded[name] for name in _UPDATED}
        kept = insert.on_conflict_do_update(index_elements=["key", "location"], set_=now)

        def work(connection: sa.Connection) -> None:
            for some in _parts(sorted(locations)):
                here = _STILLS.c.location.in_(some)
                connection.execute(sa.delete(_STILLS).where(here, _STILLS.c.answered))
                unsent = sa.select(_STILLS.c.id, _STILLS.c.key, _STILLS.c.location).where(
                    here, _STILLS.c.batch == ""
                )
                wanted = {(still.key, still.location) for still in stills}
                gone = [
                    row.id
                    for row in connection.execute(unsent)
                    if (row.key, row.location) not in wanted
                ]
                _delete(connection, gone)
            if rows:
                connection.execute(kept, rows)

        self._database.run(work)

    def of_assets(self, locations: Collection[str]) -> tuple[WaitingStill, ...]:
        """Return all stills of the assets at `locations`, in any state."""
        parts = _parts(sorted(locations))
        return tuple(one for some in parts for one in self._select(_STILLS.c.location.in_(some)))

    def unsent(self, after: int = 0, limit: int = 1000) -> tuple[WaitingStill, ...]:
        """Return the stills in no packet with ids above `after`, in order."""
        return self._select(_OPEN, _STILLS.c.packet == "", _STILLS.c.id > after, limit=limit)

    def under_way(self) -> tuple[WaitingStill, ...]:
        """Return the stills in a packet without an answer."""
        return self._select(_OPEN, _STILLS.c.packet != "")

    def pack(self, packet: str, keys: Collection[str]) -> None:
        """Put the stills with these keys that are in no packet into this one."""
        self._change("", keys, packet=packet)

    def unpack(self, packet: str, keys: Collection[str], *, failed: bool = False) -> None:
        """Take the stills with these keys out of a packet; `failed` counts a try."""
        tries = _STILLS.c.tries + 1 if failed else _STILLS.c.tries
        self._change(packet, keys, packet="", batch="", tries=tries)

    def send(self, packet: str, batch: str) -> None:
        """Note that a packet became a batch of the provider."""
        of_packet = sa.update(_STILLS).where(_OPEN, _STILLS.c.packet == packet)
        self._database.run(lambda connection: connection.execute(of_packet.values(batch=batch)))

    def answer(self, packet: str, keys: Collection[str]) -> None:
        """Note that the stills with these keys in this packet need nothing more."""
        self._change(packet, keys, answered=True)

    def answered(self) -> tuple[WaitingStill, ...]:
        """Return the stills with an answer, of assets without a still under way."""
        other = _STILLS.alias()
        of_asset = (other.c.location == _STILLS.c.location, ~other.c.answered)
        busy = sa.exists().where(*of_asset, other.c.packet != "")
        return self._select(_STILLS.c.answered, ~busy)

    def drop(self, ids: Collection[int]) -> None:
        """Delete the stills with these ids."""
        self._database.run(lambda connection: _delete(connection, sorted(ids)))

    def count(self) -> Mapping[str, int]:
        """Return the numbers of keys that are `unsent`, `sent` and `answered`."""
        keys = sa.func.count(_STILLS.c.key.distinct())
        standing = {
            "unsent": (_OPEN, _STILLS.c.packet == ""),
            "sent": (_OPEN, _STILLS.c.packet != ""),
            "answered": (_STILLS.c.answered,),
        }

        def work(connection: sa.Connection) -> Mapping[str, int]:
            return {
                name: int(connection.execute(sa.select(keys).where(*where)).scalar_one())
                for name, where in standing.items()
            }

        return self._database.run(work)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _change(self, among: str, keys: Collection[str], **values: Any) -> None:
        def work(connection: sa.Connection) -> None:
            for some in _parts(sorted(keys)):
                those = (_OPEN, _STILLS.c.packet == among, _STILLS.c.key.in_(some))
                connection.execute(sa.update(_STILLS).where(*those).values(**values))

        self._database.run(work)

    def _select(self, *where: Any, limit: int | None = None) -> tuple[WaitingStill, ...]:
        columns = [_STILLS.c[name] for name in WaitingStill.__slots__]
        query = sa.select(*columns).where(*where).order_by(_STILLS.c.id).limit(limit)
        rows = self._database.run(lambda connection: connection.execute(query).all())
        return tuple(WaitingStill(*row) for row in rows)


def _delete(connection: sa.Connection, ids: Sequence[int]) -> None:
    for some in _parts(ids):
        connection.execute(sa.delete(_STILLS).where(_STILLS.c.id.in_(some)))


def _parts(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE))
