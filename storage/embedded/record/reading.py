"""Reads of the record of truth in SQLite: `storage.record.port.RecordReads`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain as joined
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson

from core.items import FloatMatrix, Item, Passage
from storage.record import item_rows
from storage.record.arrivals import LAST_BEFORE
from storage.record.facts import FACT_COLUMNS, FactRow, read_facts
from storage.record.holds import Hold, read_hold
from storage.record.item_rows import State
from storage.record.port import Change, LogLine
from storage.record.unsettled import Unsettled
from storage.record.vector_rows import as_matrix, passages_of
from storage.record.visibility import (
    VERSION_COLUMNS,
    StoryView,
    VersionRow,
    members_and_view,
    story_view,
)

_VERSION = ", ".join(f"version.{name}" for name in VERSION_COLUMNS.split(", "))
_ITEMS = f"SELECT {item_rows.ITEM_COLUMNS} FROM items"  # noqa: S608 - constants only, as below
_FACTS = f"SELECT {FACT_COLUMNS} FROM items WHERE seq >= ? ORDER BY seq"  # noqa: S608
_FACTS_BY_SEQ = f"SELECT {FACT_COLUMNS} FROM items WHERE seq IN ({{}})"  # noqa: S608
_STATES_BY_SEQ = f"SELECT {item_rows.STATE_COLUMNS} FROM items WHERE seq IN ({{}})"  # noqa: S608
_VERSIONS = f"SELECT {VERSION_COLUMNS} FROM items WHERE uri IN ({{}}) ORDER BY uri, version DESC"  # noqa: S608
_HOLDS = "SELECT uri, writes, pubstatus, embargoed FROM holds WHERE uri IN ({})"
# Every version of each item that has a version in one of the chains, with that chain. CROSS JOIN
# makes SQLite read the chains first.
_STORY_ROWS = (
    f"SELECT touched.chain, {_VERSION} FROM (SELECT DISTINCT chain, uri FROM items"  # noqa: S608
    " WHERE chain IN ({})) AS touched CROSS JOIN items AS version ON version.uri = touched.uri"
)
_STORIES = (
    "SELECT seq, (SELECT chain FROM items WHERE uri = held.uri ORDER BY version DESC LIMIT 1)"
    " FROM items AS held WHERE seq IN ({})"
)
_LINE = "SELECT n, chain, seq, kind, at FROM changes"
_PAGE = 400  # SQLite allows 32,766 variables; short statements stay in its cache
_FACTS_PAGE = 5000
_SEVERAL = (
    "SELECT seq, (SELECT chain FROM items WHERE uri = head.uri ORDER BY version DESC LIMIT 1)"
    " AS story FROM items AS head WHERE seq IN ({}) AND (EXISTS"
    " (SELECT 1 FROM items WHERE chain = story AND seq != head.seq) OR EXISTS"
    " (SELECT 1 FROM items WHERE uri = head.uri AND seq != head.seq))"
)
_LACKING = (
    "items.seq > ? AND NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.seq = items.seq"
    " AND field = ? AND encoder = ?)"
)
_UNSIGNED = (
    "SELECT seq FROM items WHERE seq > ? AND NOT EXISTS (SELECT 1 FROM signatures"
    " WHERE signatures.seq = items.seq AND scheme = ?) ORDER BY seq LIMIT ?"
)


class SqliteReads:
    """Reads over one connection; inside a transaction all see one state. The `unsettled` changes
    are applied to the rows. They are read first: a change that leaves them is then in the rows.
    """

    def __init__(self, connection: sqlite3.Connection, unsettled: Callable[[], Unsettled]) -> None:
        self.connection = connection
        self._unsettled = unsettled

    def changes_after(self, n: int, limit: int) -> list[Change]:
        """Return at most `limit` changes after number `n`, in order."""
        rows = self.connection.execute(
            "SELECT n, chain, seq, kind FROM changes WHERE n > ? ORDER BY n LIMIT ?", (n, limit)
        )
        return [Change(*row) for row in rows]

    def line(self, n: int | None) -> LogLine | None:
        """Return change number `n`, or the newest for None."""
        if n is None:
            found = self.connection.execute(f"{_LINE} ORDER BY n DESC LIMIT 1")
        else:
            found = self.connection.execute(f"{_LINE} WHERE n = ?", (n,))
        row: LogLine | None = found.fetchone()
        return row

    def last_before(self, at: int) -> int:
        """Return the seq of the last version recorded before `at` (microseconds), 0 if none was."""
        row = self.connection.execute(LAST_BEFORE, {"at": at}).fetchone()
        return 0 if row is None else int(row[0])

    def facts_from(self, seq: int) -> Iterator[list[FactRow]]:
        """Yield the facts of every version from `seq` on, page by page."""
        rows = self.connection.execute(_FACTS, (seq,))
        while page := rows.fetchmany(_FACTS_PAGE):
            yield [read_facts(row) for row in page]

    def facts_by_seq(self, seqs: Sequence[int]) -> dict[int, FactRow]:
        """Return the facts of the recorded versions among `seqs`."""
        return {row[0]: read_facts(row) for row in self._select_in(_FACTS_BY_SEQ, seqs)}

    def items_by_seq(self, seqs: Sequence[int]) -> dict[int, Item]:
        """Return the recorded versions among `seqs`."""
        rows = self._select_in(f"{_ITEMS} WHERE seq IN ({{}})", [int(seq) for seq in seqs])
        return {row[0]: item_rows.decode(row) for row in rows}

    def states_by_seq(self, seqs: Sequence[int]) -> dict[int, State]:
        """Return the states of the recorded versions among `seqs`."""
        return {row[0]: row[1:] for row in self._select_in(_STATES_BY_SEQ, seqs)}

    def versions_of(self, uri: str) -> list[VersionRow]:
        """Return every version of an item, the newest first."""
        return self.versions_of_each([uri]).get(uri, [])

    def versions_of_each(self, uris: Collection[str]) -> dict[str, list[VersionRow]]:
        """Return every version of each recorded item of `uris`, the newest first."""
        unsettled = self._unsettled()
        found: dict[str, list[VersionRow]] = {}
        for row in self._select_in(_VERSIONS, list(uris)):
            found.setdefault(row[1], []).append(VersionRow(*row))
        return {uri: unsettled.over(rows) for uri, rows in found.items()}

    def holds_of(self, uris: Collection[str]) -> dict[str, list[Hold]]:
        """Return the holds of each of `uris` that has some."""
        found: dict[str, list[Hold]] = {}
        for uri, *row in self._select_in(_HOLDS, list(uris)):
            found.setdefault(uri, []).append(read_hold(*row))
        return found

    def seq_of(self, uri: str, version: int) -> int | None:
        """Return the seq of a recorded version, or None."""
        row = self.connection.execute(
            "SELECT seq FROM items WHERE uri = ? AND version = ?", (uri, version)
        ).fetchone()
        return None if row is None else int(row[0])

    def headlines(self, since: int, until: int) -> Iterator[tuple[int, str]]:
        """Yield (seq, headline) of every version from seq `since` up to `until`."""
        rows = self.connection.execute(
            "SELECT seq, document FROM items WHERE seq >= ? AND seq < ? ORDER BY seq",
            (since, until),
        )
        for seq, document in rows:
            yield seq, orjson.loads(document)["headline"]

    def all_items(self) -> Iterator[Item]:
        """Yield every recorded version, in the order of writing."""
        for row in self.connection.execute(f"{_ITEMS} ORDER BY seq"):
            yield item_rows.decode(row)

    def count_items(self) -> int:
        """Return the number of recorded versions."""
        return int(self.connection.execute("SELECT COUNT(*) FROM items").fetchone()[0])

    def chain_of(self, uri: str) -> str | None:
        """Return the chain that the item's newest version names, or None."""
        row = self.connection.execute(
            "SELECT chain FROM items WHERE uri = ? ORDER BY version DESC LIMIT 1", (uri,)
        ).fetchone()
        return None if row is None else str(row[0])

    def views_of(
        self, chains: Sequence[str], now: int
    ) -> dict[str, tuple[StoryView, tuple[int, ...]]]:
        """Return each story's view at `now` (microseconds) and the seqs of its versions."""
        rows = self.versions_of_stories(chains)
        return {chain: members_and_view(chain, rows[chain], now) for chain in chains}

    def versions_of_stories(self, chains: Collection[str]) -> dict[str, list[VersionRow]]:
        """Return every version of each item that has a version in one of the chains, by chain."""
        unsettled = self._unsettled()
        rows: dict[str, list[VersionRow]] = {chain: [] for chain in chains}
        for chain, *row in self._select_in(_STORY_ROWS, [*rows]):
            rows[chain].append(VersionRow(*row))
        return {chain: unsettled.over(found) for chain, found in rows.items()}

    def stories_of(self, seqs: Sequence[int]) -> dict[int, str]:
        """Return the chain of each recorded version."""
        return dict(self._select_in(_STORIES, seqs))

    def all_views(self, now: int) -> Iterator[tuple[str, StoryView]]:
        """Yield the view of every story, in one pass; chains with moved items are read again."""
        unsettled = self._unsettled()
        moved = {
            chain
            for (chain,) in self.connection.execute(
                "SELECT DISTINCT chain FROM items WHERE uri IN"
                " (SELECT uri FROM items GROUP BY uri HAVING COUNT(DISTINCT chain) > 1)"
            )
        }
        rows = self.connection.execute(
            f"SELECT {VERSION_COLUMNS} FROM items ORDER BY chain"  # noqa: S608
        )
        for chain, group in groupby((VersionRow(*row) for row in rows), attrgetter("chain")):
            versions = self._rows_of(chain) if chain in moved else group
            yield chain, story_view(chain, unsettled.over(versions), now)

    def chains_with_several(self, seqs: Sequence[int]) -> dict[int, str]:
        """Return the chain of those `seqs` whose story may have several versions."""
        return dict(self._select_in(_SEVERAL, seqs))

    def vectors_by_seq(
        self, field: str, encoder: str, seqs: Sequence[int]
    ) -> Iterator[tuple[int, FloatMatrix]]:
        """Yield (seq, float32 [n, d]) for versions that this encoder embedded."""
        rows = self._select_in(
            "SELECT seq, passages, matrix FROM vectors"
            " WHERE seq IN ({}) AND field = ? AND encoder = ?",
            [int(seq) for seq in seqs],
            (field, encoder),
        )
        for seq, spans, matrix in rows:
            yield seq, as_matrix(matrix, len(orjson.loads(spans)))

    def passages_by_seq(
        self, field: str, encoder: str, seqs: Sequence[int]
    ) -> dict[int, tuple[Passage, ...]]:
        """Return the passages that this encoder embedded of each version."""
        rows = self._select_in(
            "SELECT seq, passages FROM vectors WHERE seq IN ({}) AND field = ? AND encoder = ?",
            [int(seq) for seq in seqs],
            (field, encoder),
        )
        return {seq: passages_of(spans) for seq, spans in rows}

    def items_lacking(self, field: str, encoder: str, after: int, limit: int) -> dict[int, Item]:
        """Return at most `limit` versions above `after` that lack vectors of this encoder."""
        rows = self.connection.execute(
            f"{_ITEMS} WHERE {_LACKING} ORDER BY seq LIMIT ?", (after, field, encoder, limit)
        )
        return {row[0]: item_rows.decode(row) for row in rows}

    def count_lacking(self, field: str, encoder: str) -> int:
        """Return the number of versions that lack vectors of this encoder."""
        statement = f"SELECT COUNT(*) FROM items WHERE {_LACKING}"  # noqa: S608
        return int(self.connection.execute(statement, (0, field, encoder)).fetchone()[0])

    def signatures_by_seq(self, scheme: int, seqs: Sequence[int]) -> dict[int, bytes]:
        """Return the recorded signatures of a scheme."""
        statement = "SELECT seq, signature FROM signatures WHERE seq IN ({}) AND scheme = ?"
        return dict(self._select_in(statement, seqs, (scheme,)))

    def without_signature(self, scheme: int, after: int, limit: int) -> list[int]:
        """Return at most `limit` seqs above `after` of versions without a signature."""
        return [*joined(*self.connection.execute(_UNSIGNED, (after, scheme, limit)))]

    def _rows_of(self, chain: str) -> list[VersionRow]:
        """Return all versions of every item that has a version in the chain."""
        rows = self.connection.execute(
            f"SELECT {VERSION_COLUMNS} FROM items WHERE uri IN"  # noqa: S608
            " (SELECT DISTINCT uri FROM items WHERE chain = ?)",
            (chain,),
        )
        return [VersionRow(*row) for row in rows]

    def _select_in(
        self, statement: str, values: Sequence[object], rest: tuple[object, ...] = ()
    ) -> Iterator[Any]:
        """Run `statement` page by page, with `{}` replaced by placeholders for `values`."""
        for start in range(0, len(values), _PAGE):
            page = values[start : start + _PAGE]
            marks = ",".join("?" * len(page))
            yield from self.connection.execute(statement.format(marks), (*page, *rest))
