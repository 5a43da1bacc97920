"""Reads of the record of truth: items, vectors, stories and the log of changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from core.items import FloatMatrix, Item, Passage, PassageVectors
from storage.embedded import documents
from storage.embedded.visibility import StoryView, VersionRow, story_view

_ROW_COLUMNS = "seq, uri, version, chain, pubstatus, versioncreated, embargoed, expires"
_ITEMS = f"SELECT {documents.ITEM_COLUMNS} FROM items WHERE seq IN ({{}})"  # noqa: S608
_PAGE = 400  # SQLite allows 32,766 variables; short statements stay in its cache


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: the story it touched and the version (0 where none)."""

    n: int
    chain: str
    seq: int
    kind: str


def changes_after(connection: sqlite3.Connection, n: int, limit: int) -> list[Change]:
    """At most `limit` changes after number `n`, in order."""
    rows = connection.execute(
        "SELECT n, chain, seq, kind FROM changes WHERE n > ? ORDER BY n LIMIT ?", (n, limit)
    )
    return [Change(*row) for row in rows]


def items_by_seq(connection: sqlite3.Connection, seqs: Sequence[int]) -> dict[int, Item]:
    """The recorded versions among `seqs`."""
    rows = _select_in(connection, _ITEMS, [int(seq) for seq in seqs])
    return {row[0]: documents.decode(row) for row in rows}


def view_of(connection: sqlite3.Connection, chain: str, now: int) -> tuple[StoryView, list[int]]:
    """The story's view at `now`, and the seqs of all versions of its items. An item that has left
    for another chain is that chain's affair.
    """
    rows = [
        VersionRow(*row)
        for row in connection.execute(
            f"SELECT {_ROW_COLUMNS} FROM items WHERE uri IN"  # noqa: S608 - constants only
            " (SELECT DISTINCT uri FROM items WHERE chain = ?)",
            (chain,),
        )
    ]
    newest: dict[str, VersionRow] = {}
    for row in rows:
        if row.uri not in newest or row.version > newest[row.uri].version:
            newest[row.uri] = row
    own = [row.seq for row in rows if newest[row.uri].chain == chain]
    return story_view(chain, rows, now), own


def all_views(connection: sqlite3.Connection, now: int) -> Iterator[tuple[str, StoryView]]:
    """The view of every story, in one pass; items that changed their chain are looked up apart."""
    rows = connection.execute(
        f"SELECT {_ROW_COLUMNS} FROM items ORDER BY chain"  # noqa: S608 - constants only
    )
    moved = {
        chain
        for (chain,) in connection.execute(
            "SELECT DISTINCT chain FROM items WHERE uri IN"
            " (SELECT uri FROM items GROUP BY uri HAVING COUNT(DISTINCT chain) > 1)"
        )
    }
    for chain, group in _grouped(VersionRow(*row) for row in rows):
        if chain in moved:
            yield chain, view_of(connection, chain, now)[0]
        else:
            yield chain, story_view(chain, group, now)


def passage_vectors(
    field: str, encoder: str, spans: bytes, matrix: bytes, truncated: int
) -> PassageVectors:
    """A row of the `vectors` table; the matrix is kept as float16, read as float32 [n, d]."""
    passages = tuple(Passage(*span) for span in orjson.loads(spans))
    return PassageVectors(field, encoder, passages, as_matrix(matrix, len(passages)), truncated)


def as_matrix(data: bytes, rows: int) -> FloatMatrix:
    """float32 [rows, d] from float16 bytes."""
    flat = np.frombuffer(data, dtype="<f2").astype(np.float32)
    return flat.reshape(rows, -1) if rows else np.empty((0, 0), np.float32)


def vectors_by_seq(
    connection: sqlite3.Connection, field: str, encoder: str, seqs: Sequence[int]
) -> Iterator[tuple[int, FloatMatrix]]:
    """(seq, float32 [n, d]) for those of `seqs` that were embedded for this field by this encoder;
    [0, 0] for an item without passages.
    """
    rows = _select_in(
        connection,
        "SELECT seq, passages, matrix FROM vectors WHERE seq IN ({}) AND field = ? AND encoder = ?",
        [int(s) for s in seqs],
        (field, encoder),
    )
    for seq, spans, matrix in rows:
        yield seq, as_matrix(matrix, len(orjson.loads(spans)))


_LACKING = (
    "items.seq > ? AND NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.seq = items.seq"
    " AND field = ? AND encoder = ?)"
)


