"""Completions of typed text: `core.ports.engine.Suggestions` in the embedded engine.

Names and subjects are labels of columns. The newest headlines are read from the record, and make
one more column. All headlines would take more than a gigabyte of memory for each million, in
each process, and a person who types a headline means a recent one.

A label's count is of the rows in the caller's bitmap, which retrieval also uses. So a kill, an
embargo, an expiry or a missing product hides labels as it hides hits. Counts are kept for each set
of product codes, and only differences of the bitmap change them: a keystroke reads the words with
this beginning, never the whole archive. Each question first reads what was added since the last
one; without questions this costs nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from core.retrieval import Suggestion, SuggestionKind
from storage.embedded.columns.facts import Columns, ValueColumn
from storage.embedded.columns.names import LabelRows
from storage.words.names import plain_words
from storage.words.prefixes import PrefixIndex

Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)
Ranked = tuple[bool, int, bool]  # exact, count, at the beginning
ReadHeadlines = Callable[[int, int], Iterable[tuple[int, str]]]
SHORTEST_OF_HEADLINE = 2  # letters: one letter begins a tenth of all headlines
FEWEST_HEADLINES = 50_000  # ten days of a large agency and more; twice as many take 130 MB
_KEPT_CALLERS = 32


class VisibleCounts:
    """The number of allowed rows of each label of some columns."""

    def __init__(self, columns: Sequence[ValueColumn]) -> None:
        self._columns = columns
        self._counts: list[Counts] = [np.zeros(0, np.int64) for _ in columns]
        self._allowed: Mask = np.zeros(0, np.bool_)

    def follow(self, allowed: Mask) -> None:
        """Update the counts to `allowed` (bool by row): add rows that are newly allowed, and
        subtract rows that no longer are.
        """
        if allowed is self._allowed:
            return
        size = max(len(allowed), len(self._allowed))
        before, now = _padded(self._allowed, size), _padded(allowed, size)
        fresh, gone = np.flatnonzero(now & ~before), np.flatnonzero(before & ~now)
        for place, column in enumerate(self._columns):
            counts = _padded(self._counts[place], len(column.labels))
            np.add.at(counts, column.codes_of(fresh), 1)
            np.subtract.at(counts, column.codes_of(gone), 1)
            self._counts[place] = counts
        self._allowed = allowed

    def of(self, place: int, size: int) -> Counts:
        """Return the counts by label of the column at `place`: int64 [size]."""
        return _padded(self._counts[place], size)[:size]


class CallersCounts:
    """The counts of some columns for each set of product codes that asked lately."""

    def __init__(self, columns: Sequence[ValueColumn]) -> None:
        self._columns = columns
        self._counts: OrderedDict[frozenset[str], VisibleCounts] = OrderedDict()

    def of(self, products: frozenset[str]) -> VisibleCounts:
        """Return the counts for these products, as they were followed last."""
        counts = self._counts.pop(products, None) or VisibleCounts(self._columns)
        self._counts[products] = counts
        while len(self._counts) > _KEPT_CALLERS:
            self._counts.popitem(last=False)
        return counts


class LabelSuggestions:
    """The labels of one column, found by the words in them."""

    def __init__(self, kind: SuggestionKind, column: ValueColumn) -> None:
        self.kind = kind
        self.column = column
        self._index = PrefixIndex()
        self._rows = LabelRows(column) if kind is SuggestionKind.HEADLINE else None

    def catch_up(self) -> None:
        """Read what was added to the column."""
        for number in range(self._index.size, len(self.column.labels)):
            self._index.add(self.column.labels[number])
        if self._rows is not None:
            self._rows.catch_up()

    @property
    def size(self) -> int:
        """The number of labels that were read."""
        return self._index.size

    def best(
        self, words: Sequence[str], limit: int, counts: Counts, allowed: Mask
    ) -> list[tuple[Ranked, Suggestion]]:
        """Return the `limit` best labels that have `words` and a count, best first. Ties: the
        newest headline first, other labels alphabetically, because by the order of writing hidden
        items would influence the result.
        """
        if self._rows is not None and sum(map(len, words)) < SHORTEST_OF_HEADLINE:
            return []
        numbers = np.flatnonzero(self._index.matching(words) & (counts > 0))
        if not len(numbers):
            return []
        exact = self._index.same(words)[numbers]
        begins = self._index.beginning(words)[numbers]
        held = counts[numbers]
        order = np.lexsort((~begins, -held, ~exact))
        if len(order) > limit:  # keep all labels that tie with the last of these
            last = order[limit - 1]
            tied = (exact == exact[last]) & (held == held[last]) & (begins == begins[last])
            order = order[: max(limit, int(np.flatnonzero(tied[order])[-1]) + 1)]
        ranked = [
            ((bool(exact[at]), int(held[at]), bool(begins[at])), int(numbers[at])) for at in order
        ]
        ranked.sort(key=lambda pair: (_worse(pair[0]), self._tie(pair[1], allowed)))
        return [
            (rank, Suggestion(self.column.labels[number], self.kind, rank[1]))
            for rank, number in ranked[:limit]
        ]

    def _tie(self, number: int, allowed: Mask) -> tuple[int, str]:
        if self._rows is not None:
            return -self._rows.newest(number, allowed), ""
        return 0, self.column.labels[number].casefold()


class RecentHeadlines:
    """The headlines of the newest versions, `fewest` to twice as many: from a multiple of `fewest`
    on, so that all processes have the same ones. Row numbers count from `_first`.
    """

    def __init__(self, headlines: ReadHeadlines, fewest: int) -> None:
        self._read = headlines
        self._fewest = fewest
        self._start(0)

    def _start(self, first: int) -> None:
        self._first = self._taken = first
        self._column = ValueColumn()
        self._labels = LabelSuggestions(SuggestionKind.HEADLINE, self._column)
        self._counts = CallersCounts([self._column])

    def catch_up(self, size: int) -> None:
        """Read the headlines of the versions below `size`."""
        first = max(0, size // self._fewest - 1) * self._fewest
        if first > self._first:
            self._start(first)
        if size > self._taken:
            rows = list(self._read(self._taken, size))
            if not rows or rows[-1][0] != size - 1:
                rows.append((size - 1, ""))  # so that every row below `size` has a place
            numbers = [seq - self._first for seq, _ in rows]
            self._column.extend(numbers, [[text] for _, text in rows])
            self._taken = size
        self._labels.catch_up()

    def best(
        self, words: Sequence[str], limit: int, products: frozenset[str], allowed: Mask
    ) -> list[tuple[Ranked, Suggestion]]:
        """Return the `limit` best headlines, as `LabelSuggestions.best` does."""
        recent = allowed[self._first :]
        counts = self._counts.of(products)
        counts.follow(recent)
        return self._labels.best(words, limit, counts.of(0, self._labels.size), recent)


class ColumnsSuggestions:
    """Completions from all columns. `headlines` reads the headlines of the versions from one seq up
    to another, in order. Thread-safe.
    """

    def __init__(
        self, columns: Columns, headlines: ReadHeadlines, fewest: int = FEWEST_HEADLINES
    ) -> None:
        self._kinds = [
            LabelSuggestions(kind, columns.values[kind.value])
            for kind in SuggestionKind
            if kind is not SuggestionKind.HEADLINE
        ]
        self._counts = CallersCounts([kind.column for kind in self._kinds])
        self._headlines = RecentHeadlines(headlines, fewest)
        self._lock = threading.Lock()

    def suggest(
        self, text: str, limit: int, products: frozenset[str], allowed: Mask
    ) -> tuple[Suggestion, ...]:
        """Return the best completions of `text`; `allowed` (bool by seq) is what a caller with
        `products` may see. An empty text finds nothing, but reads what was added.
        """
        with self._lock:
            for kind in self._kinds:
                kind.catch_up()
            self._headlines.catch_up(len(allowed))
            words = plain_words(text)
            if not words or limit < 1:
                return ()
            counts = self._counts.of(products)
            counts.follow(allowed)
            found = [
                one
                for place, kind in enumerate(self._kinds)
                for one in kind.best(words, limit, counts.of(place, kind.size), allowed)
            ]
            found += self._headlines.best(words, limit, products, allowed)
        found.sort(key=lambda pair: _worse(pair[0]))  # ties stay in the order of their kinds
        return tuple(suggestion for _, suggestion in found[:limit])


def _worse(rank: Ranked) -> Ranked:
    """Return a sort key that puts the best first."""
    exact, count, begins = rank
    return not exact, -count, not begins


def _padded(values: npt.NDArray[Scalar], size: int) -> npt.NDArray[Scalar]:
    """Return `values`, padded with zeros up to `size`."""
    if len(values) >= size:
        return values
    longer = np.zeros(size, values.dtype)
    longer[: len(values)] = values
    return longer
