"""Which names of a field share a code: what the archive writes in more than one way.

A code says which names are one person's, organisation's or place's, as far as items that are looked
at write both: an item that nobody may see links nothing. Where a name stands under several codes
("Georgia") it can't be told which of them is meant, and a code of very many names is none (a
classification, say, or a code that one feed gives everybody).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from storage.embedded.columns.facts import ValueColumn
from storage.embedded.columns.label_rows import LabelRows
from storage.record.facts import LINK

Mask = npt.NDArray[np.bool_]
MOST_NAMES = 16  # that one code may have, of those that are seen
_MOST_RECORDED = 1000  # beyond which a code's names are not looked at one by one


class CodedNames:
    """The codes of a field's names, over a column of both (`columns.linked`). Takes in what the
    column got since when told to. Not safe to use from several threads at once.
    """

    def __init__(self, names: ValueColumn, links: ValueColumn) -> None:
        self._names = names
        self._links = links
        self._rows = LabelRows(links)
        self._pairs: list[tuple[str, int]] = []  # code and name's number, by link
        self._of_name: dict[int, list[int]] = {}
        self._of_code: dict[str, list[int]] = {}

    def catch_up(self) -> None:
        """Takes in what the column got since: never more than the column of names has by now."""
        for link in self._rows.catch_up():
            code, _, name = self._links.labels[link].casefold().rpartition(LINK)
            number = self._names.numbers.get(name, -1)  # -1: what was no name and code after all
            self._pairs.append((code, number))
            if number >= 0:
                self._of_name.setdefault(number, []).append(link)
                self._of_code.setdefault(code, []).append(link)

    def only_code(self, numbers: Iterable[int], allowed: Mask) -> str:
        """The one code that these spellings have in allowed rows (bool by row); "" where they have
        none or several, and where it is no name's own.
        """
        links = [link for number in numbers for link in self._of_name.get(number, ())]
        codes = {self._pairs[link][0] for link in links if self._rows.has_any(link, allowed)}
        if len(codes) != 1:
            return ""
        code = codes.pop()
        return code if 0 < len(self.names(code, allowed)) <= MOST_NAMES else ""

    def names(self, code: str, allowed: Mask) -> Sequence[int]:
        """The spellings that have the code in allowed rows; none of a code of too many."""
        links = self._of_code.get(code, [])
        if len(links) > _MOST_RECORDED:
            return ()
        return [self._pairs[link][1] for link in links if self._rows.has_any(link, allowed)]
