"""Changes to the tables, inside the only transaction that writes at the time.

A sequence alone is not enough for the log: it gives numbers on request, but readers see them when
their transaction commits. So a reader could see number 8 before number 7 and never look back.
Therefore writers of one record take turns. Each first locks the one row of `archive` and holds it
until its commit is visible. The next writer's statement has a new snapshot (READ COMMITTED), in
which the largest number is that of the writer before. So numbers rise in the order of commits and
have no gaps, no deadlock is possible, and two hosts that write one item get the same outcomes as
one after the other. The row is locked but never changed, so it leaves no dead rows. Unlike an
advisory lock, it belongs to this archive alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from core.items import PassageVectors
from storage.postgres.reads import Ask
from storage.postgres.tables import CHANGES, SIGNATURES, VECTORS, key_of
from storage.record.near_duplicates import SCHEME
from storage.record.port import vectors_kind
from storage.record.vector_rows import VectorRow, vector_row
from storage.record.write_rules import Newest, Space, forgotten, products_in

# `synchronous_commit` may be off for the whole server; these writes always set it on.
_LOCK = sa.text(
    "SELECT id, CASE current_setting('synchronous_commit') WHEN 'off' THEN"
    " set_config('synchronous_commit', 'on', true) END FROM archive FOR NO KEY UPDATE"
)
_LAST = sa.text("SELECT coalesce(max(n), 0) FROM changes")
_NEWEST = sa.text(
    "SELECT DISTINCT ON (uri_key) uri_key, seq, version, digest, pubstatus, embargoed, chain, facts"
    " FROM items WHERE uri_key = ANY(CAST(:keys AS bytea[])) ORDER BY uri_key, version DESC"
)
_VERSIONS = sa.text(
    "SELECT uri_key, version, digest FROM items WHERE uri_key = ANY(CAST(:keys AS bytea[]))"
    " AND version = ANY(CAST(:versions AS bigint[]))"
)
_ENCODERS = sa.text(
    "SELECT seq, field, encoder FROM vectors WHERE seq = ANY(CAST(:seqs AS bigint[]))"
)
_ITEMS_OF = sa.text(
    "SELECT chain, facts FROM items AS newest WHERE chain_key = ANY(CAST(:keys AS bytea[]))"
    " AND version = (SELECT max(version) FROM items WHERE uri_key = newest.uri_key)"
)
_CHAINS = sa.text("SELECT seq, chain FROM items WHERE seq = ANY(CAST(:seqs AS bigint[]))")
FORGET = sa.delete(VECTORS).where(
    VECTORS.c.seq == sa.bindparam("of"),
    VECTORS.c.field == sa.bindparam("name"),
    VECTORS.c.encoder == sa.bindparam("by"),
)
_OTHERS = sa.text(
    "DELETE FROM vectors WHERE field = :field AND encoder <> ALL(CAST(:keep AS text[]))"
    " AND seq IN (SELECT DISTINCT seq FROM vectors WHERE field = :field"
    " AND encoder <> ALL(CAST(:keep AS text[])) AND seq > :after"
    " ORDER BY seq LIMIT :limit) RETURNING seq"
)
_EMPTY = sa.text(
    "UPDATE vectors SET passages = '[]'::bytea, matrix = ''::bytea"
    " WHERE matrix <> ''::bytea AND seq IN (SELECT seq FROM items"
    " WHERE uri = :uri AND version BETWEEN :first AND :last)"
)
SIGN = insert(SIGNATURES)
SIGN = SIGN.on_conflict_do_update(
    index_elements=["seq"],
    set_={"scheme": SIGN.excluded.scheme, "signature": SIGN.excluded.signature},
)


@dataclass(slots=True)
class Log:
    """The lines that this transaction adds; nobody else adds lines during the writer's turn."""

    last: int
    now: int
    lines: list[dict[str, Any]] = field(default_factory=list)

    def add(self, chain: str, seq: int, kind: str) -> int:
        """Note a change; return its number."""
        self.last += 1
        line = {"n": self.last, "chain": chain, "seq": seq, "kind": kind, "at": self.now}
        self.lines.append(line)
        return self.last

    def write(self, connection: sa.Connection) -> None:
        """Add the lines to the table."""
        execute(connection, sa.insert(CHANGES), self.lines)


def take_turn(connection: sa.Connection, now: int) -> Log:
    """Wait until no other process writes; return the log at its last number."""
    connection.execute(_LOCK)
    return Log(int(connection.execute(_LAST).scalar_one()), now)


