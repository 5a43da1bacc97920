"""Composition of what customers are served: accounts, feeds, topics and webhooks, and the database
that they share.
"""

from __future__ import annotations

from dateline.archive_folder import archive_folder
from dateline.build.record import need_postgres
from dateline.settings import Settings
from storage.databases import Database, open_database

CUSTOMERS_FILE = "customers.sqlite"


def open_customers(settings: Settings) -> Database:
    """Return the database of accounts, transitions, topics and webhooks: a file in the archive's
    folder, or the record's own database on Postgres. Every commit is durable. Each part prepares
    its own tables there. Raises SettingsError if the extra is missing, StorageError.
    """
    address = settings.record.get_secret_value()
    if not address:
        return open_database(archive_folder(settings) / CUSTOMERS_FILE)
    need_postgres()
    return open_database(address)
