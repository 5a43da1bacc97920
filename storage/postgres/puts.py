"""Puts: finds which items of a batch are new, newer, unchanged or refused, and writes their rows.

A batch takes the same few round trips for one item or five hundred.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from core.callers import Caller
from core.items import Item
from core.writes import Outcome, Written
from storage.postgres.statuses import Holds
from storage.postgres.tables import ITEMS, VECTORS, key_of
from storage.postgres.writes import (
    FORGET,
    SIGN,
    Log,
    asking,
    encoders_of,
    execute,
    forget_rows,
    known_of,
    newest_of,
    products_by_story,
    vector_rows,
    waves_of,
)
from storage.record.holds import State, bound, held_as
from storage.record.item_rows import to_micros
from storage.record.near_duplicates import SCHEME
from storage.record.port import VECTORS as VECTORS_KIND
from storage.record.prepared import Prepared
from storage.record.write_rules import (
    Newest,
    Space,
    is_recorded,
    outcome_of,
    refusal,
    state_of,
    touched_stories,
)

_SEQS = sa.text("SELECT nextval('items_seq') FROM generate_series(1, :count)")
_AGAIN_SETS = ("versioncreated", "pubstatus", "embargoed", "expires", "facts", "document")
_AGAIN = (
    sa.update(ITEMS)
    .where(ITEMS.c.seq == sa.bindparam("old"))
    .values(
        seq=sa.bindparam("new"),
        **{name: sa.bindparam(f"new_{name}") for name in _AGAIN_SETS},
    )
)


def put_all(
    connection: sa.Connection,
    writes: Sequence[Prepared],
    by: Caller,
    log: Log,
    kept: Collection[Space],
) -> list[Written]:
    """Write the versions in order that `by` may write; return an outcome for each. Several versions
    of one uri in a batch are written in several steps. New vectors do not replace those of the
    spaces `kept`.
    """
    return [
        done for wave in waves_of(writes) for done in _put_wave(connection, wave, by, log, kept)
    ]


def _put_wave(
    connection: sa.Connection,
    wave: Sequence[Prepared],
    by: Caller,
    log: Log,
    kept: Collection[Space],
) -> list[Written]:
    newest = newest_of(asking(connection), [each.uri for each in wave])
    judged = _judged(connection, wave, by, newest)
    same = [newest[e.uri].seq for e, outcome in zip(wave, judged, strict=True) if outcome is None]
    have = encoders_of(asking(connection), same)
    outcomes = [
        outcome or _outcome_again(each, newest[each.uri], have)
        for each, outcome in zip(wave, judged, strict=True)
    ]
    written = [
        each.uri for each, outcome in zip(wave, outcomes, strict=True) if outcome in _WRITTEN
    ]
    seqs = iter(_new_seqs(connection, len(written)))
    rows = _Rows(kept, have, Holds.of(connection, written))
    known = _known(connection, wave, outcomes)
    done: list[Written] = []
    for each, outcome in zip(wave, outcomes, strict=True):
        if outcome in _WRITTEN:
            done.append(rows.add(each, next(seqs), outcome, newest.get(each.uri), log))
        else:
            version = each.write.item.version
            done.append(Written(each.uri, version, outcome, known=each.uri in known))
    rows.write(connection)
    return done


def _known(
    connection: sa.Connection, wave: Sequence[Prepared], outcomes: Sequence[Outcome]
) -> set[str]:
    """Return the uris of stale versions that are recorded with the same content."""
    stale = [
        (each.uri, each.write.item.version, each.digest)
        for each, outcome in zip(wave, outcomes, strict=True)
        if outcome is Outcome.STALE
    ]
    return known_of(asking(connection), stale)


def _judged(
    connection: sa.Connection, wave: Sequence[Prepared], by: Caller, newest: Mapping[str, Newest]
) -> list[Outcome | None]:
    """Return the outcome of each put, None for a version that is recorded with the same content."""
    touched = [touched_stories(each.write.item, by, newest.get(each.uri)) for each in wave]
    stories = products_by_story(connection, [chain for chains in touched for chain in chains])
    judged: list[Outcome | None] = []
    for each, chains in zip(wave, touched, strict=True):
        item, old = each.write.item, newest.get(each.uri)
        theirs = [products for chain in chains for products in stories.get(chain, ())]
        late = each.write.only_vectors
        outcome = outcome_of(item, each.digest, old, only_vectors=late)
        judged.append(refusal(item, by, old, theirs) or outcome)
    return judged


_WRITTEN = frozenset({Outcome.CREATED, Outcome.SUPERSEDED, Outcome.UPDATED})


def _outcome_again(
    each: Prepared, newest: Newest, have: Mapping[int, Collection[Space]]
) -> Outcome:
    fresh = {(entry.field, entry.encoder) for entry in each.write.vectors}
    same = is_recorded(each.write.item, newest, have.get(newest.seq, ()), fresh)
    return Outcome.UNCHANGED if same else Outcome.UPDATED


@dataclass(slots=True)
class _Rows:
    """The rows that a wave writes, collected so that each table takes one statement."""

    kept: Collection[Space]
    have: Mapping[int, Collection[Space]]
    holds: Holds
    fresh: list[dict[str, Any]] = field(default_factory=list)
    again: list[dict[str, Any]] = field(default_factory=list)
    gone: list[dict[str, Any]] = field(default_factory=list)
    vectors: list[dict[str, Any]] = field(default_factory=list)
    signatures: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self, each: Prepared, seq: int, outcome: Outcome, old: Newest | None, log: Log
    ) -> Written:
        """Collect the rows of a version that is written as `seq`; return its outcome."""
        item = each.write.item
        again = old if outcome is Outcome.UPDATED else None
        if again is not None and each.write.only_vectors:
            return self._add_vectors(each, again, log)
        own = state_of(item) if again is None else again.state
        state = self._bind(item, own, new=again is None)
        row = _item_row(each, seq, state)
        if again is not None:
            self.again.append(
                {"old": again.seq, "new": seq, **{f"new_{n}": row[n] for n in _AGAIN_SETS}}
            )
            held_vectors = self.have.get(again.seq, ())
            self.gone += forget_rows(seq, held_vectors, each.write.vectors, self.kept)
            log.add(again.chain, again.seq, "replaced")
        else:
            self.fresh.append(row)
        self.signatures.append({"seq": seq, "scheme": SCHEME, "signature": each.signature})
        self.vectors += vector_rows(seq, each.vectors)
        if outcome is Outcome.SUPERSEDED and old is not None and old.chain != item.chain:
            log.add(old.chain, 0, "left")
        number = log.add(item.chain, seq, "put")
        return Written(item.uri, item.version, outcome, number, held_as(state, own))

    def _add_vectors(self, each: Prepared, old: Newest, log: Log) -> Written:
        """Collect the rows of late vectors; the version keeps its seq, so it is no newer."""
        item, have = each.write.item, self.have.get(old.seq, ())
        self.gone += forget_rows(old.seq, have, each.write.vectors, self.kept)
        self.vectors += vector_rows(old.seq, each.vectors)
        number = log.add(old.chain, old.seq, VECTORS_KIND)
        return Written(item.uri, item.version, Outcome.UPDATED, number)

    def _bind(self, item: Item, own: State, *, new: bool) -> State:
        """Return the state of a version that comes with `own`, as the holds of its uri bind it."""
        state, after = bound(self.holds.before(item.uri), item.products, own, new=new)
        self.holds.keep(item.uri, after)
        return state

    def write(self, connection: sa.Connection) -> None:
        """Write all rows; a rewritten version's vectors and signature follow its new seq."""
        execute(connection, sa.insert(ITEMS), self.fresh)
        execute(connection, _AGAIN, self.again)
        execute(connection, FORGET, self.gone)
        execute(connection, SIGN, self.signatures)
        execute(connection, sa.insert(VECTORS), self.vectors)
        self.holds.write(connection)


def _new_seqs(connection: sa.Connection, count: int) -> list[int]:
    """Return new seqs, ascending and above all earlier ones: a sequence never goes back."""
    rows = connection.execute(_SEQS, {"count": count}) if count else ()
    return sorted(int(seq) for (seq,) in rows)


def _item_row(each: Prepared, seq: int, state: State) -> dict[str, Any]:
    item = each.write.item
    pubstatus, embargoed = state
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
