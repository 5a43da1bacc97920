"""The sums of an index's vectors against the number of passages that it holds, and counted anew.

A sum is kept by what changes (`projector.py`), and misses what nobody can tell: see `Sum`. The
index knows how many passages it has, so that a wrong sum shows, and the record has the vectors.
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
    """By vector field how many more vectors its sum is of than passages are searchable, fewer below
    0; fields whose sums are right are left out. Nothing where that can't be told: a part of the
    index does not answer, or it is written to meanwhile.
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
    """Puts the sums of the vectors of all versions that the index is to hold, which `expected`
    gives at a time in microseconds, in the place of those noted. It reads every vector of the
    record. Gives whether it could: where the index gets ahead or behind meanwhile, several times,
    the sums stay as they were.
    """
    for _ in range(_TRIES):
        with record.moment() as reads:
            newest = reads.line(None)
            seqs = sorted(expected(reads, to_micros(clock())))
            sums = sums_of(reads, family.spaces, seqs)
        if family.note_sums(sums, newest[0] if newest else 0):
            return True
    return False
