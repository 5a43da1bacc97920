"""The rows of each label of a column, to look up a few labels at a time."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

from storage.embedded.columns.facts import ValueColumn

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
            self._rows.append(array("q"))
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
    numbers = np.frombuffer(rows, np.int64)
    if numbers[-1] >= len(allowed):  # rows ascend; these came after the bitmap
        numbers = numbers[numbers < len(allowed)]
    return bool(allowed[numbers].any())
