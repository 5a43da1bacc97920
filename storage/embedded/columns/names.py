"""Finds the archive's names in the columns: `core.ports.engine.Names` in the embedded engine.

A name counts for a caller if one of its rows is in the caller's bitmap, which retrieval also uses.
So a kill, an embargo, an expiry or a missing product hides names as it hides hits. Each question
first reads what was added to the columns; without questions (no tagger) this costs nothing.

An archive may write one name in several ways, with the same code. Names with the same code are of
one person, organisation or place. Only allowed items link a name with a code. For a name with
several codes ("Georgia") nobody can say which is meant. A code of very many names is ignored: it is
a classification, for example, or a code that one feed gives everybody.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from core.entities import Entity, KnownName
from core.retrieval import Ids, Marks
from storage.embedded.columns.facts import Columns, ValueColumn
from storage.record.facts import LINK, LINK_FIELDS
from storage.words.known_names import known_name, same_name, similar_name
from storage.words.names import NameBook, folded_words, key_of

Mask = npt.NDArray[np.bool_]
_RECENT = 64  # the newest rows of a label, which are read first


class LabelRows:
    """Rows by label number, ascending; `catch_up` reads new ones. Not thread-safe."""

    def __init__(self, column: ValueColumn) -> None:
        self._column = column
        self._rows: list[array[int]] = []
        self._taken = 0  # how many of the column's pairs of code and row were read

    def catch_up(self) -> range:
        """Read what was added to the column; return the numbers of new labels."""
        known = len(self._rows)
        codes, rows = self._column.pairs(self._taken)
        if not len(rows):
            return range(known, known)
        for _ in range(known, int(codes.max()) + 1):
            self._rows.append(array("i"))
        order = np.argsort(codes, kind="stable")
        found, starts = np.unique(codes[order], return_index=True)
        for code, part in zip(found.tolist(), np.split(rows[order], starts[1:]), strict=True):
            self._rows[code].frombytes(part.tobytes())
        self._taken += len(rows)
        return range(known, len(self._rows))

    def has_any(self, number: int, allowed: Mask) -> bool:
        """Return whether a row of the label is allowed (bool by row)."""
        rows = self._rows[number]
        return _any(rows[-_RECENT:], allowed) or _any(rows[:-_RECENT], allowed)

    def count(self, number: int, allowed: Mask) -> int:
        """Return how many rows of the label are allowed."""
        return int(np.count_nonzero(allowed[self._before(number, len(allowed))]))

    def newest(self, number: int, allowed: Mask) -> int:
        """Return the last allowed row of the label, -1 if there is none."""
        last = self._rows[number][-1]
        if last < len(allowed) and allowed[last]:
            return last
        rows = self._before(number, len(allowed))
        return int(rows[allowed[rows]].max(initial=-1))

    def _before(self, number: int, size: int) -> npt.NDArray[np.int64]:
        """Return the label's rows below `size`; others came after the bitmap of this size."""
        rows = np.array(self._rows[number], np.int64)
        return rows[rows < size]


def _any(rows: array[int], allowed: Mask) -> bool:
    if not rows:
        return False
    numbers = np.frombuffer(rows, np.int32)
    if numbers[-1] >= len(allowed):  # rows ascend; these came after the bitmap
        numbers = numbers[numbers < len(allowed)]
    return bool(allowed[numbers].any())


MOST_NAMES = 16  # the most visible names that one code may have
_MOST_RECORDED = 1000  # a code with more names is ignored without reading them


class CodedNames:
    """The codes of a field's names, from a column of links between both. `catch_up` reads what was
    added to the column. Not thread-safe.
    """

    def __init__(self, names: ValueColumn, links: ValueColumn) -> None:
        self._names = names
        self._links = links
        self._rows = LabelRows(links)
        self._pairs: list[tuple[str, int]] = []  # code and name's number, by link
        self._of_name: dict[int, list[int]] = {}
        self._of_code: dict[str, list[int]] = {}

    def catch_up(self) -> None:
        """Read the links that were added since; the column of names always has their names."""
        for link in self._rows.catch_up():
            code, _, name = self._links.labels[link].casefold().rpartition(LINK)
            number = self._names.numbers.get(name, -1)  # -1: not a link of a name and a code
            self._pairs.append((code, number))
            if number >= 0:
                self._of_name.setdefault(number, []).append(link)
                self._of_code.setdefault(code, []).append(link)

    def only_code(self, numbers: Iterable[int], allowed: Mask) -> str:
        """Return the only code that these spellings have in allowed rows (bool by row); "" if they
        have none or several, or if too many names have the code.
        """
        links = [link for number in numbers for link in self._of_name.get(number, ())]
        codes = {self._pairs[link][0] for link in links if self._rows.has_any(link, allowed)}
        if len(codes) != 1:
            return ""
        code = codes.pop()
        return code if 0 < len(self.names(code, allowed)) <= MOST_NAMES else ""

    def names(self, code: str, allowed: Mask) -> Sequence[int]:
        """Return the spellings with the code in allowed rows; none if too many have it."""
        links = self._of_code.get(code, [])
        if len(links) > _MOST_RECORDED:
            return ()
        return [self._pairs[link][1] for link in links if self._rows.has_any(link, allowed)]


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
