"""Takes moments of an archive's projections: the items, words and vectors that a caller sees."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from core.callers import Caller
from core.query_tree import EVERYTHING, Node, is_fact
from core.retrieval import Ids, Retrieval
from storage.embedded.allowed import AllowedMasks
from storage.embedded.columns.facts import Columns
from storage.embedded.lexical.reader import LexicalReader
from storage.embedded.lexical.vocabulary import Seen
from storage.embedded.projections import Projections
from storage.embedded.projector import Mask, count_both
from storage.embedded.retrieval import Moment
from storage.record.vector_rows import lacks
from storage.words.analysis import primary_subtag


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
        unembedded = {name: count_both(mask, allowed) for name, mask in lacking.items()}
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
