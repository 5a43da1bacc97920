"""Words that sound alike though they are spelled otherwise: "solvain" and "solvane".

The sound of a word is its consonants in order, in the six classes of Soundex (Russell, 1918), here
of any length. Vowels, h, w and y only part consonants, and a vowel at the beginning is one class.
Two words sound alike if their sounds are equal and few edits lie between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rapidfuzz.distance import OSA, JaroWinkler

VOWELS = "aeiouyhw"
CLASSES = ("bfpv", "cgjkqsxz", "dt", "l", "mn", "r")
SHORTEST = 6  # letters; shorter words sound like too many others
_LEAST_SIMILARITY = 0.88
_LETTERS_PER_EDIT, _MOST_EDITS = 3, 4
_CLASS_OF = {letter: letters for letters in CLASSES for letter in letters}
_CLASS_OF |= dict.fromkeys(VOWELS, VOWELS)


def sound_of(word: str) -> tuple[str, ...]:
    """Return the classes of a folded word's letters; a sign without a class is its own."""
    classes = [kind for kind, _ in groupby(_CLASS_OF.get(letter, letter) for letter in word)]
    return (*classes[:1], *(kind for kind in classes[1:] if kind != VOWELS))


class SoundingWords:
    """Words by their sound. Not thread-safe."""

    def __init__(self) -> None:
        self._words: dict[tuple[str, ...], list[str]] = {}

    def add(self, word: str) -> None:
        """Add a word; each word only once."""
        if len(word) >= SHORTEST:
            self._words.setdefault(sound_of(word), []).append(word)

    def like(self, word: str) -> list[tuple[str, int]]:
        """Return the words that sound like `word`, with their edits, nearest first."""
        return _near(word, self._words.get(sound_of(word), ()))


def _near(word: str, others: Iterable[str]) -> list[tuple[str, int]]:
    most = 0 if len(word) < SHORTEST else min(_MOST_EDITS, len(word) // _LETTERS_PER_EDIT)
    found = [(other, int(OSA.distance(word, other))) for other in others]
    alike = [
        (other, edits)
        for other, edits in found
        if edits <= most and JaroWinkler.similarity(word, other) >= _LEAST_SIMILARITY
    ]
    return sorted(alike, key=lambda pair: (pair[1], pair[0]))
