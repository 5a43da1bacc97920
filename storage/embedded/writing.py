"""What a write does to the record in SQLite, inside a transaction that its caller holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence

from core.writes import Outcome, SetStatus, Written
from storage.item_rows import to_micros
from storage.near_duplicates import SCHEME
from storage.prepared import Prepared
from storage.vector_rows import VectorRow
from storage.write_rules import (
    Newest,
    Space,
    forgotten,
    is_recorded,
    outcome_of,
    state_after,
    state_of,
)

_NEWEST = (
    "SELECT seq, version, digest, pubstatus, embargoed, chain, facts FROM items WHERE uri = ?"
    " ORDER BY version DESC LIMIT 1"
)


def newest_version(cursor: sqlite3.Cursor, uri: str) -> Newest | None:
    """What is recorded of an item's newest version, None where there is none."""
    row = cursor.execute(_NEWEST, (uri,)).fetchone()
    return None if row is None else Newest(*row)


def put(
    cursor: sqlite3.Cursor,
    write: Prepared,
    now: int,
    kept: Collection[Space],
) -> Written:
    """Records a version with its signature and vectors, where it is newer than what there is or
    differs from it in products or vectors; `storage.write_rules` says what becomes of it.
    """
    item = write.write.item
    newest = newest_version(cursor, item.uri)
    outcome = outcome_of(item, write.digest, newest)
    if outcome in (Outcome.STALE, Outcome.CONFLICT):
        return Written(item.uri, item.version, outcome)
    if outcome is None and newest is not None:
        return _put_again(cursor, write, newest, now, kept)
    seq = _insert(cursor, write, write.digest, *state_of(item))
    insert_signature(cursor, seq, write.signature)
    insert_vectors(cursor, seq, write.vectors)
    if newest and newest.chain != item.chain:
        log_change(cursor, newest.chain, 0, "left", now)
    number = log_change(cursor, item.chain, seq, "put", now)
    return Written(item.uri, item.version, outcome or Outcome.CREATED, number)


def _put_again(
    cursor: sqlite3.Cursor,
    write: Prepared,
    old: Newest,
    now: int,
    kept: Collection[Space],
) -> Written:
    """The same version once more: only its products and its vectors may differ."""
    item = write.write.item
    fresh = {(entry.field, entry.encoder) for entry in write.write.vectors}
    have = spaces_of(cursor, old.seq)
    if is_recorded(item, old, have, fresh):
        return Written(item.uri, item.version, Outcome.UNCHANGED)
    forget_vectors(cursor, old.seq, forgotten(have, fresh, kept))
    left = _vectors_of(cursor, old.seq)
    cursor.execute("DELETE FROM items WHERE seq = ?", (old.seq,))
    seq = _insert(cursor, write, old.digest, old.pubstatus, old.embargoed)
    insert_signature(cursor, seq, write.signature)
    insert_vectors(cursor, seq, (*left, *write.vectors))
    log_change(cursor, old.chain, old.seq, "replaced", now)
    number = log_change(cursor, item.chain, seq, "put", now)
    return Written(item.uri, item.version, Outcome.UPDATED, number)


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
    """Records a version's text signature, in the place of one of another scheme."""
    cursor.execute(
        "INSERT OR REPLACE INTO signatures (seq, scheme, signature)"
        " SELECT seq, ?, ? FROM items WHERE seq = ?",
        (SCHEME, signature, seq),
    )


def insert_vectors(cursor: sqlite3.Cursor, seq: int, vectors: Iterable[VectorRow]) -> None:
    """Records vectors of a version that has none of their spaces."""
    for row in vectors:
        cursor.execute(
            "INSERT INTO vectors (seq, field, encoder, passages, matrix, truncated)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (seq, *row),
        )


def forget_vectors(cursor: sqlite3.Cursor, seq: int, spaces: Sequence[Space]) -> None:
    """Takes a version's vectors of these spaces away."""
    for field, encoder in spaces:
        cursor.execute(
            "DELETE FROM vectors WHERE seq = ? AND field = ? AND encoder = ?", (seq, field, encoder)
        )


def set_status(cursor: sqlite3.Cursor, change: SetStatus, now: int) -> Written:
    """Changes the state of an item's newest version, where that differs."""
    newest = newest_version(cursor, change.uri)
    if newest is None:
        return Written(change.uri, 0, Outcome.MISSING)
    state = (newest.pubstatus, newest.embargoed)
    wanted = state_after(change, *state)
    if wanted == state:
        return Written(change.uri, newest.version, Outcome.UNCHANGED)
    cursor.execute(
        "UPDATE items SET pubstatus = ?, embargoed = ? WHERE seq = ?", (*wanted, newest.seq)
    )
    number = log_change(cursor, newest.chain, newest.seq, "status", now)
    return Written(change.uri, newest.version, Outcome.UPDATED, number)


def log_change(cursor: sqlite3.Cursor, chain: str, seq: int, kind: str, now: int) -> int:
    """Notes that a write touched a story, for the projections; the change's number."""
    cursor.execute(
        "INSERT INTO changes (chain, seq, kind, at) VALUES (?, ?, ?, ?)", (chain, seq, kind, now)
    )
    return int(cursor.lastrowid or 0)


def spaces_of(cursor: sqlite3.Cursor, seq: int) -> frozenset[Space]:
    """The spaces that a version has vectors of."""
    rows = cursor.execute("SELECT field, encoder FROM vectors WHERE seq = ?", (seq,))
    return frozenset(rows.fetchall())


def _vectors_of(cursor: sqlite3.Cursor, seq: int) -> list[VectorRow]:
    return cursor.execute(
        "SELECT field, encoder, passages, matrix, truncated FROM vectors WHERE seq = ?", (seq,)
    ).fetchall()
