"""The audit log for whatever writes to the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.audit import AuditEntry, AuditHead
from dateline.settings import Settings

if TYPE_CHECKING:
    from storage.databases import Database


class LateAudit:
    """The audit log, whose database is opened for the first entry: an archive without customers
    has none until something is hidden, and a command that only searches loads no SQLAlchemy.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None

    def append(self, entries: Sequence[AuditEntry]) -> AuditHead:
        """Add entries, durable when it returns. Raises StorageError."""
        from dateline.build.customers import open_customers
        from storage.customers.audit import StoredAudit

        if self._database is None:
            self._database = open_customers(self._settings)
        return StoredAudit(self._database).append(entries)

    def close(self) -> None:
        """Close the database."""
        if self._database is not None:
            self._database.close()
