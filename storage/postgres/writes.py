"""What a write does to the tables, inside the one transaction that writes at a time.

A sequence alone would not do for the log: numbers are given when they are asked for and seen when
their transaction commits, so a reader could meet number 8 before number 7 and never look back.
Writers of one record therefore take turns. Each locks the one row of `archive` first and holds it
until its commit is visible; the next statement has a new snapshot (READ COMMITTED), in which the
largest number is that of the writer before. So numbers rise in the order of commits and have no
gaps, there is nothing to deadlock over, and two hosts that write one item get the outcomes that
they would get one after the other. The row is locked, never changed, so that it leaves no dead
rows behind; unlike an advisory lock it belongs to this archive alone.
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

# `synchronous_commit` may be off for the whole server, for others' sake: never for this.
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
SIGN = insert(SIGNATURES)
SIGN = SIGN.on_conflict_do_update(
    index_elements=["seq"],
    set_={"scheme": SIGN.excluded.scheme, "signature": SIGN.excluded.signature},
)


@dataclass(slots=True)
class Log:
    """The lines that this transaction adds; the writer's turn makes their numbers sure."""

    last: int
    now: int
    lines: list[dict[str, Any]] = field(default_factory=list)

    def add(self, chain: str, seq: int, kind: str) -> int:
        """Notes a change and gives its number."""
        self.last += 1
        line = {"n": self.last, "chain": chain, "seq": seq, "kind": kind, "at": self.now}
        self.lines.append(line)
        return self.last

    def write(self, connection: sa.Connection) -> None:
        """Adds the lines to the table."""
        execute(connection, sa.insert(CHANGES), self.lines)


def take_turn(connection: sa.Connection, now: int) -> Log:
    """Waits until no other process writes, and reads how far the log is."""
    connection.execute(_LOCK)
    return Log(int(connection.execute(_LAST).scalar_one()), now)


def waves_of(writes: Sequence[Any]) -> Iterator[list[Any]]:
    """Runs of `writes` (each has a uri) in which no uri is twice."""
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
    """Adds vectors to what is still there and lacks them; to how many versions. `used` are the
    spaces in use, `kept` those whose vectors stay where others come.
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
    """See `storage.record.port.RecordOfTruth`."""
    which = {"field": field, "keep": list(keep), "after": after, "limit": limit}
    return sorted({int(seq) for (seq,) in connection.execute(_OTHERS, which)})


def forget_rows(
    seq: int, have: Iterable[Space], fresh: Iterable[PassageVectors], kept: Collection[Space]
) -> list[dict[str, Any]]:
    """What `FORGET` is to delete of version `seq` where it gets `fresh`."""
    spaces = {(entry.field, entry.encoder) for entry in fresh}
    return [
        {"of": seq, "name": name, "by": encoder} for name, encoder in forgotten(have, spaces, kept)
    ]


def add_signatures(connection: sa.Connection, signatures: Mapping[int, bytes]) -> None:
    """Adds signatures to what is still there."""
    there = _chains_of(connection, signatures)
    rows = [
        {"seq": seq, "scheme": SCHEME, "signature": signature}
        for seq, signature in signatures.items()
        if seq in there
    ]
    execute(connection, SIGN, rows)


def _chains_of(connection: sa.Connection, seqs: Iterable[int]) -> dict[int, str]:
    """The chain of each version that is still there."""
    rows = connection.execute(_CHAINS, {"seqs": list(seqs)})
    return {int(seq): str(chain) for seq, chain in rows}


def asking(connection: sa.Connection) -> Ask:
    """Questions in the connection's transaction."""
    return lambda statement, **parameters: connection.execute(statement, parameters).all()


def newest_of(ask: Ask, uris: Iterable[str]) -> dict[str, Newest]:
    """The newest recorded version of each item."""
    keys = {key_of(uri): uri for uri in uris}
    rows = ask(_NEWEST, keys=list(keys)) if keys else ()
    return {keys[key]: Newest(*row) for key, *row in rows}


def known_of(ask: Ask, versions: Iterable[tuple[str, int, bytes]]) -> set[str]:
    """The uris whose version is recorded with the content of this digest, one version of each."""
    wanted = {(key_of(uri), version, digest): uri for uri, version, digest in versions}
    keys, numbers = [key for key, _, _ in wanted], [version for _, version, _ in wanted]
    rows = ask(_VERSIONS, keys=keys, versions=numbers) if wanted else ()
    found = ((key, version, bytes(digest)) for key, version, digest in rows)
    return {wanted[row] for row in found if row in wanted}


def products_by_story(
    connection: sa.Connection, stories: Iterable[str]
) -> dict[str, list[tuple[str, ...]]]:
    """The products of each item of these stories, by story."""
    keys = {key_of(chain) for chain in stories}
    found: dict[str, list[tuple[str, ...]]] = {}
    for chain, facts in connection.execute(_ITEMS_OF, {"keys": list(keys)}) if keys else ():
        found.setdefault(chain, []).append(products_in(facts))
    return found


def encoders_of(ask: Ask, seqs: Sequence[int]) -> dict[int, set[Space]]:
    """By seq, for which spaces it was embedded."""
    found: dict[int, set[Space]] = {}
    if seqs:
        for seq, name, encoder in ask(_ENCODERS, seqs=list(seqs)):
            found.setdefault(seq, set()).add((name, encoder))
    return found


def vector_rows(seq: int, rows: Iterable[VectorRow]) -> list[dict[str, Any]]:
    """The rows of a version's vectors, as the table has them."""
    names = ("field", "encoder", "passages", "matrix", "truncated")
    return [{"seq": seq, **dict(zip(names, row, strict=True))} for row in rows]


def execute(connection: sa.Connection, statement: Any, rows: list[dict[str, Any]]) -> None:
    """Runs a statement for all `rows` at once, and for none not at all."""
    if rows:
        connection.execute(statement, rows)
