"""What a search wants of the index beside its candidates: a search for the same request."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.callers import Caller
from core.query_tree import EVERYTHING
from core.retrieval import Beside, Browse, Ids, Retrieval, SortOrder
from storage.opensearch.nodes.connection import Reply
from storage.opensearch.query.query_dsl import Clause, Compiler
from storage.opensearch.query.search_bodies import by_date
from storage.opensearch.seen import all_of, seen_by


def named_bodies(
    beside: Beside, caller: Caller, now: int, compiler: Compiler, timeout_s: float
) -> list[Clause]:
    """Return the search for the items that are wanted `beside` a search at `now` (microseconds);
    none if none are.
    """
    if beside.named is None:
        return []
    clauses = [*seen_by(caller, now), compiler.required(beside.named)]
    if beside.within != EVERYTHING:
        clauses.append(compiler.required(beside.within))
    newest = Browse(Retrieval(beside.named, caller, order=SortOrder.NEWEST), beside.most - 1)
    return [by_date(all_of(*clauses), newest, timeout_s) | {"track_total_hits": False}]


def named_in(replies: Sequence[Reply]) -> Ids | None:
    """Return the items in the reply to `named_bodies`; None if there is none, or it failed."""
    if not replies or "error" in replies[0]:
        return None
    hits = replies[0]["hits"]["hits"]
    return np.array([hit["fields"]["seq"][0] for hit in hits], np.int64)
