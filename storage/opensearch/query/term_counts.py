"""Counts the items that have each term of one query, for calculations beside its search.

A calculation runs with the counts that are known. The counts that it lacked are then looked up
together, and it runs again. If the index does not answer, this search treats such words as common
and looks up no more. For a rare word, only the items that the caller may see count; the search's
own request asks for that. Look-ups run while the query is encoded, so that nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from core.errors import BusyError
from storage.opensearch.nodes.connection import Reply
from storage.opensearch.query.statistics import (
    RARE,
    Counts,
    Statistics,
    Term,
    failed_of,
    lacking_parts,
    term_clause,
    total,
)

T = TypeVar("T")
_ROUNDS = 4


@dataclass(slots=True)
class LookUps:
    """The state of one search's look-ups. After a failure `lacking` says why, no more are made, and
    a term without a count is taken to be in `common` items.
    """

    common: int = 1
    lacking: str = ""


class TermCounts:
    """The counts for one query over the items that satisfy `within`, or over all items without it.
    `look_ups` are those of the search.
    """

    def __init__(
        self,
        statistics: Statistics,
        look_ups: LookUps,
        within: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        self._statistics = statistics
        self._look_ups = look_ups
        self._within = within
        self._counts: dict[Term, int] = {}
        self._unknown: dict[Term, None] = {}
        self._seen: dict[Term, bool] = {}
        self._rare: dict[Term, None] = {}

    def held(self, field: str, term: str) -> int:
        """Return in how many items the term is: 0 if that still has to be looked up, and 0 if they
        are few and the caller sees none of them.
        """
        key = (field, term)
        count = self._counts.get(key)
        if count is None:
            known = self._statistics.known((key,))
            if key not in known:
                if self._look_ups.lacking:
                    return self._look_ups.common
                self._unknown[key] = None
                return 0
            count = self._counts[key] = known[key]
        if self._within is None or not 0 < count <= RARE:
            return count
        if key not in self._seen:
            self._rare[key] = None
            return count
        return count if self._seen[key] else 0

    def look(self, run: Callable[[], object]) -> list[Term]:
        """Run `run` to find out what it needs; return the terms whose counts are not known."""
        self._unknown.clear()
        self._rare.clear()
        run()
        return [*self._unknown]

    @property
    def open(self) -> int:
        """How many terms had no count at the last look."""
        return len(self._unknown)

    def note(self, found: Counts) -> None:
        """Take in counts that were looked up."""
        self._counts.update(found.held)
        self._look_ups.lacking = self._look_ups.lacking or found.lacking

    def solved(self, run: Callable[[], T]) -> T:
        """Return the result of `run` with every count that it needs. A rare term counts as visible
        until that is known.
        """
        for _ in range(_ROUNDS):
            self._unknown.clear()
            result = run()
            if not self._unknown:
                return result
            self.note(self._statistics.frequencies([*self._unknown]))
        return run()

    def reckoned(self, run: Callable[[], T]) -> T:
        """Return the result of `run` with all that it needs; asks for rare terms found late."""
        self._rare.clear()
        result = self.solved(run)
        if not self._rare:
            return result
        why = ""
        try:
            replies = self._statistics.ask(self._rare_bodies())
            why = lacking_parts(failed_of(replies))
            self._take_rare(replies)
        except BusyError as error:
            self._seen.update(dict.fromkeys(self._rare, False))
            why = error.what
        self._look_ups.lacking = self._look_ups.lacking or why
        return self.solved(run)

    def seen_bodies(self) -> list[Reply]:
        """Return the searches for which rare terms the caller sees, as of the last look: one for
        all that are known to be rare, and one for each term whose count is still looked up.
        """
        within = self._within or ()
        opened = [
            {
                "size": 0,
                "track_total_hits": 1,
                "query": {"bool": {"filter": [*within, term_clause(term)]}},
            }
            for term in self._unknown
        ]
        return [*self._rare_bodies(), *opened]

    def _rare_bodies(self) -> list[Reply]:
        if not self._rare:
            return []
        clauses = [term_clause(term) for term in self._rare]
        some = {"bool": {"should": clauses}}
        return [
            {
                "size": 0,
                "track_total_hits": False,
                "query": {"bool": {"filter": [*(self._within or ()), some]}},
                "aggs": {str(n): {"filter": clause} for n, clause in enumerate(clauses)},
            }
        ]

    def take_in(self, replies: Sequence[Reply]) -> None:
        """Take in the replies to `seen_bodies`; a term without an answer counts as not seen."""
        first = len(replies) - len(self._unknown)
        self._take_rare(replies[:first])
        for term, reply in zip(self._unknown, replies[first:], strict=True):
            self._seen[term] = "error" not in reply and total(reply) > 0

    def _take_rare(self, replies: Sequence[Reply]) -> None:
        self._seen.update(dict.fromkeys(self._rare, False) if replies else {})
        terms = list(self._rare)
        for reply in replies:
            for number, found in reply.get("aggregations", {}).items():
                self._seen[terms[int(number)]] = found["doc_count"] > 0
