"""Finds stills that look the same: their perceptual hashes (PDQ, 256 bits) differ in few bits.

https://github.com/facebook/ThreatExchange/blob/main/hashing/hashing.pdf
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SAME_PICTURE_BITS = 31  # of 256: the threshold of PDQ's makers
_BYTES = 32


class Looks:
    """Hashes to compare others with, in the order in which they came."""

    def __init__(self, similarities: Sequence[str] = ()) -> None:
        self._rows = np.frombuffer(bytes.fromhex("".join(similarities)), np.uint8)
        self._rows = self._rows.reshape(len(similarities), _BYTES)
        self._count = len(similarities)

    def nearest(self, similarity: str) -> int | None:
        """Return the place of the most similar hash, if it looks the same."""
        if not self._count:
            return None
        apart = np.bitwise_count(self._rows[: self._count] ^ _bits(similarity)).sum(axis=1)
        near = int(apart.argmin())
        return near if apart[near] <= SAME_PICTURE_BITS else None

    def add(self, similarity: str) -> None:
        """Add a hash."""
        if self._count == len(self._rows):
            grown = np.zeros((max(64, 2 * self._count), _BYTES), np.uint8)
            grown[: self._count] = self._rows
            self._rows = grown
        self._rows[self._count] = _bits(similarity)
        self._count += 1


def first_alike(similarities: Sequence[str]) -> tuple[int, ...]:
    """Return, for each, the place of the first that looks the same; its own if it is the first."""
    looks, firsts, found = Looks(), [], []
    for place, similarity in enumerate(similarities):
        near = looks.nearest(similarity)
        if near is None:
            looks.add(similarity)
            firsts.append(place)
        found.append(place if near is None else firsts[near])
    return tuple(found)


def _bits(similarity: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(similarity), np.uint8)
