"""Checks that an index holds what the record of truth says, and repairs it.

A check compares every story's view at one moment of the record with every document's visibility at
one moment of the index. The two moments are not the same, so whatever differs is compared once more
in its newest state before it counts. Some documents are compared in full (`samples.py`). The repair
writes the stories again, as of the record's newest change: an older state never replaces a newer
one.

The sums of an index's vectors are checked and counted again, too. The projector adds each change to
a sum, and may miss some changes: see `Sum`. A wrong sum shows, because the index knows how many
passages it has. The record has all vectors for a new count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from core.errors import BusyError
from core.ports.engine import Clock
from core.retrieval import Ids
from storage.opensearch.index.body import GC_DELETES, HOLDS_ITEM, LASTING, SHOWN, vector_path
from storage.opensearch.index.bulk import BulkWriter
from storage.opensearch.index.documents import Stretch, hidden, is_hidden, restated, shown_of
from storage.opensearch.index.family import IndexFamily
from storage.opensearch.index.samples import differing_documents
from storage.opensearch.index.vector_sums import sums_of
from storage.opensearch.nodes.connection import Cluster, Reply
from storage.opensearch.query.statistics import failed_parts
from storage.record.item_rows import to_micros
from storage.record.port import RecordOfTruth, RecordReads

_TRIES = 3
Expected = Callable[[RecordReads, int], Collection[int]]


def miscounted(family: IndexFamily) -> dict[str, int]:
    """Return, by vector field, by how many vectors its sum exceeds the searchable passages; a
    negative number means too few. Fields with right sums are left out. Return nothing if a shard
    does not answer or the index is being written to.
    """
    names = list(family.spaces)
    passages = {name: {"nested": {"path": vector_path(name)}} for name in names}
    body = {"size": 0, "track_total_hits": False, "aggs": passages}
    before = family.note()
    family.refresh()
    reply = family.cluster.ask("POST", f"/{family.concrete}/_search", body)
    if failed_parts(reply) or family.note().applied != before.applied:
        return {}
    found, sums = reply["aggregations"], before.sums
    surplus = {
        name: (sums[name].count if name in sums else 0) - found[name]["doc_count"] for name in names
    }
    return {name: more for name, more in surplus.items() if more}


def recount(record: RecordOfTruth, family: IndexFamily, clock: Clock, expected: Expected) -> bool:
    """Count the sums again and note them; return whether that succeeded. `expected` returns the
    versions that the index should hold at a time in microseconds. This reads every vector of the
    record. If the index and the record are at different changes in each of `_TRIES` tries, the sums
    stay as they were.
    """
    for _ in range(_TRIES):
        with record.moment() as reads:
            newest = reads.line(None)
            seqs = sorted(expected(reads, to_micros(clock())))
            sums = sums_of(reads, family.spaces, seqs)
        if family.note_sums(sums, newest[0] if newest else 0):
            return True
    return False


_PAGE = 5_000  # documents in one answer
_STORIES = 500  # versions whose stories are written again at once
_KEPT_S = 300
_FORGETTING_S = 30.0
_PAUSE_S = 0.1
_ALWAYS: tuple[Stretch, ...] = ((None, None),)
Stretches = tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs. The index should have `wanted` documents and has `held`. Seqs of documents:
    `missing` ones, ones that should not be there (`extra`), ones shown at other times (`mistimed`);
    and what is wrong in the `differing` ones of the `sampled`. The index lacks `behind` changes of
    the record, whose newest is `last_change`. Two things are not drift, but a repair corrects them:
    documents that are `past`, shown to nobody any more, and sums of vectors that are `miscounted`,
    by field the number of vectors too many.
    """

    wanted: int
    held: int
    missing: Ids
    extra: Ids
    mistimed: Ids
    past: Ids
    differing: Mapping[int, str]
    sampled: int
    behind: int
    last_change: int
    miscounted: Mapping[str, int]

    @property
    def seqs(self) -> Ids:
        """The seqs of everything that is not as it should be, ascending."""
        own = np.array(sorted(self.differing), np.int64)
        return np.unique(np.concatenate([self.missing, self.extra, self.mistimed, own]))

    @property
    def is_sound(self) -> bool:
        """Whether nothing differs."""
        return not len(self.seqs) and not self.behind


