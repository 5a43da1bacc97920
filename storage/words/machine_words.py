"""Scores words that a machine wrote about a picture or a shot: by how rare they are, nothing else.

BM25 can't weigh such a field. It compares a text's length with the average over all items, and most
items have no machine's text. So a caption of ten words among a million stories would count as
extremely long, its words as almost nothing, and the score would depend on the number of stories.
Instead a machine's word gets what BM25 gives to a word that occurs once in a text of average
length: its idf (Robertson and Zaragoza, 2009, section 3.4), by the number of items that have it in
either kind of text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log1p

from core.query_tree import MACHINE

Held = Callable[[str, str], int]


@dataclass(frozen=True, slots=True)
class MachineWords:
    """Scores over an index of `documents`; `held` returns how many have a term in a field."""

    documents: int
    held: Held

    def score(self, terms: Sequence[str]) -> float:
        """Return an item's score for all of `terms`, 0 if no machine's text has one of them."""
        counts = [self.held(MACHINE, term) for term in terms]
        if not all(counts):
            return 0.0
        return sum(
            self._idf(max(count, self.held("all", term)))
            for count, term in zip(counts, terms, strict=True)
        )

    def _idf(self, held: int) -> float:
        return log1p((self.documents - held + 0.5) / (held + 0.5))
