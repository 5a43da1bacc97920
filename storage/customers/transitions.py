"""The transitions, what was told of each item, and how far the maker of transitions is.

One row, the turn, is written first in every transaction that adds transitions. So these wait for
one another, and their numbers rise in the order in which they become visible: a reader that has
read up to number n never misses a lower one.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from core.customers.transitions import START, Position, Told, Transition, TransitionKind
from core.ports.customers import Turn
from storage.customers.digests import key_of
from storage.databases import Database
from storage.record.item_rows import from_micros, to_micros

T = TypeVar("T")

_AT_ONCE = 500  # keys in one statement
_TABLES = sa.MetaData()
_KEY = sa.LargeBinary(16)
_NUMBER = sa.BigInteger
_TRANSITIONS = sa.Table(
    "dateline_transitions",
    _TABLES,
    sa.Column("n", _NUMBER, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(32), nullable=False),
    sa.Column("at", _NUMBER, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("story", sa.Text, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("version", _NUMBER, nullable=False),
    sa.Column("seq", _NUMBER, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("undoes", sa.SmallInteger, nullable=False, server_default="0"),  # 1 for true
    sa.Index("dateline_transitions_by_time", "at"),
    sa.Index("dateline_transitions_by_kind", "kind", "n"),
)
_TOLD = sa.Table(
    "dateline_told",
    _TABLES,
    sa.Column("uri_key", _KEY, primary_key=True),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("story_key", _KEY, nullable=False),
    sa.Column("story", sa.Text, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("version", _NUMBER, nullable=False),
    sa.Column("seq", _NUMBER, nullable=False),
    sa.Column("products", sa.Text, nullable=False),
    sa.Column("n", _NUMBER, nullable=False),
    sa.Column("id", sa.String(32), nullable=False),
    sa.Index("dateline_told_by_story", "story_key"),
)
_WAKES = sa.Table(
    "dateline_story_wakes",
    _TABLES,
    sa.Column("story_key", _KEY, primary_key=True),
    sa.Column("story", sa.Text, nullable=False),
    sa.Column("at", _NUMBER, nullable=False),
    sa.Index("dateline_story_wakes_by_time", "at"),
)
_OWED = sa.Table(
    "dateline_transitions_owed",
    _TABLES,
    sa.Column("uri_key", _KEY, primary_key=True),
    sa.Column("uri", sa.Text, nullable=False),
)
_TURN = sa.Table(
    "dateline_transition_turn",
    _TABLES,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.String(32), nullable=False),
    sa.Column("number", _NUMBER, nullable=False),
    sa.Column("position", _NUMBER, nullable=False),
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("last", _NUMBER, nullable=False),
    sa.Column("tables", sa.String(32), nullable=False, server_default=""),  # their oid, on Postgres
)
_ENTITLED = sa.Table(
    "dateline_entitled",
    _TABLES,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("products", sa.Text, nullable=False),
)
_NEXT_DUE = sa.select(
    sa.select(sa.func.min(_WAKES.c.at)).scalar_subquery(), sa.exists(sa.select(_OWED.c.uri_key))
)
_READ = str(sa.select(*(_TRANSITIONS.c[name] for name in Transition.__slots__)))
_KINDS = {str(kind): kind for kind in TransitionKind}
_READ_TOLD = str(sa.select(*(_TOLD.c[name] for name in Told.__slots__ if name in _TOLD.c)))


class _OthersTurnError(Exception):
    """Another process has written since."""


class StoredTransitions:
    """`core.ports.customers.TransitionBook` in a database, for any number of processes.
    Thread-safe.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mark = "?" if database.is_sqlite else "%s"
        database.prepare(_TABLES)
        database.add_columns(_TRANSITIONS, ["undoes"])
        insert = database.insert(_TURN).on_conflict_do_nothing(index_elements=["one"])
        first = {"one": 1, "epoch": _new_id(), "number": 0, "position": 0, "line": "", "last": 0}
        if not self._all(sa.select(_TURN.c.one)):
            database.run(lambda connection: connection.execute(insert, [first]))
        if not database.is_sqlite:
            self._note_restore()

    def _note_restore(self) -> None:
        """Begin another history if `pg_restore` has brought the tables back: it makes them again,
        so they have another oid. `dateline restore` does so itself for a file.
        """
        self._database.add_columns(_TURN, ["tables"])
        found = sa.cast(sa.cast(sa.func.to_regclass(_TURN.name), postgresql.OID), sa.Text)
        (oid,) = self._all(sa.select(found))[0]
        before = _TURN.c.tables
        epoch = sa.case((before == "", _TURN.c.epoch), else_=_new_id())
        noted = sa.update(_TURN).where(before != oid).values(tables=oid, epoch=epoch)
        self._database.run(lambda connection: connection.execute(noted))

    # TransitionLog

    @property
    def epoch(self) -> str:
        """The name of this history of transitions."""
        return str(self._all(sa.select(_TURN.c.epoch))[0][0])

    def last(self) -> Position:
        """Return the place after the newest transition."""
        return self._place(sa.true())

    def before(self, moment: datetime) -> Position:
        """Return the place after the last transition that is older than a moment."""
        return self._place(_TRANSITIONS.c.at < to_micros(moment))

    def _place(self, where: Any) -> Position:
        query = sa.select(_TRANSITIONS.c.n, _TRANSITIONS.c.id).where(where)
        rows = self._all(query.order_by(_TRANSITIONS.c.n.desc()).limit(1))
        return Position(*rows[0]) if rows else START

    def knows(self, position: Position) -> bool:
        """Return whether a position is one of this history."""
        here = sa.select(_TRANSITIONS.c.id).where(_TRANSITIONS.c.n == position.n)
        return position == START or self._all(here) == [(position.id,)]

    def after(
        self, n: int, limit: int, account: str | None, kind: TransitionKind | None = None
    ) -> Sequence[Transition]:
        """Return at most `limit` transitions after place `n` that concern the account, in order."""
        # SQLAlchemy's compiler would take longer than the query.
        where: dict[str, object] = {"n > {0}": n}
        where |= {} if account is None else {"account IN ('', {0})": account}
        where |= {} if kind is None else {"kind = {0}": str(kind)}
        query = f"{_READ} WHERE {' AND '.join(where)} ORDER BY n LIMIT {{0}}".format(self._mark)
        return [_transition(row) for row in self._rows(query, (*where.values(), limit))]

    def told(self, uris: Collection[str]) -> Mapping[str, Told]:
        """Return what was told of each of `uris` last."""
        return {told.uri: told for told in self._told_where("uri_key", uris)}

    # TransitionBook

    def turn(self) -> Turn:
        """Return how far the transitions are."""
        return Turn(*self._all(sa.select(_TURN.c.number, _TURN.c.position, _TURN.c.line))[0])

    def told_of(self, stories: Collection[str]) -> Sequence[Told]:
        """Return what was told last of each item of these stories."""
        return self._told_where("story_key", stories)

    def due(self, now: int, limit: int) -> Sequence[str]:
        """Return at most `limit` stories with an embargo or expiry that is due at `now`."""
        query = sa.select(_WAKES.c.story).where(_WAKES.c.at <= now).order_by(_WAKES.c.at)
        return [story for (story,) in self._all(query.limit(limit))]

    def next_due(self) -> int | None:
        """Return when the next embargo or expiry of a story is due, 0 while transitions are owed,
        or None.
        """
        at, owed = self._all(_NEXT_DUE)[0]
        found: int | None = 0 if owed else at
        return found

    def owe(self, uris: Collection[str]) -> None:
        """Note that these items were seen in a state that was not told."""
        rows = [{"uri_key": key_of(uri), "uri": uri} for uri in sorted({*uris}, key=key_of)]
        insert = self._database.insert(_OWED).on_conflict_do_nothing(index_elements=["uri_key"])
        if rows:
            self._database.write(lambda connection: connection.execute(insert, rows))

    def owed(self, limit: int) -> Sequence[str]:
        """Return at most `limit` items whose transition is owed."""
        return [uri for (uri,) in self._all(sa.select(_OWED.c.uri).limit(limit))]

    def write(
        self,
        turn: Turn,
        transitions: Sequence[Told],
        noted: Sequence[Told],
        wakes: Mapping[str, int | None],
        to: Turn,
        now: int,
        owed: Collection[str] = (),
    ) -> bool:
        """Write transitions and the new position, unless another process has written since."""

        def work(connection: sa.Connection) -> None:
            first = _take(connection, len(transitions), turn, position=to.position, line=to.line)
            rows = [_row(told, n, now) for n, told in enumerate(transitions, start=first)]
            if rows:
                connection.execute(sa.insert(_TRANSITIONS), rows)
            placed = [
                _told_row(t, row["n"], row["id"]) for t, row in zip(transitions, rows, strict=True)
            ]
            self._note(connection, placed)
            self._renote(connection, noted)
            self._wake(connection, wakes)
            for some in _parts(owed):
                keys = [key_of(uri) for uri in some]
                connection.execute(sa.delete(_OWED).where(_OWED.c.uri_key.in_(keys)))

        try:
            self._database.write(work)
        except _OthersTurnError:
            return False
        return True

    def begin_anew(self, turn: Turn) -> bool:
        """Begin another history, in which every story that was told must be looked at again."""
        stories = sa.select(_TOLD.c.story_key, sa.func.min(_TOLD.c.story), sa.literal(0))
        names = ["story_key", "story", "at"]

        def work(connection: sa.Connection) -> None:
            _take(connection, 0, turn, position=0, line="", epoch=_new_id())
            connection.execute(sa.delete(_WAKES))
            connection.execute(
                sa.insert(_WAKES).from_select(names, stories.group_by(_TOLD.c.story_key))
            )

        try:
            self._database.write(work)
        except _OthersTurnError:
            return False
        return True

    def entitle(
        self, account: str, products: frozenset[str], lost: Sequence[Told], now: int
    ) -> None:
        """Note an account's products, and tell only this account that `lost` are hidden."""
        insert = self._database.insert(_ENTITLED)
        kept = insert.on_conflict_do_update(
            index_elements=["account"], set_={"products": insert.excluded.products}
        )

        def work(connection: sa.Connection) -> None:
            if lost:
                first = _take(connection, len(lost))
                rows = [_row(told, n, now, account) for n, told in enumerate(lost, start=first)]
                connection.execute(sa.insert(_TRANSITIONS), rows)
            connection.execute(kept, [{"account": account, "products": _codes(products)}])

        self._database.write(work)

    def tell_late(self, account: str, versions: Mapping[str, int], now: int) -> int:
        """Tell one account, by the ids of the transitions, which of the items were taken away
        since; return how many. An item that it received before its transition was told is owed one.
        """
        known = self.told(versions)
        ended = [told for told in known.values() if not told.shown]
        self.owe([uri for uri, n in versions.items() if _is_untold(known.get(uri), n)])
        if not ended:
            return 0
        ids = sa.select(_TOLD.c.uri, _TOLD.c.id)

        def work(connection: sa.Connection) -> None:
            first = _take(connection, len(ended))
            rows = [_row(told, n, now, account) for n, told in enumerate(ended, start=first)]
            keys = [key_of(told.uri) for told in ended]
            known = dict(map(tuple, connection.execute(ids.where(_TOLD.c.uri_key.in_(keys)))))
            connection.execute(sa.insert(_TRANSITIONS), [r | {"id": known[r["uri"]]} for r in rows])

        self._database.write(work)
        return len(ended)

    def entitled(self, accounts: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return the noted products of each of `accounts` that has some noted."""
        found: dict[str, frozenset[str]] = {}
        for some in _parts(accounts):
            query = sa.select(_ENTITLED).where(_ENTITLED.c.account.in_(some))
            found |= {row[0]: frozenset(orjson.loads(row[1])) for row in self._all(query)}
        return found

    def count(self) -> int:
        """Return the number of transitions."""
        return int(self._all(sa.select(sa.func.count()).select_from(_TRANSITIONS))[0][0])

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _note(self, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        insert = self._database.insert(_TOLD)
        now = {c.name: insert.excluded[c.name] for c in _TOLD.c if c.name != "uri_key"}
        connection.execute(insert.on_conflict_do_update(index_elements=["uri_key"], set_=now), rows)

    def _renote(self, connection: sa.Connection, noted: Sequence[Told]) -> None:
        """Change the notes on items that get no transition."""
        for told in noted:
            row = _told_row(told, 0, "")
            values = {name: row[name] for name in ("story_key", "story", "version", "seq")}
            here = _TOLD.c.uri_key == row["uri_key"]
            connection.execute(sa.update(_TOLD).where(here).values(**values))

    def _wake(self, connection: sa.Connection, wakes: Mapping[str, int | None]) -> None:
        for some in _parts(wakes):
            keys = [key_of(story) for story in some]
            connection.execute(sa.delete(_WAKES).where(_WAKES.c.story_key.in_(keys)))
        rows = [
            {"story_key": key_of(story), "story": story, "at": at}
            for story, at in wakes.items()
            if at is not None
        ]
        if rows:
            connection.execute(sa.insert(_WAKES), rows)

    def _told_where(self, column: str, texts: Collection[str]) -> list[Told]:
        found: list[Told] = []
        for some in _parts(texts):
            # SQLAlchemy's compiler would take as long as the query.
            query = f"{_READ_TOLD} WHERE {column} IN ({', '.join([self._mark] * len(some))})"
            keys = tuple(key_of(text) for text in some)
            found += [_told(row) for row in self._rows(query, keys)]
        return found

    def _rows(self, query: str, values: tuple[object, ...]) -> list[Any]:
        run = self._database.run
        return run(lambda connection: [*map(tuple, connection.exec_driver_sql(query, values))])

    def _all(self, query: sa.Select[Any]) -> list[Any]:
        return self._database.run(lambda connection: [*map(tuple, connection.execute(query))])


def _take(connection: sa.Connection, count: int, turn: Turn | None = None, **values: object) -> int:
    """Lock the turn until the end of the transaction, and return the first of `count` new numbers.
    Raises _OthersTurnError if another process has written since `turn`.
    """
    here = _TURN.c.one == 1 if turn is None else _TURN.c.number == turn.number
    more = {} if turn is None else {"number": _TURN.c.number + 1, **values}
    changed = sa.update(_TURN).where(here).values(last=_TURN.c.last + count, **more)
    if connection.execute(changed).rowcount != 1:
        raise _OthersTurnError
    return int(connection.execute(sa.select(_TURN.c.last)).scalar_one()) - count + 1


def _is_untold(told: Told | None, version: int) -> bool:
    """Return whether a version was received that was not told yet."""
    return told is None or (told.shown and told.version < version)


def _new_id() -> str:
    return secrets.token_hex(8)


def _row(told: Told, n: int, now: int, account: str = "") -> dict[str, Any]:
    names = ("story", "uri", "version", "seq")
    values = {name: getattr(told, name) for name in names}
    fixed = {"n": n, "id": _new_id(), "at": now, "kind": str(told.kind), "account": account}
    return values | fixed | {"undoes": int(told.undoes)}


def _told_row(told: Told, n: int, id_: str) -> dict[str, Any]:
    return {
        "uri_key": key_of(told.uri),
        "uri": told.uri,
        "story_key": key_of(told.story),
        "story": told.story,
        "kind": str(told.kind),
        "version": told.version,
        "seq": told.seq,
        "products": _codes(told.products),
        "n": n,
        "id": id_,
    }


def _codes(products: Iterable[str]) -> str:
    return orjson.dumps(sorted(products)).decode()


def _told(row: Sequence[Any]) -> Told:
    uri, story, kind, version, seq, products, n = row
    return Told(uri, story, _KINDS[kind], version, seq, _read_codes(products), n)


@lru_cache(4096)
def _read_codes(text: str) -> frozenset[str]:
    return frozenset(orjson.loads(text))


def _transition(row: Sequence[Any]) -> Transition:
    n, id_, at, kind, story, uri, version, seq, account, undoes = row
    moment, what = _read_time(at), _KINDS[kind]
    return Transition(n, id_, moment, what, story, uri, version, seq, account, bool(undoes))


_read_time = lru_cache(4096)(from_micros)  # transitions that are made together have one time


def _parts(entries: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(entries)
    while part := [*islice(rest, _AT_ONCE)]:
        yield part
