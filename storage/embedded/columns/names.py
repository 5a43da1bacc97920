"""The names that the archive knows, over the columns: `core.ports.Names` in the embedded engine.

A name counts for a caller where one of its rows is in the caller's bitmap, the one that retrieval
takes: so a kill, an embargo, an expiry or a missing entitlement holds here as it does for hits.
What was added to the columns since the last question is taken in before the next one; while nobody
asks (no tagger) it costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from core.entities import Entity, KnownName
from core.retrieval import Ids, Marks
from storage.embedded.columns.coded_names import CodedNames
from storage.embedded.columns.facts import Columns, ValueColumn
from storage.embedded.columns.label_rows import LabelRows
from storage.record.facts import LINK_FIELDS
from storage.words.known_names import known_name, same_name, similar_name
from storage.words.names import NameBook, folded_words, key_of

Mask = npt.NDArray[np.bool_]
_KINDS = ("person", "organisation", "place")


class ColumnNames:
    """The names of one column: the book of its spellings, the rows of each, and which of them one
    code makes the same. `storage.words.known_names.SeenNames` of what `allowed` (bool by row) lets
    through; a spelling has the case that the column saw first, as in facets.
    """

    def __init__(self, field: str, column: ValueColumn, links: ValueColumn) -> None:
        self.field = field
        self.book = NameBook(people=field == "person")
        self.allowed: Mask = np.zeros(0, np.bool_)
        self._column = column
        self._rows = LabelRows(column)
        self._coded = CodedNames(column, links)
        self._keys: list[str] = []  # by number

    def catch_up(self) -> None:
        """Takes in what the column got since: links first, so that their names are there too."""
        self._coded.catch_up()
        for number in self._rows.catch_up():
            label = self._column.labels[number]
            self.book.add(number, label)
            self._keys.append(key_of(folded_words(label), label))

    def label(self, number: int) -> str:
        """See `storage.words.known_names.SeenNames`, as the others."""
        return self._column.labels[number]

    def key(self, number: int) -> str:
        """What the spelling folds to."""
        return self._keys[number]

    def is_seen(self, number: int) -> bool:
        """Whether an allowed row has the spelling."""
        return self._rows.has_any(number, self.allowed)

    def count(self, number: int) -> int:
        """How many allowed rows have it."""
        return self._rows.count(number, self.allowed)

    def only_code(self, numbers: Iterable[int]) -> str:
        """The one code that the spellings have."""
        return self._coded.only_code(numbers, self.allowed)

    def coded(self, code: str) -> Sequence[int]:
        """The spellings that have the code."""
        return self._coded.names(code, self.allowed)


class ColumnsNames:
    """The names of all columns. Safe to use from any number of threads."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._kinds = {
            field: ColumnNames(field, columns.values[field], columns.values[LINK_FIELDS[field]])
            for field in _KINDS
        }
        self._lock = threading.Lock()

    def known(self, entities: Sequence[Entity], allowed: Mask) -> tuple[KnownName | None, ...]:
        """See `core.ports.Names`; `allowed` (bool by seq) is what the caller may see."""
        with self._lock:
            for kind in self._kinds.values():
                kind.catch_up()
                kind.allowed = allowed
            return tuple(
                known_name(entity, self._same, self._similar, _KINDS) for entity in entities
            )

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """See `core.ports.Names`."""
        marks = np.zeros((len(ids), len(names)), np.bool_)
        for place, name in enumerate(names):
            marks[:, place] = self._columns.values[name.field].holding(ids, name.spellings)
        return marks

    def _same(self, field: str, text: str) -> KnownName | None:
        return same_name(self._kinds[field], text)

    def _similar(self, field: str, text: str) -> KnownName | None:
        return similar_name(self._kinds[field], text)
