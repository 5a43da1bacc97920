"""Finds texts by the beginnings of their words, while a person types.

A text matches typed words if it has each of them, in any order. The last one may be the beginning
of a word, because it is still being typed. Words are folded like names (storage/words/names.py):
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
    """Numbered texts by their words. The vocabulary is sorted, so the words with one prefix are a
    slice of it. Texts are never removed. Not thread-safe.
    """

    def __init__(self) -> None:
        self._holders: dict[str, array[int]] = {}  # texts with this word, ascending
        self._openers: dict[str, array[int]] = {}  # texts that begin with this word
        self._lengths: array[int] = array("i")  # how many different words each text has
        self._words: list[str] = []
        self._fresh: list[str] = []

    @property
    def size(self) -> int:
        """The number of texts, which is also the number of the next text."""
        return len(self._lengths)

    def add(self, text: str) -> None:
        """Add the next text."""
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
        """Return the texts that have all of `words`, the last one as a prefix: bool [size]."""
        found = self._marked(self._holders, self._stretch(words[-1]))
        for word in words[:-1]:
            found &= self._marked(self._holders, [word])
        return found

    def beginning(self, words: Sequence[str]) -> Mask:
        """Return the texts that begin with the first of `words`, as a whole word if others follow:
        bool [size].
        """
        first = self._stretch(words[0]) if len(words) == 1 else [words[0]]
        return self._marked(self._openers, first)

    def same(self, words: Sequence[str]) -> Mask:
        """Return the texts that have all of `words` and no others: bool [size]."""
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
        """Return the words that begin with `prefix`."""
        if self._fresh:  # two sorted runs: this is a merge
            self._words += sorted(self._fresh)
            self._words.sort()
            self._fresh.clear()
        start = bisect_left(self._words, prefix)
        return self._words[start : bisect_left(self._words, prefix + _LAST, start)]
