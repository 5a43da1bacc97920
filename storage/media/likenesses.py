"""Finds pictures that look nearly the same: PDQ hashes in a table, and a flat scan over their bits.

PDQ hashes have 256 bits. Hashes of unrelated pictures differ in about 128; the makers' threshold
for the same picture is 31 (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ
Image-Hashing Algorithm", 2019). A scan of a million takes some milliseconds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import faiss
import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from storage.databases import Database

_BITS = 256
_AT_ONCE = 5_000  # rows read at a time
_TABLES = sa.MetaData()
_SEEN = sa.Table(
    "likenesses",
    _TABLES,
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("space", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("kept", sa.String(64), nullable=False),
    sa.UniqueConstraint("space", "hash"),
    sa.Index("likenesses_by_space", "space", "n"),
)


class StoredLikenesses:
    """`core.ports.work.Likenesses` in a database. Before each search it reads what other processes
    added. Thread-safe.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)
        self._lock = threading.Lock()
        self._spaces: dict[str, _Space] = {}

    def nearest(self, space: str, hashes: Sequence[str], within: int) -> tuple[str | None, ...]:
        """Return, for each hash, the value of the nearest known hash within the given number of
        bits, or None.
        """
        if not hashes:
            return ()
        with self._lock:
            known = self._spaces.setdefault(space, _Space())
            self._read_new(space, known)
            return known.nearest(_bits(hashes), within)

    def add(self, space: str, kept: Mapping[str, str]) -> None:
        """Add hashes and their values; known hashes keep theirs."""
        if not kept:
            return
        rows = [{"space": space, "hash": hash_, "kept": what} for hash_, what in kept.items()]
        statement = self._database.insert(_SEEN).on_conflict_do_nothing()
        self._database.run(lambda connection: connection.execute(statement, rows))

    def _read_new(self, space: str, known: _Space) -> None:
        while True:
            query = (
                sa.select(_SEEN.c.n, _SEEN.c.hash, _SEEN.c.kept)
                .where(_SEEN.c.space == space, _SEEN.c.n > known.last)
                .order_by(_SEEN.c.n)
                .limit(_AT_ONCE)
            )
            rows = self._database.run(lambda c, q=query: c.execute(q).all())  # type: ignore[misc]
            if rows:
                known.add(_bits([row.hash for row in rows]), [row.kept for row in rows])
                known.last = rows[-1].n
            if len(rows) < _AT_ONCE:
                return


class _Space:
    """The hashes of one space in memory, 32 bytes each, and the value that is kept for each."""

    def __init__(self) -> None:
        self.last = 0
        self._index = faiss.IndexBinaryFlat(_BITS)
        self._kept: list[str] = []

    def add(self, bits: npt.NDArray[np.uint8], kept: Sequence[str]) -> None:
        self._index.add(bits)
        self._kept += kept

    def nearest(self, bits: npt.NDArray[np.uint8], within: int) -> tuple[str | None, ...]:
        if not self._kept:
            return (None,) * len(bits)
        distances, rows = self._index.search(bits, 1)
        return tuple(
            self._kept[row] if distance <= within else None
            for distance, row in zip(distances[:, 0].tolist(), rows[:, 0].tolist(), strict=True)
        )


def _bits(hashes: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return hexadecimal hashes as uint8 [n, 32]."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), _BITS // 8)
