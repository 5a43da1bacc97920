"""Finds names as an archive writes them by what people type.

Two spellings are one name if they fold to the same key: case and accents are folded as in the index
(storage/words/analysis.py), and punctuation, blanks, a leading "the" and a final 's are dropped. So
"The O'Hara's" is "ohara" and "J. K. Rowling" is "jkrowling". A name that folds to no known key is
read as the name that it is similar to, if there is only one:

    angela merkle     whole names: at most one edit in five letters and three in all (insert, drop,
                      change, swap neighbours), the same first letter, Jaro-Winkler of at least .9,
                      and every other name at least one edit further away
    merkel            a person by surname: only one person has this last word; words before it must
                      be in that name too, or be initials of its words ("a. merkel")
    merkle            the same with a misspelt surname of six letters or more
    ingrd solvain     whole names and surnames that sound alike (see below), if none is nearer

A name of fewer than five letters is never read as a similar one.

Names are never removed. The caller says which spellings count (`Allowed`), so that hidden names
have no influence, and which names are of one person or thing (`Identity`), so that two names of one
person do not make each other doubtful.

"solvain" and "solvane" sound alike though they are spelled otherwise.

The sound of a word is its consonants in order, in the six classes of Soundex (Russell, 1918), here
of any length. Vowels, h, w and y only part consonants, and a vowel at the beginning is one class.
Two words sound alike if their sounds are equal and few edits lie between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import groupby

import tantivy
from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

VOWELS = "aeiouyhw"
CLASSES = ("bfpv", "cgjkqsxz", "dt", "l", "mn", "r")
SHORTEST = 6  # letters; shorter words sound like too many others
_LEAST_ALIKE = 0.88  # least similarity of words that sound alike
_LETTERS_PER_EDIT_OF_SOUND, _MOST_EDITS_OF_SOUND = 3, 4
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
        edits = min(_MOST_EDITS_OF_SOUND, len(word) // _LETTERS_PER_EDIT_OF_SOUND)
        most = edits if len(word) >= SHORTEST else 0
        return _alike(word, [self._words.get(sound_of(word), [])], most, _LEAST_ALIKE)


def _alike(
    word: str, groups: Iterable[Sequence[str]], most: int, least: float
) -> list[tuple[str, int]]:
    """Return the words of `groups` that are at most `most` edits from `word` and have a
    Jaro-Winkler similarity of at least `least`, with their edits, nearest first.
    """
    found = [
        (other, int(edits))
        for words in groups
        for other, edits, _ in process.extract(
            word, words, scorer=OSA.distance, score_cutoff=most, limit=None
        )
        if JaroWinkler.similarity(word, other) >= least
    ]
    return sorted(found, key=lambda pair: (pair[1], pair[0]))


SHORTEST_FUZZY = 5  # letters, of a whole name
SHORTEST_SURNAME = 4
SHORTEST_FUZZY_SURNAME = 6
LEAST_SIMILARITY = 0.9
_LETTERS_PER_EDIT, _MOST_EDITS = 5, 3
_LONGEST_FUZZY = 64
_POSSESSIVE = re.compile(r"['’]s?$")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")

Allowed = Callable[[int], bool]  # whether the spelling of this number counts
Identity = Callable[[str], str]  # from a name's key to a value that its aliases share


@lru_cache(maxsize=1)
def _analyzer() -> tantivy.TextAnalyzer:
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .build()
    )


def plain_words(text: str) -> tuple[str, ...]:
    """Return a text's words, folded; none if it has neither letters nor digits."""
    return tuple(_analyzer().analyze(_APOSTROPHE.sub("", _POSSESSIVE.sub("", text.strip()))))


def folded_words(text: str) -> tuple[str, ...]:
    """Return a name's words: as `plain_words`, without a leading "the"."""
    words = plain_words(text)
    return words[1:] if len(words) > 1 and words[0] == "the" else words


def key_of(words: Sequence[str], text: str) -> str:
    """Return the key that all spellings of a name share; without words it is the name itself."""
    return "".join(words) or text.strip().casefold()


