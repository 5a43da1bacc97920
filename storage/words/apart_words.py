"""Scores words that are no part of an item's own text, as those of a machine that describes a
picture: by how rare they are, nothing else.

BM25 can't weigh such a field. It compares a text's length with the average over all items, and most
items have no such text. So a caption of ten words among a million stories would count as extremely
long, its words as almost nothing, and the score would depend on the number of stories. Instead such
a word gets what BM25 gives to a word that occurs once in a text of average length: its idf
(Robertson and Zaragoza, 2009, section 3.4), by the number of items that have it in the kind of text
where it is commonest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log1p

from core.query_tree import APART

Held = Callable[[str, str], int]
EVERY_TEXT = ("all", *APART)  # fields that together hold all words


def most_held(held: Held, term: str) -> int:
    """Return how many items have a term, in the kind of text where it is commonest."""
    return max(held(name, term) for name in EVERY_TEXT)


@dataclass(frozen=True, slots=True)
class ApartWords:
    """Scores over an index of `documents`; `held` returns how many have a term in a field."""

    documents: int
    held: Held

    def score(self, field: str, terms: Sequence[str]) -> float:
        """Return an item's score for all of `terms` in one of the fields APART, 0 if no item has
        one of them there.
        """
        if not all(self.held(field, term) for term in terms):
            return 0.0
        return sum(self._idf(most_held(self.held, term)) for term in terms)

    def _idf(self, held: int) -> float:
        return log1p((self.documents - held + 0.5) / (held + 0.5))
