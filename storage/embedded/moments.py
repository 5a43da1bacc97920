"""What a caller sees of an archive's projections at one moment: items, words and vectors."""

from __future__ import annotations

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
from storage.words.analysis import primary_subtag


class Moments:
    """Of `columns` and `projections` as they are when they are asked; nothing here brings them up
    with the record. Safe to use from any number of threads.
    """

    def __init__(self, columns: Columns, projections: Projections) -> None:
        self._columns = columns
        self._projections = projections
        self._masks = AllowedMasks()
        self._known_languages: tuple[int, dict[str, int]] = (0, {})

    def of(self, request: Retrieval) -> Moment:
        """Everything that a search sees."""
        projections, names = self._projections, [query.field for query in request.vectors]
        lacking = {name: projections.projector.lacking(name) for name in names}
        # After that: there may be more by then, which is said to be lacking, and never less.
        fields = {name: projections.fields[name].view() for name in names}
        view = self._columns.view()
        allowed = self._masks.of(view, request.caller.products, request.filters)
        passes = self._masks.is_everything(view, allowed)
        lexical = self.lexical()
        unembedded = {name: count_both(mask, allowed) for name, mask in lacking.items()}
        unindexed = lexical.lacking(allowed)
        return Moment(view, lexical, fields, allowed, passes, unindexed, unembedded)

    def allowed(self, caller: Caller, filters: Node = EVERYTHING) -> Mask:
        """What the caller may see within `filters`, bool by seq."""
        return self._masks.of(self._columns.view(), caller.products, filters)

    def shown(self, ids: Ids, caller: Caller, filters: Node = EVERYTHING) -> Ids:
        """Those of `ids` that the caller may see within `filters`."""
        allowed = self.allowed(caller, filters)
        known = ids[(ids >= 0) & (ids < len(allowed))]
        return known[allowed[known]]

    def lexical(self) -> LexicalReader:
        """The words that are indexed."""
        return self._projections.lexical.reader(self.languages())

    def words(self, caller: Caller) -> tuple[LexicalReader, Seen]:
        """The words, and what of them the caller sees. The index's own frequencies are the caller's
        where it lags nowhere and nothing is kept from them.
        """
        view = self._columns.view()
        allowed = self._masks.of(view, caller.products, EVERYTHING)
        every = self._masks.is_everything(view, allowed)
        lexical = self.lexical()
        return lexical, Seen(allowed, every and lexical.has_only(view.visible))

    def uncovered(self, moment: Moment) -> list[str]:
        """What is to be said of each vector field that does not cover what a search is over."""
        every = int(np.count_nonzero(moment.allowed))
        mend = "`dateline embed` adds them"
        return [
            f"vectors: field {field} lacks {lacking:,} of {every:,} items; {mend}"
            for field, lacking in moment.unembedded.items()
            if lacking
        ]

    def unworded(self, moment: Moment, request: Retrieval) -> str:
        """What is to be said of items that a search by words does not find yet; "" where it finds
        all, or looks for no words.
        """
        if not moment.unindexed or is_fact(request.query) or not request.lexical_depth:
            return ""
        every = int(np.count_nonzero(moment.allowed))
        return f"words: {moment.unindexed:,} of {every:,} items are not found by words yet"

    def languages(self) -> dict[str, int]:
        """The primary language subtags of the archive, with their numbers of versions."""
        size, languages = self._known_languages
        if size != self._columns.size:
            languages = {}
            for label, count in self._columns.values["language"].totals().items():
                subtag = primary_subtag(label)
                languages[subtag] = languages.get(subtag, 0) + count
            self._known_languages = (self._columns.size, languages)
        return languages
