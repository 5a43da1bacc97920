"""Counts the items with a word that a caller sees, up to a small number; remembers common words.

A word that many more items had a moment ago needs no request. A change of the record hides at most
two items, one in each story that it touches, and the log of changes says how many there were since.
Nothing is kept for long, because items also expire by themselves.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from core.callers import Caller
from core.query_tree import Node, Word
from storage.opensearch.query.statistics import Statistics, total
from storage.opensearch.seen import Clause, all_of, seen_by

_COUNTED = 256  # items with a word are counted up to this number, to know how common it is
_HIDDEN = 2  # items that one change may hide
_KEPT_S = 60.0
_KEPT = 50_000  # words
_Key = tuple[frozenset[str], str, str]  # products, field and word


@dataclass(frozen=True, slots=True)
class Counting:
    """The counting of `words`, up to `few` + 1: the searches `bodies` count those in `asked`."""

    words: tuple[str, ...]
    few: int
    asked: tuple[str, ...]
    bodies: tuple[Clause, ...]
    take_in: Callable[[str, int], None]

    def counts(self, replies: Sequence[dict[str, Any]]) -> dict[str, int] | None:
        """Return in how many items each word is; None if a search failed."""
        if any("error" in reply for reply in replies):
            return None
        found = dict(zip(self.asked, map(total, replies), strict=True))
        for word, count in found.items():
            self.take_in(word, count)
        most = self.few + 1
        return {word: min(most, found.get(word, most)) for word in self.words}


class WordCounts:
    """Counts words by searches; `condition` compiles a node to a query that scores nothing, and
    `generation` returns the change that searches see. Thread-safe.
    """

    def __init__(
        self,
        condition: Callable[[Node], Clause],
        statistics: Statistics,
        generation: Callable[[], int],
    ) -> None:
        self._condition = condition
        self._statistics = statistics
        self._generation = generation
        # By word: how many items have it, as of which change, and until when that is kept.
        self._common: OrderedDict[_Key, tuple[int, int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def counting(
        self, words: Sequence[str], few: int, caller: Caller, now: int, field: str = ""
    ) -> Counting:
        """Return how to count the words in the items that `caller` sees at `now`. Stop words and
        words that are known to be common are not asked for.
        """
        products, generation = frozenset(caller.products), self._generation()
        different = tuple(dict.fromkeys(words))
        with self._lock:
            asked = tuple(
                word
                for word in different
                if not self._statistics.is_common(word)
                and self._least((products, field, word), generation) <= few
            )
        seen, most = seen_by(caller, now), max(few + 1, _COUNTED)
        bodies = tuple(
            {
                "size": 0,
                "track_total_hits": most,
                "query": all_of(self._condition(Word(word, field)), *seen),
            }
            for word in asked
        )

        def take_in(word: str, count: int) -> None:
            self._take_in((products, field, word), count, generation)

        return Counting(different, few, asked, bodies, take_in)

    def _least(self, key: _Key, generation: int) -> int:
        """Return how many items have a word at least. The caller holds the lock."""
        count, at, until = self._common.get(key, (0, 0, 0.0))
        if at > generation or monotonic() > until:  # the index was made again, or time is over
            return 0
        return count - _HIDDEN * (generation - at)

    def _take_in(self, key: _Key, count: int, generation: int) -> None:
        with self._lock:
            self._common[key] = (count, generation, monotonic() + _KEPT_S)
            self._common.move_to_end(key)
            while len(self._common) > _KEPT:
                self._common.popitem(last=False)
