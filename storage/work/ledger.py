"""The results that were computed already: one row per result, in SQLite or Postgres.

A key stands for the bytes, the step, the model and the parameters; a result never changes. Threads
that put results at the same time share a commit, because each commit waits for the disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.errors import LimitError, StorageError
from storage.databases import Database

MAX_VALUE_BYTES = 16 * 2**20
_AT_ONCE = 500  # keys in one statement

_TABLES = sa.MetaData()
_RESULTS = sa.Table(
    "results",
    _TABLES,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sa.Column("made", sa.Float, nullable=False),
)


@dataclass(slots=True)
class _Put:
    """The rows of one caller, and how their commit ended."""

    rows: list[dict[str, Any]]
    ended: bool = False
    error: StorageError | None = None


class StoredLedger:
    """`core.ports.media.Ledger` in a database, for any number of processes. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Put] = []
        self._changing = threading.Lock()  # for `_waiting`
        self._writing = threading.Lock()  # its holder commits all that waits
        database.prepare(_TABLES)

    def get(self, keys: Sequence[str]) -> tuple[bytes | None, ...]:
        """Return the result of each key, None if there is none."""
        if not keys:
            return ()
        wanted = list(dict.fromkeys(keys))
        found: dict[str, bytes] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            found |= self._database.run(lambda c, s=start: _read(c, wanted[s : s + _AT_ONCE]))  # type: ignore[misc]
        return tuple(found.get(key) for key in keys)

    def put(self, results: Mapping[str, bytes]) -> None:
        """Keep results, durable when it returns; a key that is there keeps its first value. Raises
        LimitError for a value of more than 16 MiB, because another try would not help.
        """
        for key, value in results.items():
            if len(value) > MAX_VALUE_BYTES:
                raise LimitError(
                    f"a result of {len(value):,} bytes is too large for the ledger",
                    where=key,
                    mend=f"a result has at most {MAX_VALUE_BYTES:,} bytes",
                )
        if not results:
            return
        now = time.time()
        rows = [{"key": key, "value": value, "made": now} for key, value in results.items()]
        own = _Put(rows)
        with self._changing:
            self._waiting.append(own)
        with self._writing:
            if not own.ended:
                with self._changing:
                    together, self._waiting = self._waiting, []
                self._commit(together)
        if own.error is not None:
            raise own.error

    def _commit(self, together: Sequence[_Put]) -> None:
        rows = sorted((row for put in together for row in put.rows), key=lambda row: row["key"])
        statement = self._database.insert(_RESULTS).on_conflict_do_nothing(index_elements=["key"])
        error: StorageError | None = StorageError("cut off", mend="it is tried again")
        try:
            self._database.run(lambda connection: connection.execute(statement, rows))
            error = None
        except StorageError as caught:
            error = caught
        finally:
            for put in together:
                put.ended, put.error = True, error

    def count(self) -> int:
        """Return the number of results."""
        query = sa.select(sa.func.count()).select_from(_RESULTS)
        return self._database.run(lambda connection: connection.execute(query).scalar_one())

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _read(connection: sa.Connection, keys: Sequence[str]) -> dict[str, bytes]:
    """Return the values of keys. It is called for each file, so it avoids SQLAlchemy's compiler,
    and takes a quarter of the time.
    """
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(keys))
    query = f"SELECT key, value FROM results WHERE key IN ({marks})"  # noqa: S608 - marks only
    return {key: bytes(value) for key, value in connection.exec_driver_sql(query, tuple(keys))}
