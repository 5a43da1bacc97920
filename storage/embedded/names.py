"""The names that the archive knows, over the columns: `core.ports.Names` in the embedded engine.

A name counts for a caller where one of its rows is in the caller's bitmap, the one that retrieval
takes: so a kill, an embargo, an expiry or a missing entitlement holds here as it does for hits.
What was added to the columns since the last question is taken in before the next one; while nobody
asks (no tagger) it costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.entities import Entity, EntityLabel, KnownName, NameMatch
from core.retrieval import Ids, Marks
from storage.embedded.columns import Columns, ValueColumn
from storage.embedded.label_rows import LabelRows
from storage.names import NameBook

Mask = npt.NDArray[np.bool_]
_KINDS = ("person", "organisation", "place")
_KIND_OF = {
    EntityLabel.PER: "person",
    EntityLabel.ORG: "organisation",
    EntityLabel.LOC: "place",
}


class ColumnNames:
    """The names of one column: the book of its spellings and the rows of each."""

    def __init__(self, field: str, column: ValueColumn) -> None:
        self.field = field
        self._column = column
        self._book = NameBook(people=field == "person")
        self._rows = LabelRows(column)

    def catch_up(self) -> None:
        """Takes in what the column got since."""
        for number in self._rows.catch_up():
            self._book.add(number, self._column.labels[number])

    def same(self, text: str, allowed: Mask) -> KnownName | None:
        """The name that `text` is, as it is written or but for what folding takes away; of several
        spellings the one that differs in case only, else the commonest. A spelling has the case
        that the column saw first, as in facets.
        """
        spellings = self._counted(self._book.same(text), allowed)
        if not spellings:
            return None
        folded = text.casefold()
        name = next((one for one in spellings if one.casefold() == folded), spellings[0])
        match = NameMatch.EXACT if name == text else NameMatch.FOLDED
        return KnownName(name, self.field, match, spellings)

    def similar(self, text: str, allowed: Mask) -> KnownName | None:
        """The one name that `text` is nearly."""
        numbers = self._book.similar(text, lambda number: self._rows.has_any(number, allowed))
        spellings = self._counted(numbers, allowed)
        if not spellings:
            return None
        return KnownName(spellings[0], self.field, NameMatch.FUZZY, spellings)

    def _counted(self, numbers: Sequence[int], allowed: Mask) -> tuple[str, ...]:
        """The spellings that have an allowed row, the commonest first. Equally common ones go by
        the alphabet: in the order of writing, hidden items would have a say.
        """
        labels = self._column.labels
        shown = [number for number in numbers if self._rows.has_any(number, allowed)]
        if len(shown) > 1:
            shown.sort(key=lambda n: (-self._rows.count(n, allowed), labels[n].casefold()))
        return tuple(labels[number] for number in shown)


class ColumnsNames:
    """The names of all columns. Safe to use from any number of threads."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._kinds = {field: ColumnNames(field, columns.values[field]) for field in _KINDS}
        self._lock = threading.Lock()

    def known(self, entities: Sequence[Entity], allowed: Mask) -> tuple[KnownName | None, ...]:
        """See `core.ports.Names`; `allowed` (bool by seq) is what the caller may see."""
        with self._lock:
            for kind in self._kinds.values():
                kind.catch_up()
            return tuple(self._known(entity, allowed) for entity in entities)

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """See `core.ports.Names`."""
        marks = np.zeros((len(ids), len(names)), np.bool_)
        for place, name in enumerate(names):
            marks[:, place] = self._columns.values[name.field].holding(ids, name.spellings)
        return marks

    def _known(self, entity: Entity, allowed: Mask) -> KnownName | None:
        """The name's own kind first; a tagger that takes a town for a person is set right by a name
        that is the same, but never by one that is only similar.
        """
        own = _KIND_OF.get(entity.label)
        kinds = sorted(self._kinds.values(), key=lambda kind: kind.field != own)
        for kind in kinds:
            if found := kind.same(entity.text, allowed):
                return found
        return None if own is None else self._kinds[own].similar(entity.text, allowed)
