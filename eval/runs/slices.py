"""Groups queries into slices: the facets that a set states, and some that any set has.

    words      of the query as asked: 1-3, 4-8, 9+
    relevant   how many documents are relevant to it: none, 1, 2-5, 6+
    digit      whether it has a digit: yes, no

A mean over all queries hides a loss among few. A gain in one slice alone may be chance, and the
more slices are looked at, the more likely it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from eval.sets.judged import Facets, JudgedSet

_WORDS = ((3, "1-3"), (8, "4-8"))
_RELEVANT = ((0, "none"), (1, "1"), (5, "2-5"))


def slices_of(judged: JudgedSet) -> Mapping[str, Facets]:
    """Return the value of each facet for each judged query, in the set's order. The set's own
    facets come first and win over derived ones of the same name. A facet that the set does not
    state for a query is left out.
    """
    found: dict[str, Facets] = {}
    for query, text in judged.queries.items():
        stated = judged.slices.get(query, {})
        found[query] = {**stated, **_derived(text, judged.qrels[query]), **stated}
    return found


def sizes(slices: Mapping[str, Facets]) -> dict[tuple[str, str], int]:
    """Return how many queries each facet and value has, sorted by both."""
    counts: dict[tuple[str, str], int] = {}
    for facets in slices.values():
        for pair in facets.items():
            counts[pair] = counts.get(pair, 0) + 1
    return dict(sorted(counts.items()))


def _derived(text: str, grades: Mapping[str, int]) -> dict[str, str]:
    relevant = sum(grade > 0 for grade in grades.values())
    return {
        "words": _bin(len(text.split()), _WORDS, "9+"),
        "relevant": _bin(relevant, _RELEVANT, "6+"),
        "digit": "yes" if any(character.isdigit() for character in text) else "no",
    }


def _bin(count: int, bins: tuple[tuple[int, str], ...], above: str) -> str:
    return next((name for most, name in bins if count <= most), above)
