"""Keeps the folders and stores of an archive's originals on the server of the record: every host
serves what an ingest on one host named.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from time import monotonic

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from core.errors import StorageError
from storage.media.roots import MOST
from storage.postgres import schema
from storage.postgres.connections import place_of, pool_of, url_of
from storage.postgres.failures import storage_errors
from storage.postgres.tables import MEDIA_ROOTS, key_of

log = logging.getLogger(__name__)
_LOOK_S = 1.0
_ALL = sa.select(MEDIA_ROOTS.c.root).order_by(MEDIA_ROOTS.c.n)
_COUNT = sa.select(sa.func.count()).select_from(MEDIA_ROOTS)
_ADD = insert(MEDIA_ROOTS).on_conflict_do_nothing(index_elements=["root_key"])


class PostgresMediaRoots:
    """The roots of the archive at `address`. It reads them at most once a second, so a root that
    another host adds is known a second later. Thread-safe.
    """

    def __init__(self, address: str) -> None:
        self.where = place_of(url_of(address))
        self._pool = pool_of(address, pooled=1, more=1)
        self._lock = threading.Lock()
        self._known: tuple[str, ...] = ()
        self._looked = -_LOOK_S

    def read(self) -> tuple[str, ...]:
        """Return the files, folders and stores' URLs so far. If they can't be read, return those of
        the last look.
        """
        with self._lock:
            if monotonic() - self._looked >= _LOOK_S:
                try:
                    with self._pool.connect() as connection:
                        self._known = tuple(connection.execute(_ALL).scalars())
                except (SQLAlchemyError, psycopg.Error) as error:
                    log.warning("where originals lie can't be read: %s", type(error).__name__)
                self._looked = monotonic()
            return self._known

    def add(self, roots: Sequence[str]) -> None:
        """Add roots; durable when it returns. Raises StorageError."""
        if not roots:
            return
        rows = [{"root": root, "root_key": key_of(root)} for root in dict.fromkeys(roots)]
        schema.prepare(self._pool, self.where)
        with storage_errors(self.where), self._pool.connect() as plain:
            connection = plain.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                connection.execute(_ADD, rows)
                if int(connection.execute(_COUNT).scalar_one()) > MOST:
                    raise StorageError(
                        f"originals lie in more than {MOST:,} places",
                        where=self.where,
                        mend="name folders to ingest in place of single files",
                    )

    def close(self) -> None:
        """Close the connections."""
        self._pool.dispose()