class IndexCheck:
    """Checks and repairs an index while others write and search."""

    def __init__(
        self, record: RecordOfTruth, family: IndexFamily, writer: BulkWriter, clock: Clock
    ) -> None:
        self._record = record
        self._family = family
        self._writer = writer
        self._clock = clock

    @property
    def cluster(self) -> Cluster:
        """Where the index is."""
        return self._family.cluster

    def look(self, samples: int = 200, seed: int = 0) -> Drift:
        """Compare the visibility of all documents, and `samples` documents in full. Raises
        StorageError.
        """
        self._family.refresh()
        now = self._now()
        with self._record.moment() as reads:
            newest = reads.line(None)
            expected = expected_of(reads, now)
        found = self._found(now)
        past = sorted(seq for seq, stretches in found.items() if not stretches)
        every = {*expected, *found}
        suspects = {seq for seq in every if expected.get(seq, ()) != found.get(seq, ())}
        missing, extra, mistimed = self._confirmed(sorted(suspects))
        sound = np.array(sorted({*expected} - suspects), np.int64)
        few = np.random.default_rng(seed).choice(sound, min(samples, len(sound)), replace=False)
        with self._record.moment() as reads:
            differing = differing_documents(self._family, reads, np.sort(few).tolist(), now)
        last = newest[0] if newest else 0
        return Drift(
            wanted=len(expected),
            held=len(found),
            missing=np.array(missing, np.int64),
            extra=np.array(extra, np.int64),
            mistimed=np.array(mistimed, np.int64),
            past=np.array(past, np.int64),
            differing=differing,
            sampled=len(few),
            behind=max(0, last - self._family.note().applied),
            last_change=last,
            miscounted=miscounted(self._family),
        )

    def repair(self, drift: Drift) -> dict[int, str]:
        """Write the stories of everything that differs again; return which seqs the index refuses,
        and why. Raises StorageError.
        """
        refused = self._restate(np.union1d(drift.seqs, drift.past).tolist())
        if stubborn := self._differing_still(drift):
            refused |= self._restate_by_force(stubborn)
        if miscounted(self._family):
            recount(self._record, self._family, self._clock, expected_of)
        return refused

    def _restate(self, seqs: Sequence[int]) -> dict[int, str]:
        refused: dict[int, str] = {}
        for batch in _batches(iter(seqs), _STORIES):
            with self._record.moment() as reads:
                newest = reads.line(None)
                version = newest[0] if newest else 0
                stories = reads.stories_of(batch)
                spaces = self._family.spaces
                again = restated(reads, {*stories.values()}, spaces, self._now(), version)
            strangers = [hidden(seq, version) for seq in batch if seq not in stories]
            refused |= self._writer.write([*again.operations, *strangers]).refused
        self._family.refresh()
        return refused

    def _differing_still(self, drift: Drift) -> list[int]:
        seqs = drift.seqs.tolist()
        still = {seq for kind in self._confirmed(seqs) for seq in kind}
        now = self._now()
        with self._record.moment() as reads:
            sampled = differing_documents(self._family, reads, sorted(drift.differing), now)
        return sorted(still | {*sampled})

    def _restate_by_force(self, seqs: Sequence[int]) -> dict[int, str]:
        """Delete the documents of `seqs` and write their stories again; return refusals. It is for
        documents whose version is above the record's newest change, because someone else wrote or
        deleted them. They would keep out later changes too. Meanwhile the index forgets deletions
        at once, not after minutes; this service never deletes other documents, so no other deletion
        is forgotten. The documents written instead keep older states out again.
        """
        name = self._family.concrete
        self.cluster.ask("PUT", f"/{name}/_settings", {"index.gc_deletes": "0ms"})
        try:
            self.cluster.ask("POST", f"/{name}/_delete_by_query", _these(seqs), refresh="true")
            deadline = time.monotonic() + _FORGETTING_S
            while True:
                refused = self._restate(seqs)
                left = [seq for kind in self._confirmed(seqs) for seq in kind]
                if not left or refused or time.monotonic() > deadline:
                    return refused
                time.sleep(_PAUSE_S)
        finally:
            again = {"index.gc_deletes": GC_DELETES}
            self.cluster.ask("PUT", f"/{name}/_settings", again)

    def _confirmed(self, suspects: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
        """Return the suspects that still differ: missing, extra, and shown at other times."""
        missing: list[int] = []
        extra: list[int] = []
        mistimed: list[int] = []
        for batch in _batches(iter(suspects), _STORIES):
            now = self._now()
            held = self._held(batch, now)  # before the record, which only grows meanwhile
            with self._record.moment() as reads:
                stories = reads.stories_of(batch)
                shown = shown_of(reads, {*stories.values()}, now).stretches
            for seq in batch:
                wanted = tuple(shown.get(seq, ()))
                has = held.get(seq, ())
                if wanted and seq not in held:
                    missing.append(seq)
                elif has and not wanted:
                    extra.append(seq)
                elif has != wanted:
                    mistimed.append(seq)
        return missing, extra, mistimed

    def _held(self, seqs: Sequence[int], now: int) -> dict[int, Stretches]:
        """Return when the items among `seqs` are shown, even if searches do not see them yet."""
        return {
            seq: stretches_of(source, now)
            for seq, source in self._family.sources(seqs).items()
            if not is_hidden(source)
        }

    def _found(self, now: int) -> dict[int, Stretches]:
        """Return by seq when each searchable document is shown."""
        found: dict[int, Stretches] = {}
        for hit in _scan(self._family.cluster, self._family.concrete):
            # The time before `now` does not matter; the index may still have stretches of it.
            found[hit["sort"][0]] = stretches_of(hit["_source"], now)
        return found

    def _now(self) -> int:
        return to_micros(self._clock())


def expected_of(reads: RecordReads, now: int) -> dict[int, Stretches]:
    """Return by seq when each version is shown, from `now` (microseconds) on."""
    expected: dict[int, Stretches] = {}
    timed: list[str] = []
    for chain, view in reads.all_views(now):
        if view.changes_at is not None:
            timed.append(chain)
        elif view.head:
            expected[view.head] = _ALWAYS
    for chains in _batches(iter(timed), _STORIES):
        for seq, stretches in shown_of(reads, chains, now).stretches.items():
            expected[seq] = tuple(stretches)
    return expected


def stretches_of(source: Mapping[str, Any], now: int) -> Stretches:
    """Return when a document is shown, as stretches from `now` on; none if all are past."""
    if source.get(LASTING):
        return _ALWAYS
    found: list[Stretch] = []
    for each in source.get(SHOWN, ()):
        since, until = each.get("gte"), each.get("lt")
        if until is None or until > now:
            found.append((None if since is None or since <= now else since, until))
    return tuple(found)


def _these(seqs: Sequence[int]) -> dict[str, Any]:
    return {"query": {"ids": {"values": [str(seq) for seq in seqs]}}}


def _scan(cluster: Cluster, name: str) -> Iterator[dict[str, Any]]:
    """Yield every document with an item at one moment of the index, by ascending seq. Raises
    BusyError if a shard does not answer, because its documents would count as missing.
    """
    keep = f"{_KEPT_S}s"
    opened = cluster.ask("POST", f"/{name}/_search/point_in_time", keep_alive=keep)
    moment = opened["pit_id"]
    parts = int(opened["_shards"]["total"])
    body: dict[str, Any] = {
        "size": _PAGE,
        "track_total_hits": False,
        "query": HOLDS_ITEM,
        "pit": {"id": moment, "keep_alive": keep},
        "sort": [{"seq": "asc"}],
        "_source": [SHOWN, LASTING],
    }
    try:
        _need_every_part(cluster, opened, parts)
        while True:
            reply = cluster.ask("POST", "/_search", body, timeout_s=60)
            _need_every_part(cluster, reply, parts)
            hits = reply["hits"]["hits"]
            yield from hits
            if len(hits) < _PAGE:
                return
            body["search_after"] = hits[-1]["sort"]
    finally:
        cluster.ask("DELETE", "/_search/point_in_time", {"pit_id": [moment]})


def _need_every_part(cluster: Cluster, reply: Reply, parts: int) -> None:
    answered = int(reply["_shards"]["successful"])
    if answered < parts or reply["_shards"]["failed"] or reply.get("timed_out"):
        what = f"{answered} of {parts} parts of the index answer in full: nothing can be compared"
        raise BusyError(what, where=cluster.where, mend="bring the nodes back, then try again")


def _batches(rows: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := [*islice(rows, size)]:
        yield batch
