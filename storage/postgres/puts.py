"""Puts: what of a batch is new, newer, the same once more, or refused, and the rows of each table.

A batch costs the same few round trips whether it has one item or five hundred.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from core.writes import Outcome, Written
from storage.item_rows import to_micros
from storage.near_duplicates import SCHEME
from storage.postgres.tables import ITEMS, VECTORS, key_of
from storage.postgres.writes import (
    FORGET,
    SIGN,
    Log,
    asking,
    encoders_of,
    execute,
    forget_rows,
    newest_of,
    vector_rows,
    waves_of,
)
from storage.prepared import Prepared
from storage.write_rules import Newest, Space, is_recorded, outcome_of, state_of

_SEQS = sa.text("SELECT nextval('items_seq') FROM generate_series(1, :count)")
_AGAIN = (
    sa.update(ITEMS)
    .where(ITEMS.c.seq == sa.bindparam("old"))
    .values(
        seq=sa.bindparam("new"),
        **{
            name: sa.bindparam(f"new_{name}")
            for name in ("versioncreated", "expires", "facts", "document")
        },
    )
)


def put_all(
    connection: sa.Connection, writes: Sequence[Prepared], log: Log, kept: Collection[Space]
) -> list[Written]:
    """Writes versions in order; one uri several times in a batch is written in several steps.
    Vectors of the spaces `kept` stay where others come.
    """
    return [done for wave in waves_of(writes) for done in _put_wave(connection, wave, log, kept)]


def _put_wave(
    connection: sa.Connection, wave: Sequence[Prepared], log: Log, kept: Collection[Space]
) -> list[Written]:
    newest = newest_of(asking(connection), [each.uri for each in wave])
    judged = [outcome_of(each.write.item, each.digest, newest.get(each.uri)) for each in wave]
    same = [newest[e.uri].seq for e, outcome in zip(wave, judged, strict=True) if outcome is None]
    have = encoders_of(asking(connection), same)
    outcomes = [
        outcome or _outcome_again(each, newest[each.uri], have)
        for each, outcome in zip(wave, judged, strict=True)
    ]
    written = [outcome in _WRITTEN for outcome in outcomes]
    seqs = iter(_new_seqs(connection, sum(written)))
    rows = _Rows(kept, have)
    done: list[Written] = []
    for each, outcome, writes in zip(wave, outcomes, written, strict=True):
        number = 0
        if writes:
            old = newest.get(each.uri)
            number = rows.add(each, next(seqs), outcome, old, log)
        done.append(Written(each.uri, each.write.item.version, outcome, number))
    rows.write(connection)
    return done


_WRITTEN = frozenset({Outcome.CREATED, Outcome.SUPERSEDED, Outcome.UPDATED})


def _outcome_again(
    each: Prepared, newest: Newest, have: Mapping[int, Collection[Space]]
) -> Outcome:
    fresh = {(entry.field, entry.encoder) for entry in each.write.vectors}
    same = is_recorded(each.write.item, newest, have.get(newest.seq, ()), fresh)
    return Outcome.UNCHANGED if same else Outcome.UPDATED


@dataclass(slots=True)
class _Rows:
    """What a wave writes into each table, so that each is one statement."""

    kept: Collection[Space]
    have: Mapping[int, Collection[Space]]
    fresh: list[dict[str, Any]] = field(default_factory=list)
    again: list[dict[str, Any]] = field(default_factory=list)
    gone: list[dict[str, Any]] = field(default_factory=list)
    vectors: list[dict[str, Any]] = field(default_factory=list)
    signatures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, each: Prepared, seq: int, outcome: Outcome, old: Newest | None, log: Log) -> int:
        """Notes a version that is written as `seq`; gives the number of its change."""
        item = each.write.item
        row = _item_row(each, seq)
        if outcome is Outcome.UPDATED and old is not None:
            names = ("versioncreated", "expires", "facts", "document")
            again = {f"new_{name}": row[name] for name in names}
            self.again.append({"old": old.seq, "new": seq, **again})
            held = self.have.get(old.seq, ())
            self.gone += forget_rows(seq, held, each.write.vectors, self.kept)
            log.add(old.chain, old.seq, "replaced")
        else:
            self.fresh.append(row)
        self.signatures.append({"seq": seq, "scheme": SCHEME, "signature": each.signature})
        self.vectors += vector_rows(seq, each.vectors)
        if outcome is Outcome.SUPERSEDED and old is not None and old.chain != item.chain:
            log.add(old.chain, 0, "left")
        return log.add(item.chain, seq, "put")

    def write(self, connection: sa.Connection) -> None:
        """Vectors and signatures of a version that is written again have moved with it."""
        execute(connection, sa.insert(ITEMS), self.fresh)
        execute(connection, _AGAIN, self.again)
        execute(connection, FORGET, self.gone)
        execute(connection, SIGN, self.signatures)
        execute(connection, sa.insert(VECTORS), self.vectors)


def _new_seqs(connection: sa.Connection, count: int) -> list[int]:
    """Fresh seqs in rising order, above all that were ever given: a sequence never goes back."""
    rows = connection.execute(_SEQS, {"count": count}) if count else ()
    return sorted(int(seq) for (seq,) in rows)


def _item_row(each: Prepared, seq: int) -> dict[str, Any]:
    item = each.write.item
    pubstatus, embargoed = state_of(item)
    return {
        "seq": seq,
        "uri": item.uri,
        "uri_key": key_of(item.uri),
        "version": item.version,
        "chain": item.chain,
        "chain_key": key_of(item.chain),
        "language": item.language,
        "pubstatus": pubstatus,
        "versioncreated": to_micros(item.versioncreated),
        "embargoed": embargoed,
        "expires": None if item.expires is None else to_micros(item.expires),
        "digest": each.digest,
        "facts": each.facts,
        "document": each.document,
    }
