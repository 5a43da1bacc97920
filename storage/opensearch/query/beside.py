"""What a search wants of the index beside its candidates: searches for the same request.

They are for the items that have the whole query as a value, and for the numbers of items with each
word of the query, by which its spelling is doubted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.callers import Caller
from core.query_tree import EVERYTHING
from core.retrieval import Beside, Browse, Ids, Retrieval, SortOrder
from storage.opensearch.nodes.connection import Reply
from storage.opensearch.query.query_dsl import Clause, Compiler
from storage.opensearch.query.search_bodies import by_date
from storage.opensearch.query.word_counts import Counting, WordCounts
from storage.opensearch.seen import all_of, seen_by


@dataclass(frozen=True, slots=True)
class Wanted:
    """The searches for what is wanted beside: first `named`, if any, then those of `counting`."""

    named: tuple[Clause, ...]
    counting: Counting

    @property
    def bodies(self) -> tuple[Clause, ...]:
        """All searches."""
        return (*self.named, *self.counting.bodies)

    def answers(self, replies: Sequence[Reply]) -> tuple[Ids | None, dict[str, int] | None]:
        """Return the named items and the counts of words; None for one that was not wanted, or that
        the index did not answer.
        """
        first, others = replies[: len(self.named)], replies[len(self.named) :]
        counts = self.counting.counts(others) if self.counting.words else None
        if not first or "error" in first[0]:
            return None, counts
        hits = first[0]["hits"]["hits"]
        return np.array([hit["fields"]["seq"][0] for hit in hits], np.int64), counts


def wanted(
    beside: Beside,
    caller: Caller,
    now: int,
    compiler: Compiler,
    words: WordCounts,
    timeout_s: float,
) -> Wanted:
    """Return the searches for what is wanted `beside` a search at `now` (microseconds)."""
    counting = words.counting(beside.words, beside.few, caller, now)
    if beside.named is None:
        return Wanted((), counting)
    clauses = [*seen_by(caller, now), compiler.required(beside.named)]
    if beside.within != EVERYTHING:
        clauses.append(compiler.required(beside.within))
    newest = Browse(Retrieval(beside.named, caller, order=SortOrder.NEWEST), beside.most - 1)
    body = by_date(all_of(*clauses), newest, timeout_s) | {"track_total_hits": False}
    return Wanted((body,), counting)