def waves_of(writes: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield runs of `writes` (each has a uri) in which each uri occurs once."""
    wave: list[Any] = []
    seen: set[str] = set()
    for write in writes:
        if write.uri in seen:
            yield wave
            wave, seen = [], set()
        wave.append(write)
        seen.add(write.uri)
    if wave:
        yield wave


def add_vectors(
    connection: sa.Connection,
    vectors: Mapping[int, PassageVectors],
    log: Log,
    used: Collection[Space],
    kept: Collection[Space],
) -> int:
    """Add vectors to recorded versions that lack them; return to how many. `used` are the spaces in
    use; vectors of the spaces `kept` are not replaced.
    """
    chains = _chains_of(connection, vectors)
    have = encoders_of(asking(connection), list(chains))
    wanted = {
        seq: entry
        for seq, entry in vectors.items()
        if seq in chains and (entry.field, entry.encoder) not in have.get(seq, ())
    }
    gone = [
        row
        for seq, entry in wanted.items()
        for row in forget_rows(seq, have.get(seq, ()), [entry], kept)
    ]
    execute(connection, FORGET, gone)
    rows = [row for seq, entry in wanted.items() for row in vector_rows(seq, [vector_row(entry)])]
    execute(connection, sa.insert(VECTORS), rows)
    for seq, entry in wanted.items():
        kind = vectors_kind(entry.encoder, (entry.field, entry.encoder) in used)
        log.add(chains[seq], seq, kind)
    return len(wanted)


def forget_vectors(
    connection: sa.Connection, field: str, keep: Collection[str], after: int, limit: int
) -> list[int]:
    """Delete the field's vectors of encoders not in `keep`; return the versions' seqs."""
    which = {"field": field, "keep": list(keep), "after": after, "limit": limit}
    return sorted({int(seq) for (seq,) in connection.execute(_OTHERS, which)})


def empty_vectors(connection: sa.Connection, uri: str, first: int, last: int) -> int:
    """Take passages and vectors from versions of an item; return from how many rows."""
    return connection.execute(_EMPTY, {"uri": uri, "first": first, "last": last}).rowcount


def forget_rows(
    seq: int, have: Iterable[Space], fresh: Iterable[PassageVectors], kept: Collection[Space]
) -> list[dict[str, Any]]:
    """Return the parameters of `FORGET` for version `seq`, which gets the vectors `fresh`."""
    spaces = {(entry.field, entry.encoder) for entry in fresh}
    return [
        {"of": seq, "name": name, "by": encoder} for name, encoder in forgotten(have, spaces, kept)
    ]


def add_signatures(connection: sa.Connection, signatures: Mapping[int, bytes]) -> None:
    """Add signatures to the versions that are still recorded."""
    there = _chains_of(connection, signatures)
    rows = [
        {"seq": seq, "scheme": SCHEME, "signature": signature}
        for seq, signature in signatures.items()
        if seq in there
    ]
    execute(connection, SIGN, rows)


def _chains_of(connection: sa.Connection, seqs: Iterable[int]) -> dict[int, str]:
    """Return the chain of each version that is still recorded."""
    rows = connection.execute(_CHAINS, {"seqs": list(seqs)})
    return {int(seq): str(chain) for seq, chain in rows}


def asking(connection: sa.Connection) -> Ask:
    """Return a function that runs statements in the connection's transaction."""
    return lambda statement, **parameters: connection.execute(statement, parameters).all()


def newest_of(ask: Ask, uris: Iterable[str]) -> dict[str, Newest]:
    """Return the newest recorded version of each item."""
    keys = {key_of(uri): uri for uri in uris}
    rows = ask(_NEWEST, keys=list(keys)) if keys else ()
    return {keys[key]: Newest(*row) for key, *row in rows}


def known_of(ask: Ask, versions: Iterable[tuple[str, int, bytes]]) -> set[str]:
    """Return the uris of the versions that are recorded with this digest. `versions` are (uri,
    version, digest), one for each uri.
    """
    wanted = {(key_of(uri), version, digest): uri for uri, version, digest in versions}
    keys, numbers = [key for key, _, _ in wanted], [version for _, version, _ in wanted]
    rows = ask(_VERSIONS, keys=keys, versions=numbers) if wanted else ()
    found = ((key, version, bytes(digest)) for key, version, digest in rows)
    return {wanted[row] for row in found if row in wanted}


def products_by_story(
    connection: sa.Connection, stories: Iterable[str]
) -> dict[str, list[tuple[str, ...]]]:
    """Return by story the products of each of its items."""
    keys = {key_of(chain) for chain in stories}
    found: dict[str, list[tuple[str, ...]]] = {}
    for chain, facts in connection.execute(_ITEMS_OF, {"keys": list(keys)}) if keys else ():
        found.setdefault(chain, []).append(products_in(facts))
    return found


def encoders_of(ask: Ask, seqs: Sequence[int]) -> dict[int, set[Space]]:
    """Return by seq the spaces for which a version has vectors."""
    found: dict[int, set[Space]] = {}
    if seqs:
        for seq, name, encoder in ask(_ENCODERS, seqs=list(seqs)):
            found.setdefault(seq, set()).add((name, encoder))
    return found


def vector_rows(seq: int, rows: Iterable[VectorRow]) -> list[dict[str, Any]]:
    """Return the table rows of a version's vectors."""
    names = ("field", "encoder", "passages", "matrix", "truncated")
    return [{"seq": seq, **dict(zip(names, row, strict=True))} for row in rows]


def execute(connection: sa.Connection, statement: Any, rows: list[dict[str, Any]]) -> None:
    """Run a statement for all `rows` at once; do nothing without rows."""
    if rows:
        connection.execute(statement, rows)
