"""Reads of the record on Postgres: `storage.record.port.RecordReads`.

Each read is one statement for its whole batch, or several pages of a long list. Statements are
constants; the values go along as parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from typing import Any

import orjson
import sqlalchemy as sa

from core.items import FloatMatrix, Item, Passage
from storage.postgres.tables import key_of
from storage.record import item_rows
from storage.record.arrivals import LAST_BEFORE
from storage.record.facts import FACT_COLUMNS, FactRow, read_facts
from storage.record.holds import Hold, read_hold
from storage.record.item_rows import State
from storage.record.port import Change, LogLine
from storage.record.vector_rows import as_matrix, passages_of
from storage.record.visibility import (
    VERSION_COLUMNS,
    StoryView,
    VersionRow,
    members_and_view,
    story_view,
)

_PAGE = 2000  # rows of a long list at once
_FEW = 500  # rows with documents at once
_ITEM = item_rows.ITEM_COLUMNS
_LINE = "SELECT n, chain, seq, kind, at FROM changes"
_WITHOUT = (
    "NOT EXISTS (SELECT FROM vectors WHERE vectors.seq = items.seq"
    " AND field = :field AND encoder = :encoder)"
)


LAST_CHANGE = sa.text("SELECT max(n) FROM changes")
_CHANGES = sa.text("SELECT n, chain, seq, kind FROM changes WHERE n > :n ORDER BY n LIMIT :limit")
_LAST_BEFORE = sa.text(LAST_BEFORE)
_NEWEST_LINE = sa.text(f"{_LINE} ORDER BY n DESC LIMIT 1")
_ONE_LINE = sa.text(f"{_LINE} WHERE n = :n")
_FACTS = sa.text(f"SELECT {FACT_COLUMNS} FROM items WHERE seq >= :seq ORDER BY seq LIMIT :limit")  # noqa: S608
_FACTS_BY_SEQ = sa.text(
    f"SELECT {FACT_COLUMNS} FROM items WHERE seq = ANY(CAST(:seqs AS bigint[]))"  # noqa: S608
)
_STORIES_OF = sa.text(
    "SELECT held.seq, newest.chain FROM items AS held CROSS JOIN LATERAL (SELECT chain FROM items"
    " WHERE uri_key = held.uri_key ORDER BY version DESC LIMIT 1) AS newest"
    " WHERE held.seq = ANY(CAST(:seqs AS bigint[]))"
)
_BY_SEQ = sa.text(f"SELECT {_ITEM} FROM items WHERE seq = ANY(CAST(:seqs AS bigint[]))")  # noqa: S608
_STATES_BY_SEQ = sa.text(
    f"SELECT {item_rows.STATE_COLUMNS} FROM items"  # noqa: S608
    " WHERE seq = ANY(CAST(:seqs AS bigint[]))"
)
_FROM_SEQ = sa.text(f"SELECT {_ITEM} FROM items WHERE seq > :seq ORDER BY seq LIMIT :limit")  # noqa: S608
_VERSIONS = sa.text(
    f"SELECT {VERSION_COLUMNS} FROM items WHERE uri_key = ANY(CAST(:uris AS bytea[]))"  # noqa: S608
    " ORDER BY uri_key, version DESC"
)
_HOLDS_OF = sa.text(
    "SELECT uri_key, writes, pubstatus, embargoed FROM holds"
    " WHERE uri_key = ANY(CAST(:keys AS bytea[]))"
)
_SEQ_OF = sa.text("SELECT seq FROM items WHERE uri_key = :uri AND version = :version")
_HEADLINES = sa.text(
    "SELECT seq, document FROM items WHERE seq >= :since AND seq < :until ORDER BY seq LIMIT :limit"
)
_COUNT = sa.text("SELECT count(*) FROM items")
_CHAIN_OF = sa.text("SELECT chain FROM items WHERE uri_key = :uri ORDER BY version DESC LIMIT 1")
# Every version of each item that has a version in one of the chains, with that chain. OFFSET 0
# keeps the inner query separate: it reads few items by index, never the whole table.
_STORIES = sa.text(
    f"SELECT touched.chain_key, version_of.* FROM (SELECT DISTINCT chain_key, uri_key FROM items"  # noqa: S608
    " WHERE chain_key = ANY(CAST(:chains AS bytea[]))) AS touched CROSS JOIN LATERAL"
    f" (SELECT {VERSION_COLUMNS} FROM items WHERE uri_key = touched.uri_key OFFSET 0) AS version_of"
)
_MOVED = sa.text(
    "SELECT DISTINCT chain_key FROM items WHERE uri_key IN (SELECT uri_key FROM items"
    " GROUP BY uri_key HAVING count(DISTINCT chain_key) > 1)"
)
_BY_CHAIN = sa.text(
    f"SELECT chain_key, {VERSION_COLUMNS} FROM items WHERE (chain_key, seq) > (:chain, :seq)"  # noqa: S608
    " ORDER BY chain_key, seq LIMIT :limit"
)
_SEVERAL = sa.text(
    "SELECT head.seq, story.chain FROM items AS head CROSS JOIN LATERAL (SELECT chain, chain_key"
    " FROM items WHERE uri_key = head.uri_key ORDER BY version DESC LIMIT 1) AS story"
    " WHERE head.seq = ANY(CAST(:seqs AS bigint[])) AND (EXISTS (SELECT FROM items"
    " WHERE chain_key = story.chain_key AND seq <> head.seq) OR EXISTS (SELECT FROM items"
    " WHERE uri_key = head.uri_key AND seq <> head.seq))"
)
_VECTORS = sa.text(
    "SELECT seq, passages, matrix FROM vectors"
    " WHERE seq = ANY(CAST(:seqs AS bigint[])) AND field = :field AND encoder = :encoder"
)
_PASSAGES = sa.text(
    "SELECT seq, passages FROM vectors"
    " WHERE seq = ANY(CAST(:seqs AS bigint[])) AND field = :field AND encoder = :encoder"
)
_LACKING = sa.text(
    f"SELECT {_ITEM} FROM items WHERE seq > :after AND {_WITHOUT} ORDER BY seq LIMIT :limit"  # noqa: S608
)
_COUNT_LACKING = sa.text(f"SELECT count(*) FROM items WHERE {_WITHOUT}")  # noqa: S608
_SIGNATURES = sa.text(
    "SELECT seq, signature FROM signatures"
    " WHERE seq = ANY(CAST(:seqs AS bigint[])) AND scheme = :scheme"
)
_UNSIGNED = sa.text(
    "SELECT seq FROM items WHERE seq > :after AND NOT EXISTS (SELECT FROM signatures"
    " WHERE signatures.seq = items.seq AND scheme = :scheme) ORDER BY seq LIMIT :limit"
)


Ask = Callable[..., Sequence[Any]]
"""Runs one statement with its parameters by name, and returns its rows."""


class PostgresReads:
    """Reads through `ask`. If that is bound to a transaction, all reads see one state."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def changes_after(self, n: int, limit: int) -> list[Change]:
        """Return at most `limit` changes after number `n`, in order."""
        return [Change(*row) for row in self._ask(_CHANGES, n=n, limit=limit)]

    def line(self, n: int | None) -> LogLine | None:
        """Return change number `n`, or the newest for None."""
        rows = self._ask(_NEWEST_LINE) if n is None else self._ask(_ONE_LINE, n=n)
        return tuple(rows[0]) if rows else None

    def last_before(self, at: int) -> int:
        """Return the seq of the last version recorded before `at` (microseconds), 0 if none was."""
        rows = self._ask(_LAST_BEFORE, at=at)
        return int(rows[0][0]) if rows else 0

    def facts_from(self, seq: int) -> Iterator[list[FactRow]]:
        """Yield the facts of every version from `seq` on, page by page."""
        while rows := self._ask(_FACTS, seq=seq, limit=_PAGE):
            yield [read_facts(row) for row in rows]
            if len(rows) < _PAGE:
                return
            seq = rows[-1][0] + 1

    def facts_by_seq(self, seqs: Sequence[int]) -> dict[int, FactRow]:
        """Return the facts of the recorded versions among `seqs`."""
        return {row[0]: read_facts(row) for row in self._by_seq(_FACTS_BY_SEQ, seqs)}

    def items_by_seq(self, seqs: Sequence[int]) -> dict[int, Item]:
        """Return the recorded versions among `seqs`."""
        rows = self._by_seq(_BY_SEQ, seqs)
        return {row[0]: item_rows.decode(row) for row in rows}

    def states_by_seq(self, seqs: Sequence[int]) -> dict[int, State]:
        """Return the states of the recorded versions among `seqs`."""
        rows = self._by_seq(_STATES_BY_SEQ, seqs)
        return {seq: (uri, version, status, until) for seq, uri, version, status, until in rows}

    def versions_of(self, uri: str) -> list[VersionRow]:
        """Return every version of an item, the newest first."""
        return self.versions_of_each([uri]).get(uri, [])

    def versions_of_each(self, uris: Collection[str]) -> dict[str, list[VersionRow]]:
        """Return every version of each recorded item of `uris`, the newest first."""
        found: dict[str, list[VersionRow]] = {}
        keys = [key_of(uri) for uri in uris]
        for start in range(0, len(keys), _PAGE):
            for row in self._ask(_VERSIONS, uris=keys[start : start + _PAGE]):
                found.setdefault(row[1], []).append(VersionRow(*row))
        return found

    def holds_of(self, uris: Collection[str]) -> dict[str, list[Hold]]:
        """Return the holds of each of `uris` that has some."""
        found: dict[str, list[Hold]] = {}
        keys = {key_of(uri): uri for uri in uris}
        for key, *row in self._ask(_HOLDS_OF, keys=list(keys)) if keys else ():
            found.setdefault(keys[bytes(key)], []).append(read_hold(*row))
        return found

    def seq_of(self, uri: str, version: int) -> int | None:
        """Return the seq of a recorded version, or None."""
        rows = self._ask(_SEQ_OF, uri=key_of(uri), version=version)
        return rows[0][0] if rows else None

    def headlines(self, since: int, until: int) -> Iterator[tuple[int, str]]:
        """Yield (seq, headline) of every version from seq `since` up to `until`."""
        while rows := self._ask(_HEADLINES, since=since, until=until, limit=_FEW):
            for seq, document in rows:
                yield seq, orjson.loads(document)["headline"]
            since = rows[-1][0] + 1

    def all_items(self) -> Iterator[Item]:
        """Yield every recorded version, in the order of writing."""
        seq = 0
        while rows := self._ask(_FROM_SEQ, seq=seq, limit=_FEW):
            yield from map(item_rows.decode, rows)
            seq = rows[-1][0]

    def count_items(self) -> int:
        """Return the number of recorded versions."""
        return int(self._ask(_COUNT)[0][0])

    def chain_of(self, uri: str) -> str | None:
        """Return the chain that the item's newest version names, or None."""
        rows = self._ask(_CHAIN_OF, uri=key_of(uri))
        return rows[0][0] if rows else None

    def views_of(
        self, chains: Sequence[str], now: int
    ) -> dict[str, tuple[StoryView, tuple[int, ...]]]:
        """Return each story's view at `now` (microseconds) and the seqs of its versions."""
        rows = self.versions_of_stories(chains)
        return {chain: members_and_view(chain, rows[chain], now) for chain in chains}

    def versions_of_stories(self, chains: Collection[str]) -> dict[str, list[VersionRow]]:
        """Return every version of each item that has a version in one of the chains, by chain."""
        keys = {chain: key_of(chain) for chain in chains}
        rows: dict[bytes, list[VersionRow]] = {key: [] for key in keys.values()}
        for key, *row in self._ask(_STORIES, chains=list(rows)) if rows else ():
            rows[key].append(VersionRow(*row))
        return {chain: rows[key] for chain, key in keys.items()}

    def stories_of(self, seqs: Sequence[int]) -> dict[int, str]:
        """Return the chain of each recorded version."""
        return {seq: chain for seq, chain in self._by_seq(_STORIES_OF, seqs)}  # noqa: C416 - of a type

    def all_views(self, now: int) -> Iterator[tuple[str, StoryView]]:
        """Yield the view of every story, in one pass; chains with moved items are read again."""
        moved = {key for (key,) in self._ask(_MOVED)}
        for key, group in groupby(self._by_chain(), lambda pair: pair[0]):
            versions = [row for _, row in group]
            chain = versions[0].chain
            if key in moved:
                yield chain, self.views_of([chain], now)[chain][0]
            else:
                yield chain, story_view(chain, versions, now)

    def chains_with_several(self, seqs: Sequence[int]) -> dict[int, str]:
        """Return the chain of those `seqs` whose story may have several versions."""
        return {seq: chain for seq, chain in self._by_seq(_SEVERAL, seqs)}  # noqa: C416 - of a type

    def vectors_by_seq(
        self, field: str, encoder: str, seqs: Sequence[int]
    ) -> Iterator[tuple[int, FloatMatrix]]:
        """Yield (seq, float32 [n, d]) for versions that this encoder embedded."""
        for seq, spans, matrix in self._by_seq(_VECTORS, seqs, field=field, encoder=encoder):
            yield seq, as_matrix(matrix, len(orjson.loads(spans)))

    def passages_by_seq(
        self, field: str, encoder: str, seqs: Sequence[int]
    ) -> dict[int, tuple[Passage, ...]]:
        """Return the passages that this encoder embedded of each version."""
        rows = self._by_seq(_PASSAGES, seqs, field=field, encoder=encoder)
        return {seq: passages_of(spans) for seq, spans in rows}

    def items_lacking(self, field: str, encoder: str, after: int, limit: int) -> dict[int, Item]:
        """Return at most `limit` versions above `after` that lack vectors of this encoder."""
        rows = self._ask(_LACKING, field=field, encoder=encoder, after=after, limit=limit)
        return {row[0]: item_rows.decode(row) for row in rows}

    def count_lacking(self, field: str, encoder: str) -> int:
        """Return the number of versions that lack vectors of this encoder."""
        return int(self._ask(_COUNT_LACKING, field=field, encoder=encoder)[0][0])

    def signatures_by_seq(self, scheme: int, seqs: Sequence[int]) -> dict[int, bytes]:
        """Return the recorded signatures of a scheme."""
        rows = self._by_seq(_SIGNATURES, seqs, scheme=scheme)
        return {seq: signature for seq, signature in rows}  # noqa: C416 - of a type

    def without_signature(self, scheme: int, after: int, limit: int) -> list[int]:
        """Return at most `limit` seqs above `after` of versions without a signature."""
        rows = self._ask(_UNSIGNED, scheme=scheme, after=after, limit=limit)
        return [seq for (seq,) in rows]

    def _by_seq(
        self, statement: sa.TextClause, seqs: Sequence[int], **more: object
    ) -> Iterator[Any]:
        for start in range(0, len(seqs), _PAGE):
            page = [int(seq) for seq in seqs[start : start + _PAGE]]
            yield from self._ask(statement, seqs=page, **more)

    def _by_chain(self) -> Iterator[tuple[bytes, VersionRow]]:
        chain, seq = b"", 0
        while rows := self._ask(_BY_CHAIN, chain=chain, seq=seq, limit=_PAGE):
            for key, *row in rows:
                yield key, VersionRow(*row)
            chain, seq = rows[-1][0], rows[-1][1]
