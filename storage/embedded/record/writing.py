"""Writes to the record in SQLite, inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from core.callers import Caller
from core.items import Item
from core.writes import REFUSED, Outcome, SetStatus, Written
from storage.record.holds import (
    Hold,
    State,
    bound,
    held_as,
    read_hold,
    writes_text,
)
from storage.record.item_rows import to_micros
from storage.record.near_duplicates import SCHEME
from storage.record.port import VECTORS
from storage.record.prepared import Prepared
from storage.record.vector_rows import VectorRow
from storage.record.write_rules import (
    Newest,
    Space,
    forgotten,
    is_recorded,
    outcome_of,
    products_in,
    refusal,
    state_of,
    status_change,
    touched_stories,
)

_NEWEST = (
    "SELECT seq, version, digest, pubstatus, embargoed, chain, facts FROM items WHERE uri = ?"
    " ORDER BY version DESC LIMIT 1"
)
_KNOWN = "SELECT 1 FROM items WHERE uri = ? AND version = ? AND digest = ?"
_ITEMS_OF = (
    "SELECT facts FROM items AS newest WHERE chain = ?"
    " AND version = (SELECT max(version) FROM items WHERE uri = newest.uri)"
)


def newest_version(cursor: sqlite3.Cursor, uri: str) -> Newest | None:
    """Return the newest recorded version of an item, or None."""
    row = cursor.execute(_NEWEST, (uri,)).fetchone()
    return None if row is None else Newest(*row)


def put(
    cursor: sqlite3.Cursor,
    write: Prepared,
    by: Caller,
    now: int,
    kept: Collection[Space],
) -> Written:
    """Record a version with its signature and vectors, if `by` may and it is newer than the
    recorded one or differs from it in products or vectors; return the outcome by the rules of
    `storage.record.write_rules`.
    """
    item = write.write.item
    newest = newest_version(cursor, item.uri)
    stories = _products_in(cursor, touched_stories(item, by, newest))
    outcome = refusal(item, by, newest, stories) or outcome_of(
        item, write.digest, newest, only_vectors=write.write.only_vectors
    )
    if outcome in REFUSED:
        known = outcome is Outcome.STALE and _is_known(cursor, write)
        return Written(item.uri, item.version, outcome, known=known)
    if outcome is None and newest is not None:
        return _put_again(cursor, write, newest, now, kept)
    own = state_of(item)
    state = _bind(cursor, item, own, new=True)
    seq = _insert(cursor, write, write.digest, *state)
    insert_signature(cursor, seq, write.signature)
    insert_vectors(cursor, seq, write.vectors)
    if newest and newest.chain != item.chain:
        log_change(cursor, newest.chain, 0, "left", now)
    number = log_change(cursor, item.chain, seq, "put", now)
    as_what = outcome or Outcome.CREATED
    return Written(item.uri, item.version, as_what, number, held_as(state, own))


def _is_known(cursor: sqlite3.Cursor, write: Prepared) -> bool:
    """Return whether this version is recorded with the same content."""
    item = write.write.item
    return cursor.execute(_KNOWN, (item.uri, item.version, write.digest)).fetchone() is not None


def _put_again(
    cursor: sqlite3.Cursor,
    write: Prepared,
    old: Newest,
    now: int,
    kept: Collection[Space],
) -> Written:
    """Write the recorded version again: only its products and its vectors may differ."""
    item = write.write.item
    fresh = {(entry.field, entry.encoder) for entry in write.write.vectors}
    have = spaces_of(cursor, old.seq)
    if is_recorded(item, old, have, fresh):
        return Written(item.uri, item.version, Outcome.UNCHANGED)
    forget_vectors(cursor, old.seq, forgotten(have, fresh, kept))
    if write.write.only_vectors:  # the version keeps its seq, so it is no newer
        insert_vectors(cursor, old.seq, write.vectors)
        number = log_change(cursor, old.chain, old.seq, VECTORS, now)
        return Written(item.uri, item.version, Outcome.UPDATED, number)
    left = _vectors_of(cursor, old.seq)
    cursor.execute("DELETE FROM items WHERE seq = ?", (old.seq,))
    state = _bind(cursor, item, old.state, new=False)
    seq = _insert(cursor, write, old.digest, *state)
    insert_signature(cursor, seq, write.signature)
    insert_vectors(cursor, seq, (*left, *write.vectors))
    log_change(cursor, old.chain, old.seq, "replaced", now)
    number = log_change(cursor, item.chain, seq, "put", now)
    return Written(item.uri, item.version, Outcome.UPDATED, number, held_as(state, old.state))


def _bind(cursor: sqlite3.Cursor, item: Item, own: State, *, new: bool) -> State:
    """Return the state of a version that comes with `own`, as the holds of its uri bind it."""
    holds = _holds_of(cursor, item.uri)
    state, after = bound(holds, item.products, own, new=new)
    _keep_holds(cursor, item.uri, holds, after)
    return state


def _holds_of(cursor: sqlite3.Cursor, uri: str) -> tuple[Hold, ...]:
    rows = cursor.execute("SELECT writes, pubstatus, embargoed FROM holds WHERE uri = ?", (uri,))
    return tuple(read_hold(*row) for row in rows)


def _keep_holds(
    cursor: sqlite3.Cursor, uri: str, old: Collection[Hold], new: Collection[Hold]
) -> None:
    if set(old) == set(new):
        return
    cursor.execute("DELETE FROM holds WHERE uri = ?", (uri,))
    cursor.executemany(
        "INSERT INTO holds (uri, writes, pubstatus, embargoed) VALUES (?, ?, ?, ?)",
        [(uri, writes_text(hold.writes), *hold.state) for hold in new],
    )


def _products_in(cursor: sqlite3.Cursor, stories: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yield the products of each item of these stories."""
    for chain in stories:
        for (facts,) in cursor.execute(_ITEMS_OF, (chain,)):
            yield products_in(facts)


