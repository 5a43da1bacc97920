"""Takes moments of an archive's projections: the items, words and vectors that a caller sees.

The bitmaps of what callers may see within filters are kept until the archive changes, 256 MiB of
them at most.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import TypeVar

import numpy as np

from core.callers import Caller
from core.languages import primary_subtag
from core.query_tree import EVERYTHING, Node, is_fact
from core.retrieval import Ids, Retrieval
from storage.embedded.columns.facts import Columns, View
from storage.embedded.lexical.reader import LexicalReader
from storage.embedded.lexical.vocabulary import Seen
from storage.embedded.projections import Projections
from storage.embedded.projector import Mask, count_both
from storage.embedded.retrieval import Moment
from storage.record.vector_rows import lacks

Key = TypeVar("Key")
Value = TypeVar("Value")
_FEWEST, _MOST, _MOST_BYTES = 4, 64, 256 * 2**20  # bitmaps that are kept


class AllowedMasks:
    """Bitmaps by products and filters, for the newest view. Bitmaps of older views are dropped,
    because each takes a byte per version. Thread-safe.
    """

    def __init__(self) -> None:
        self._generation = 0
        self._masks: dict[tuple[frozenset[str], Node], Mask] = {}
        self._whole: dict[int, tuple[Mask, Mask, bool]] = {}
        self._counts: dict[tuple[int, int], tuple[Mask, Mask, int]] = {}
        self._lock = threading.Lock()

    def of(self, view: View, products: frozenset[str], filters: Node) -> Mask:
        """Return what `products` may see within `filters`: bool by seq."""
        key = (products, filters)
        with self._lock:
            self._follow(view)
            mask = self._masks.get(key) if view.generation == self._generation else None
        if mask is None or len(mask) != len(view.visible):
            mask = view.allowed(products, filters)
            self._keep(view, self._masks, key, mask)
        return mask

    def is_everything(self, view: View, mask: Mask) -> bool:
        """Return whether a bitmap from `of` includes all visible versions."""
        known = self._whole.get(id(mask))
        if known is not None and known[0] is mask and known[1] is view.visible:
            return known[2]
        whole = bool(np.array_equal(mask, view.visible))
        self._keep(view, self._whole, id(mask), (mask, view.visible, whole))
        return whole

    def count(self, view: View, mask: Mask, some: Mask) -> int:
        """Return how many versions are in a bitmap from `of` and in `some` (bool by seq, never
        changed). It is kept, so that not every search reads a bitmap of millions.
        """
        key = (id(mask), id(some))  # while a count is kept both are, so no others have these ids
        known = self._counts.get(key)
        if known is not None:
            return known[2]
        found = count_both(some, mask)
        self._keep(view, self._counts, key, (mask, some, found))
        return found

    def _follow(self, view: View) -> None:
        if view.generation > self._generation:
            self._generation = view.generation
            self._clear()

    def _keep(self, view: View, kept: dict[Key, Value], key: Key, value: Value) -> None:
        """Keep what is of the newest view; drop everything first if it is too much."""
        most = max(_FEWEST, min(_MOST, _MOST_BYTES // max(1, len(view.visible))))
        with self._lock:
            if view.generation == self._generation:
                if len(kept) >= most:
                    self._clear()
                kept[key] = value

    def _clear(self) -> None:
        self._masks.clear()
        self._whole.clear()
        self._counts.clear()


class Moments:
    """Moments of `columns` and `projections` as they are; nothing here brings these up to date with
    the record. Thread-safe.
    """

    def __init__(self, columns: Columns, projections: Projections) -> None:
        self._columns = columns
        self._projections = projections
        self._masks = AllowedMasks()
        self._known_languages: tuple[int, dict[str, int]] = (0, {})

    def of(self, request: Retrieval) -> Moment:
        """Return everything that a search sees."""
        projections, names = self._projections, [query.field for query in request.vectors]
        lacking = {name: projections.projector.lacking(name) for name in names}
        # Taken after `lacking`: a field may have more vectors than `lacking` says, never fewer.
        fields = {name: projections.fields[name].view() for name in names}
        view = self._columns.view()
        allowed = self._masks.of(view, request.caller.products, request.filters)
        passes = self._masks.is_everything(view, allowed)
        lexical = self.lexical()
        unembedded = {
            name: self._masks.count(view, allowed, mask) for name, mask in lacking.items()
        }
        unindexed = lexical.lacking(allowed)
        return Moment(view, lexical, fields, allowed, passes, unindexed, unembedded)

    def allowed(self, caller: Caller, filters: Node = EVERYTHING) -> Mask:
        """Return what the caller may see within `filters`: bool by seq."""
        return self._masks.of(self._columns.view(), caller.products, filters)

    def shown(self, ids: Ids, caller: Caller, filters: Node = EVERYTHING) -> Ids:
        """Return the ids that the caller may see within `filters`, in the given order."""
        allowed = self.allowed(caller, filters)
        known = ids[(ids >= 0) & (ids < len(allowed))]
        return known[allowed[known]]

    def lexical(self) -> LexicalReader:
        """Return the reader of the indexed words."""
        return self._projections.lexical.reader(self.languages())

    def words(self, caller: Caller) -> tuple[LexicalReader, Seen]:
        """Return the reader of the indexed words, and what the caller sees. The index's own
        frequencies hold for the caller if the index is up to date and the caller sees everything.
        """
        view = self._columns.view()
        allowed = self._masks.of(view, caller.products, EVERYTHING)
        every = self._masks.is_everything(view, allowed)
        lexical = self.lexical()
        return lexical, Seen(allowed, every and lexical.has_only(view.visible))

    def uncovered(self, moment: Moment, left_out: Collection[str] = ()) -> list[str]:
        """Return a flag for each vector field that lacks items of the search; those `left_out` take
        no part in it.
        """
        every = int(np.count_nonzero(moment.allowed))
        return [
            lacks(field, lacking, every, left_out=field in left_out)
            for field, lacking in moment.unembedded.items()
            if lacking
        ]

    def unworded(self, moment: Moment, request: Retrieval) -> str:
        """Return a flag for items that a search by words does not find yet; "" if it finds all, or
        searches for no words.
        """
        if not moment.unindexed or is_fact(request.query) or not request.lexical_depth:
            return ""
        every = int(np.count_nonzero(moment.allowed))
        return f"words: {moment.unindexed:,} of {every:,} items are not found by words yet"

    def languages(self) -> dict[str, int]:
        """Return the primary language subtags of the archive, with their numbers of versions."""
        size, languages = self._known_languages
        if size != self._columns.size:
            languages = {}
            for label, count in self._columns.values["language"].totals().items():
                subtag = primary_subtag(label)
                languages[subtag] = languages.get(subtag, 0) + count
            self._known_languages = (self._columns.size, languages)
        return languages