def most_edits(letters: int) -> int:
    """Return how many edits a similar name may have, for a name of so many letters."""
    return 0 if letters < SHORTEST_FUZZY else min(_MOST_EDITS, letters // _LETTERS_PER_EDIT)


class NameBook:
    """The names of one kind. The caller who adds a spelling gives it a number. Not thread-safe."""

    def __init__(self, *, people: bool) -> None:
        self._people = people
        self._spellings: dict[str, list[int]] = {}  # by key
        self._keys = NearWords()
        self._sounds = SoundingWords()
        self._surnames: dict[str, list[int]] = {}
        self._near_surnames = NearWords()
        self._sounding_surnames = SoundingWords()
        self._people_by_number: dict[int, tuple[str, tuple[str, ...]]] = {}  # key, first names

    def add(self, number: int, spelling: str) -> None:
        """Add a spelling."""
        words = folded_words(spelling)
        key = key_of(words, spelling)
        numbers = self._spellings.setdefault(key, [])
        numbers.append(number)
        if words and len(numbers) == 1:
            self._keys.add(key)
            self._sounds.add(key)
        if self._people and len(words) > 1:
            bearers = self._surnames.setdefault(words[-1], [])
            if not bearers:
                self._near_surnames.add(words[-1])
                self._sounding_surnames.add(words[-1])
            bearers.append(number)
            self._people_by_number[number] = key, words[:-1]

    def same(self, text: str) -> list[int]:
        """Return the numbers of the spellings that fold to the same key as `text`."""
        return self._spellings.get(key_of(folded_words(text), text), [])

    def spellings(self, key: str) -> list[int]:
        """Return the numbers of the spellings that fold to `key`."""
        return self._spellings.get(key, [])

    def similar(self, text: str, allowed: Allowed, identity: Identity = str) -> list[int]:
        """Return the numbers of the spellings of the only name that is similar to `text`; none if
        no name or several are similar.
        """
        words = folded_words(text)
        key = key_of(words, text)
        if not words or len(key) > _LONGEST_FUZZY:
            return []

        def counts(other: str) -> bool:
            return any(allowed(number) for number in self._spellings[other])

        found = self._by_surname(words, (words[-1],), allowed, identity)
        if found is None:
            found = _nearest(self._keys.near(key), counts, identity)
        for surnames in (self._near_surnames.near, self._sounding_surnames.like):
            if found is None and len(words[-1]) >= SHORTEST_FUZZY_SURNAME:
                near = [surname for surname, _ in surnames(words[-1])]
                found = self._by_surname(words, near, allowed, identity)
        if found is None:
            found = _nearest(self._sounds.like(key), counts, identity)
        return self._spellings[found] if found else []

    def _by_surname(
        self, words: Sequence[str], surnames: Iterable[str], allowed: Allowed, identity: Identity
    ) -> str | None:
        """Return the key of the only person with one of `surnames` and the other words; "" if there
        are several, None if there is none.
        """
        if not self._people or sum(map(len, words)) < SHORTEST_SURNAME:
            return None
        only: str | None = None
        for surname in surnames:
            for number in self._surnames.get(surname, ()):
                key, first_names = self._people_by_number[number]
                if key != only and _fits(words[:-1], first_names) and allowed(number):
                    if only is not None and identity(key) != identity(only):
                        return ""
                    # Of aliases the alphabetically first one: by the order of writing, hidden items
                    # would influence the choice.
                    only = key if only is None else min(only, key)
        return only


class NearWords:
    """Words, grouped by first letter and length so that few are compared."""

    def __init__(self) -> None:
        self._words: dict[tuple[str, int], list[str]] = {}

    def add(self, word: str) -> None:
        """Add a word; each word only once."""
        self._words.setdefault((word[0], len(word)), []).append(word)

    def near(self, word: str) -> list[tuple[str, int]]:
        """Return the words that `word` may be a misspelling of, with their edits, nearest first."""
        most = most_edits(len(word))
        lengths = range(len(word) - most, len(word) + most + 1) if most else ()
        groups = (self._words.get((word[0], length), []) for length in lengths)
        return _alike(word, groups, most, LEAST_SIMILARITY)


def _nearest(
    near: Iterable[tuple[str, int]], counts: Callable[[str], bool], identity: Identity
) -> str | None:
    """Return the nearest key that counts, of keys with their edits in order; "" if another name is
    as near, None if there is none.
    """
    best: str | None = None
    edits = 0
    for other, distance in near:
        if best is not None and distance > edits:
            break
        if counts(other):
            if best is not None and identity(other) != identity(best):
                return ""
            if best is None:
                best, edits = other, distance
    return best


def _fits(given: Sequence[str], full: Sequence[str]) -> bool:
    """Return whether the given names are in a full name, in order, whole or as initials."""
    rest = iter(full)
    return all(
        any(word == other or (len(word) == 1 and other[0] == word) for other in rest)
        for word in given
    )
