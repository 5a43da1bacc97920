"""Labels of taggers, turned into our four types of names.

Models differ in their words (PERSON, GPE, corporation) and in their marks (B- and I-, B_, or none).
What is no person, organisation, place or other name (dates, sums) is not a name here.
"""

import re
from collections.abc import Sequence

from core.entities import EntityLabel

_MARKED = re.compile(r"(?P<mark>[BIESLU])[-_](?P<type>.+)", re.IGNORECASE)
_TYPES = {
    EntityLabel.PER: ("per", "person", "people"),
    EntityLabel.ORG: ("org", "organization", "organisation", "corporation", "company", "group"),
    EntityLabel.LOC: ("loc", "location", "gpe", "fac", "facility", "place", "geo", "geo-loc"),
    EntityLabel.MISC: (
        *("misc", "miscellaneous", "norp", "event", "work_of_art", "creative-work"),
        *("product", "law", "language", "other"),
    ),
}
_OURS = {word: label for label, words in _TYPES.items() for word in words}
_BEGINS = frozenset("BSU")  # S and U: a name of one word


def bio_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Each of `labels` as `O`, or `B-` or `I-` with one of our types, in the same order.

    A type without a mark is taken as `I-`: a run of it is one name.
    """
    return tuple(_bio(label) for label in labels)


def _bio(label: str) -> str:
    found = _MARKED.fullmatch(label)
    mark, word = (found["mark"].upper(), found["type"]) if found else ("I", label)
    ours = _OURS.get(word.lower())
    if ours is None:
        return "O"
    return f"{'B' if mark in _BEGINS else 'I'}-{ours.value}"
