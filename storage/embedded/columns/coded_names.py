"""Finds names of a field that share a code: names that the archive writes in more than one way.

Names with the same code are of one person, organisation or place. Only allowed items link a name
with a code. For a name with several codes ("Georgia") nobody can say which is meant. A code of very
many names is ignored: it is a classification, for example, or a code that one feed gives everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from storage.embedded.columns.facts import ValueColumn
from storage.embedded.columns.label_rows import LabelRows
from storage.record.facts import LINK

Mask = npt.NDArray[np.bool_]
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