def items_lacking(
    connection: sqlite3.Connection, field: str, encoder: str, after: int, limit: int
) -> dict[int, Item]:
    """At most `limit` recorded versions by seq, above `after` and in order, that were not embedded
    for this field by this encoder.
    """
    rows = connection.execute(
        f"SELECT {documents.ITEM_COLUMNS} FROM items WHERE {_LACKING} ORDER BY seq LIMIT ?",  # noqa: S608
        (after, field, encoder, limit),
    )
    return {row[0]: documents.decode(row) for row in rows}


def count_lacking(connection: sqlite3.Connection, field: str, encoder: str) -> int:
    """How many recorded versions were not embedded for this field by this encoder."""
    statement = f"SELECT COUNT(*) FROM items WHERE {_LACKING}"  # noqa: S608 - constants only
    return int(connection.execute(statement, (0, field, encoder)).fetchone()[0])


def passages_by_seq(
    connection: sqlite3.Connection, field: str, seqs: Sequence[int]
) -> dict[int, tuple[Passage, ...]]:
    """The passages of each of `seqs` under a vector field."""
    rows = _select_in(
        connection,
        "SELECT seq, passages FROM vectors WHERE seq IN ({}) AND field = ?",
        [int(s) for s in seqs],
        (field,),
    )
    return {seq: tuple(Passage(*span) for span in orjson.loads(spans)) for seq, spans in rows}


def signatures_by_seq(
    connection: sqlite3.Connection, scheme: int, seqs: Sequence[int]
) -> dict[int, bytes]:
    """The recorded text signatures of a scheme; empty bytes for an item that has none by nature."""
    rows = _select_in(
        connection,
        "SELECT seq, signature FROM signatures WHERE seq IN ({}) AND scheme = ?",
        seqs,
        (scheme,),
    )
    return {seq: signature for seq, signature in rows}  # noqa: C416 - a dict of a known type


def chains_with_several(connection: sqlite3.Connection, seqs: Sequence[int]) -> dict[int, str]:
    """Seq to chain (the one that the item's newest version names), for those of `seqs` whose story
    may have more than one recorded version.
    """
    rows = _select_in(
        connection,
        "SELECT seq, (SELECT chain FROM items WHERE uri = head.uri ORDER BY version DESC LIMIT 1)"
        " AS story FROM items AS head WHERE seq IN ({}) AND (EXISTS"
        " (SELECT 1 FROM items WHERE chain = story AND seq != head.seq) OR EXISTS"
        " (SELECT 1 FROM items WHERE uri = head.uri AND seq != head.seq))",
        seqs,
    )
    return {seq: chain for seq, chain in rows}  # noqa: C416 - a dict of a known type


def headlines(connection: sqlite3.Connection, since: int, until: int) -> Iterator[tuple[int, str]]:
    """(seq, headline) of every recorded version from seq `since` up to `until`, in order."""
    rows = connection.execute(
        "SELECT seq, document FROM items WHERE seq >= ? AND seq < ? ORDER BY seq", (since, until)
    )
    for seq, document in rows:
        yield seq, orjson.loads(document)["headline"]


def all_items(connection: sqlite3.Connection) -> Iterator[Item]:
    """Every recorded version, in the order of writing."""
    cursor = connection.execute(f"SELECT {documents.ITEM_COLUMNS} FROM items ORDER BY seq")  # noqa: S608
    for row in cursor:
        yield documents.decode(row)


def count_items(connection: sqlite3.Connection) -> int:
    """How many versions are recorded."""
    return int(connection.execute("SELECT COUNT(*) FROM items").fetchone()[0])


def _grouped(rows: Iterable[VersionRow]) -> Iterator[tuple[str, list[VersionRow]]]:
    group: list[VersionRow] = []
    for row in rows:
        if group and group[0].chain != row.chain:
            yield group[0].chain, group
            group = []
        group.append(row)
    if group:
        yield group[0].chain, group


def _select_in(
    connection: sqlite3.Connection,
    statement: str,
    values: Sequence[object],
    rest: tuple[object, ...] = (),
) -> Iterator[tuple[Any, ...]]:
    """Runs `statement` with `{}` replaced by placeholders for `values`, a page at a time."""
    for start in range(0, len(values), _PAGE):
        page = values[start : start + _PAGE]
        marks = ",".join("?" * len(page))
        yield from connection.execute(statement.format(marks), (*page, *rest))
