"""Labels of taggers as our four types of names, and the likeliest well-formed sequence of labels.

Models differ in their words (PERSON, GPE, corporation) and in their marks (B- and I-, B_, or none).
What is not a person, organisation, place or other name (dates, sums) is not a name here.

A token classifier labels each word by itself and may answer B-PER I-ORG, which is not a name. In a
well-formed sequence, I- stands only after B- or I- of its type. Viterbi's algorithm (1967) finds
the one with the greatest product of probabilities. If the words' own best labels are well-formed,
they are that sequence already.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

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
    """Return each of `labels` as `O`, or `B-` or `I-` with one of our types, in the same order.

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


@dataclass(frozen=True, slots=True)
class Transitions:
    """For each label, by number, the labels that may come before it (`before` [labels], increasing;
    empty if any may), and whether it may be the first (`start` [labels]).
    """

    start: tuple[bool, ...]
    before: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, labels: Sequence[str]) -> "Transitions":
        """Return what BIO allows among `labels`. A type that has no B- label may start with I-."""
        marked = {label[2:] for label in labels if label.startswith("B-")}
        inside = [label.startswith("I-") and label[2:] in marked for label in labels]

        def before(label: str) -> tuple[int, ...]:
            return tuple(place for place, other in enumerate(labels) if other[2:] == label[2:])

        pairs = zip(labels, inside, strict=True)
        return cls(
            tuple(not within for within in inside),
            tuple(before(label) if within else () for label, within in pairs),
        )

    # There are few words and labels: loops in plain Python take half of the time of NumPy's calls.

    def well_formed(self, classes: Sequence[int]) -> bool:
        """Return whether a sequence of labels, by number, is well-formed; an empty one is."""
        if classes and not self.start[classes[0]]:
            return False
        before = self.before
        for earlier, label in pairwise(classes):
            if (some := before[label]) and earlier not in some:
                return False
        return True

    def best(self, logits: Sequence[Sequence[float]]) -> list[int]:
        """Return the best well-formed classes [words] for logits [words, labels]."""
        if not logits:
            return []
        never = float("-inf")
        scores = [score if may else never for score, may in zip(logits[0], self.start, strict=True)]
        bound = [(label, some) for label, some in enumerate(self.before) if some]
        backward: list[list[int]] = []
        for row in logits[1:]:
            greatest = max(scores)
            came = [scores.index(greatest)] * len(scores)
            sums = [greatest + score for score in row]
            for label, some in bound:
                came[label] = place = max(some, key=scores.__getitem__)
                sums[label] = scores[place] + row[label]
            backward.append(came)
            scores = sums
        classes = [scores.index(max(scores))]
        for came in reversed(backward):
            classes.append(came[classes[-1]])
        return classes[::-1]
