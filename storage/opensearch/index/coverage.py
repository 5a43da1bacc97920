"""Measures how much of the record's visible items an index holds, and how many with vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import BusyError
from storage.opensearch.index.body import EMBEDDED
from storage.opensearch.index.family import IndexFamily
from storage.opensearch.nodes.connection import Reply, error_of
from storage.opensearch.query.statistics import failed_parts, total
from storage.opensearch.seen import shown_at
from storage.record.port import RecordReads


@dataclass(frozen=True, slots=True)
class Coverage:
    """The record shows `wanted` items, the index shows `held`, and `embedded` of these have
    vectors, by vector field. The index lacks `behind` changes of the record.
    """

    wanted: int
    held: int
    embedded: Mapping[str, int]
    behind: int

    @property
    def share(self) -> float:
        """The covered share of the items in the field that covers the fewest: 0 to 1."""
        if not self.wanted:
            return 1.0
        return min((self.held, *self.embedded.values())) / self.wanted


def coverage_of(family: IndexFamily, reads: RecordReads, now: int) -> Coverage:
    """Refresh the index and compare it with one moment of the record; `now` in microseconds. Raises
    StorageError; BusyError if a shard does not answer.
    """
    family.refresh()
    newest = reads.line(None)
    wanted = sum(1 for _, view in reads.all_views(now) if view.head)
    shown = shown_at(now)
    conditions = [shown, *([*shown, {"term": {EMBEDDED: name}}] for name in family.spaces)]
    bodies = [
        {"size": 0, "track_total_hits": True, "query": {"bool": {"filter": filters}}}
        for filters in conditions
    ]
    replies = family.cluster.search_many(bodies, index=family.concrete)
    held, *embedded = (_total(reply, family) for reply in replies)
    behind = (newest[0] if newest else 0) - family.note().applied
    return Coverage(wanted, held, dict(zip(family.spaces, embedded, strict=True)), max(0, behind))


def _total(reply: Reply, family: IndexFamily) -> int:
    where = f"{family.cluster.where}, {family.concrete}"
    if "error" in reply:
        raise error_of(reply.get("status", 500), reply["error"], where)
    if failed := failed_parts(reply):
        raise BusyError(
            f"{failed} parts of the index do not answer: nothing can be counted",
            where=where,
            mend="bring the nodes back, then try again",
        )
    return total(reply)
