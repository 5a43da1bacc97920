"""Checks the sums of an index's vectors, and counts them anew.

The projector adds each change to a sum, and may miss some changes: see `Sum`. A wrong sum shows,
because the index knows how many passages it has. The record has all vectors for a new count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from core.ports import Clock
from storage.opensearch.index.body import vector_path
from storage.opensearch.index.family import IndexFamily
from storage.opensearch.index.vector_sums import sums_of
from storage.opensearch.query.statistics import failed_parts
from storage.record.item_rows import to_micros
from storage.record.port import RecordOfTruth, RecordReads

_TRIES = 3
Expected = Callable[[RecordReads, int], Collection[int]]


def miscounted(family: IndexFamily) -> dict[str, int]:
    """Return by vector field how many vectors too many its sum counts, compared with the searchable
    passages; below 0 too few. Fields with right sums are left out. Returns nothing if a shard does
    not answer or the index is written to meanwhile.
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
    """Count the sums anew and note them; return whether that succeeded. `expected` returns the
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