def _insert(
    cursor: sqlite3.Cursor, write: Prepared, digest: bytes, pubstatus: str, embargoed: int | None
) -> int:
    item = write.write.item
    cursor.execute(
        "INSERT INTO items (uri, version, chain, language, pubstatus, versioncreated, embargoed,"
        " expires, digest, facts, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            item.uri,
            item.version,
            item.chain,
            item.language,
            str(pubstatus),
            to_micros(item.versioncreated),
            embargoed,
            None if item.expires is None else to_micros(item.expires),
            digest,
            write.facts,
            write.document,
        ),
    )
    return int(cursor.lastrowid or 0)


def insert_signature(cursor: sqlite3.Cursor, seq: int, signature: bytes) -> None:
    """Record a version's text signature; it replaces one of another scheme."""
    cursor.execute(
        "INSERT OR REPLACE INTO signatures (seq, scheme, signature)"
        " SELECT seq, ?, ? FROM items WHERE seq = ?",
        (SCHEME, signature, seq),
    )


def insert_vectors(cursor: sqlite3.Cursor, seq: int, vectors: Iterable[VectorRow]) -> None:
    """Record vectors of a version that has none of the same spaces."""
    for row in vectors:
        cursor.execute(
            "INSERT INTO vectors (seq, field, encoder, passages, matrix, truncated)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (seq, *row),
        )


def forget_vectors(cursor: sqlite3.Cursor, seq: int, spaces: Sequence[Space]) -> None:
    """Delete a version's vectors of these spaces."""
    for field, encoder in spaces:
        cursor.execute(
            "DELETE FROM vectors WHERE seq = ? AND field = ? AND encoder = ?", (seq, field, encoder)
        )


def set_status(
    cursor: sqlite3.Cursor, change: SetStatus, writes: frozenset[str], now: int
) -> Written:
    """Change the state of an item's newest version and the holds of its uri, if a writer of
    `writes` may do that; return the outcome.
    """
    newest = newest_version(cursor, change.uri)
    holds = _holds_of(cursor, change.uri)
    written, state, after = status_change(change, writes, newest, holds)
    _keep_holds(cursor, change.uri, holds, after)
    if newest is None or written.outcome is not Outcome.UPDATED:
        return written
    cursor.execute(
        "UPDATE items SET pubstatus = ?, embargoed = ? WHERE seq = ?", (*state, newest.seq)
    )
    return replace(written, change=log_change(cursor, newest.chain, newest.seq, "status", now))


def log_change(cursor: sqlite3.Cursor, chain: str, seq: int, kind: str, now: int) -> int:
    """Add a change of a story to the log, for the projections; return its number."""
    cursor.execute(
        "INSERT INTO changes (chain, seq, kind, at) VALUES (?, ?, ?, ?)", (chain, seq, kind, now)
    )
    return int(cursor.lastrowid or 0)


def spaces_of(cursor: sqlite3.Cursor, seq: int) -> frozenset[Space]:
    """Return the spaces for which a version has vectors."""
    rows = cursor.execute("SELECT field, encoder FROM vectors WHERE seq = ?", (seq,))
    return frozenset(rows.fetchall())


def _vectors_of(cursor: sqlite3.Cursor, seq: int) -> list[VectorRow]:
    return cursor.execute(
        "SELECT field, encoder, passages, matrix, truncated FROM vectors WHERE seq = ?", (seq,)
    ).fetchall()
