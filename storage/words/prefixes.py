"""Texts found again by the beginnings of their words, as they are being typed.

A text matches typed words if it has each of them, in any order; the last one may be the beginning
of a word, for it is still being typed. Words are folded as names are (storage/words/names.py):
case, accents and apostrophes make no difference.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from storage.words.names import plain_words

Mask = npt.NDArray[np.bool_]
_LAST = "\U0010ffff"  # sorts behind every continuation of a prefix


class PrefixIndex:
    """Numbered texts by their words. The vocabulary is kept sorted, so that a prefix is a stretch
    of it; nothing is ever taken out. Not safe to use from several threads at once.
    """

    def __init__(self) -> None:
        self._holders: dict[str, array[int]] = {}  # texts with this word, ascending
        self._openers: dict[str, array[int]] = {}  # texts that begin with this word
        self._lengths: array[int] = array("i")  # how many different words each text has
        self._words: list[str] = []
        self._fresh: list[str] = []

    @property
    def size(self) -> int:
        """How many texts there are; the next one gets this number."""
        return len(self._lengths)

    def add(self, text: str) -> None:
        """Takes the next text in."""
        words = plain_words(text)
        number = self.size
        for word in set(words):
            holders = self._holders.get(word)
            if holders is None:
                holders = self._holders[word] = array("i")
                self._fresh.append(word)
            holders.append(number)
        if words:
            self._openers.setdefault(words[0], array("i")).append(number)
        self._lengths.append(len(set(words)))

    def matching(self, words: Sequence[str]) -> Mask:
        """Bool [size]: texts that have all of `words`, the last one as a beginning."""
        found = self._marked(self._holders, self._stretch(words[-1]))
        for word in words[:-1]:
            found &= self._marked(self._holders, [word])
        return found

    def beginning(self, words: Sequence[str]) -> Mask:
        """Bool [size]: texts that begin with the first of `words`; whole, where others follow."""
        first = self._stretch(words[0]) if len(words) == 1 else [words[0]]
        return self._marked(self._openers, first)

    def same(self, words: Sequence[str]) -> Mask:
        """Bool [size]: texts that have all of `words` and no other."""
        found: Mask = np.frombuffer(self._lengths, np.int32) == len(set(words))
        for word in set(words):
            found &= self._marked(self._holders, [word])
        return found

    def _marked(self, lists: dict[str, array[int]], words: Sequence[str]) -> Mask:
        marks = np.zeros(self.size, np.bool_)
        numbers = b"".join(lists[word] for word in words if word in lists)
        marks[np.frombuffer(numbers, np.int32)] = True
        return marks

    def _stretch(self, prefix: str) -> list[str]:
        """The words that begin so."""
        if self._fresh:  # two sorted runs: this is a merge
            self._words += sorted(self._fresh)
            self._words.sort()
            self._fresh.clear()
        start = bisect_left(self._words, prefix)
        return self._words[start : bisect_left(self._words, prefix + _LAST, start)]
