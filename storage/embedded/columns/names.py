"""Finds the archive's names in the columns: `core.ports.Names` in the embedded engine.

A name counts for a caller if one of its rows is in the caller's bitmap, which retrieval also uses.
So a kill, an embargo, an expiry or a missing product hides names as it hides hits. Each question
first reads what was added to the columns; without questions (no tagger) this costs nothing.
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
    """The names of one column: its spellings, the rows of each, and the codes that names share.
    Implements `storage.words.known_names.SeenNames` for the rows in `allowed` (bool by row). A
    spelling has the case that the column got first, as in facets.
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
        """Read what was added to the columns: links first, so that their names are there too."""
        self._coded.catch_up()
        for number in self._rows.catch_up():
            label = self._column.labels[number]
            self.book.add(number, label)
            self._keys.append(key_of(folded_words(label), label))

    def label(self, number: int) -> str:
        """Return the spelling as written."""
        return self._column.labels[number]

    def key(self, number: int) -> str:
        """Return the folded form of the spelling."""
        return self._keys[number]

    def is_seen(self, number: int) -> bool:
        """Return whether an allowed row has the spelling."""
        return self._rows.has_any(number, self.allowed)

    def count(self, number: int) -> int:
        """Return how many allowed rows have the spelling."""
        return self._rows.count(number, self.allowed)

    def only_code(self, numbers: Iterable[int]) -> str:
        """Return the only code of the spellings, or ""."""
        return self._coded.only_code(numbers, self.allowed)

    def coded(self, code: str) -> Sequence[int]:
        """Return the spellings that have the code."""
        return self._coded.names(code, self.allowed)


class ColumnsNames:
    """The names of all columns. Thread-safe."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._kinds = {
            field: ColumnNames(field, columns.values[field], columns.values[LINK_FIELDS[field]])
            for field in _KINDS
        }
        self._lock = threading.Lock()

    def known(self, entities: Sequence[Entity], allowed: Mask) -> tuple[KnownName | None, ...]:
        """Return the archive's name for each entity; `allowed` (bool by seq) is what the caller may
        see.
        """
        with self._lock:
            for kind in self._kinds.values():
                kind.catch_up()
                kind.allowed = allowed
            return tuple(
                known_name(entity, self._same, self._similar, _KINDS) for entity in entities
            )

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """Return which versions have which name."""
        marks = np.zeros((len(ids), len(names)), np.bool_)
        for place, name in enumerate(names):
            marks[:, place] = self._columns.values[name.field].holding(ids, name.spellings)
        return marks

    def _same(self, field: str, text: str) -> KnownName | None:
        return same_name(self._kinds[field], text)

    def _similar(self, field: str, text: str) -> KnownName | None:
        return similar_name(self._kinds[field], text)
