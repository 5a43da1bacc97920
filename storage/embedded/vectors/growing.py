"""Arrays that grow at the end while others read them: written rows never change."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


class GrowingArray(Generic[Scalar]):
    """A numpy array [n, ...] with amortised appends. `view()` stays valid while it grows: a larger
    buffer is a copy, and rows below n are never written again.
    """

    def __init__(self, dtype: npt.DTypeLike, width: int | None = None) -> None:
        shape = (64,) if width is None else (64, width)
        self._buffer: npt.NDArray[Any] = np.zeros(shape, dtype)
        self.size = 0

    def append(self, rows: npt.ArrayLike) -> None:
        """Add `rows` [k, ...] at the end."""
        fresh = np.asarray(rows, self._buffer.dtype)
        wanted = self.size + len(fresh)
        if wanted > len(self._buffer):
            capacity = max(wanted, 2 * len(self._buffer))
            larger = np.zeros((capacity, *self._buffer.shape[1:]), self._buffer.dtype)
            larger[: self.size] = self._buffer[: self.size]
            self._buffer = larger
        self._buffer[self.size : wanted] = fresh
        self.size = wanted

    def view(self) -> npt.NDArray[Scalar]:
        """Return the rows so far, without a copy and read-only."""
        view = self._buffer[: self.size]
        view.flags.writeable = False
        return view
