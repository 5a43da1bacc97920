"""What a word counts that a machine says of a picture or a shot: how rare it is, and nothing else.

BM25 by itself can't weigh such a field. It compares a text's length with the average over all
items, most of which have no machine's text at all, so that a caption of ten words among a million
stories would count as endlessly long, and its words as next to nothing; and how much that is would
depend on how many stories there are. A machine's word is given what BM25 gives to a word that
stands once in a text of average length: its idf (Robertson and Zaragoza, 2009, section 3.4), by the
number of items that have it in either kind of text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log1p

from core.query_tree import MACHINE

Held = Callable[[str, str], int]


@dataclass(frozen=True, slots=True)
class MachineWords:
    """By an index of `documents`, where `held` says how many of them have a term in a field."""

    documents: int
    held: Held

    def score(self, terms: Sequence[str]) -> float:
        """What an item gets for all of `terms`, 0 where some of them no machine says."""
        counts = [self.held(MACHINE, term) for term in terms]
        if not all(counts):
            return 0.0
        return sum(
            self._idf(max(count, self.held("all", term)))
            for count, term in zip(counts, terms, strict=True)
        )

    def _idf(self, held: int) -> float:
        return log1p((self.documents - held + 0.5) / (held + 0.5))
