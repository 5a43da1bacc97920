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
from storage.embedded.coded_names import CodedNames
from storage.embedded.columns import LINK_FIELDS, Columns, ValueColumn
from storage.embedded.label_rows import LabelRows
from storage.names import NameBook, folded_words, key_of

Mask = npt.NDArray[np.bool_]
_KINDS = ("person", "organisation", "place")
_KIND_OF = {
    EntityLabel.PER: "person",
    EntityLabel.ORG: "organisation",
    EntityLabel.LOC: "place",
}


class ColumnNames:
    """The names of one column: the book of its spellings, the rows of each, and which of them one
    code makes the same.
    """

    def __init__(self, field: str, column: ValueColumn, links: ValueColumn) -> None:
        self.field = field
        self._column = column
        self._book = NameBook(people=field == "person")
        self._rows = LabelRows(column)
        self._coded = CodedNames(column, links)
        self._keys: list[str] = []  # by number

    def catch_up(self) -> None:
        """Takes in what the column got since: links first, so that their names are there too."""
        self._coded.catch_up()
        for number in self._rows.catch_up():
            label = self._column.labels[number]
            self._book.add(number, label)
            self._keys.append(key_of(folded_words(label), label))

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
        return self._known(name, match, spellings, allowed)

    def similar(self, text: str, allowed: Mask) -> KnownName | None:
        """The one name that `text` is nearly."""
        numbers = self._book.similar(
            text,
            lambda number: self._rows.has_any(number, allowed),
            lambda key: self._coded.only_code(self._book.spellings(key), allowed) or key,
        )
        spellings = self._counted(numbers, allowed)
        if not spellings:
            return None
        return self._known(spellings[0], NameMatch.FUZZY, spellings, allowed)

    def _known(
        self, name: str, match: NameMatch, spellings: tuple[str, ...], allowed: Mask
    ) -> KnownName:
        """The name with its aliases: the commonest of all is what the archive calls it."""
        own = self._column.numbers[name.casefold()]
        keys = self._aliases(self._keys[own], allowed)
        if not keys:
            return KnownName(name, self.field, match, spellings)
        numbers = [number for key in keys for number in self._book.spellings(key)]
        everything = self._counted([*self._book.spellings(self._keys[own]), *numbers], allowed)
        firsts: dict[str, str] = {}
        for spelling in everything:
            firsts.setdefault(self._keys[self._column.numbers[spelling.casefold()]], spelling)
        canonical, *others = firsts.values()
        if canonical in spellings:
            return KnownName(name, self.field, match, everything, tuple(others))
        return KnownName(canonical, self.field, match, everything, tuple(others), read_as=name)

    def _aliases(self, key: str, allowed: Mask) -> tuple[str, ...]:
        """The keys of the names that have the same code and no other one."""
        code = self._coded.only_code(self._book.spellings(key), allowed)
        if not code:
            return ()
        keys = dict.fromkeys(self._keys[number] for number in self._coded.names(code, allowed))
        return tuple(
            other
            for other in keys
            if other != key and self._coded.only_code(self._book.spellings(other), allowed) == code
        )

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
