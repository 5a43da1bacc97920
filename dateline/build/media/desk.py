"""Composition of the orders: their database, without anything that carries them out.

Needs the extra [media].
"""

import threading
from dataclasses import dataclass

from dateline.archive_folder import archive_folder
from dateline.aws.surroundings import need_lasting
from dateline.settings import ORDERS, Settings
from indexing.work.desk import JobDesk
from indexing.work.sources.packages import need_packages
from indexing.work.sources.stores import FileStores
from storage.databases import Database, open_database
from storage.work.jobs import StoredJobs


@dataclass(frozen=True, slots=True)
class Desk:
    """Orders and their results, without any work: for commands."""

    database: Database
    jobs: StoredJobs
    desk: JobDesk

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def open_desk(settings: Settings, *, synced: bool = True) -> Desk:
    """Return the orders of the settings' archive; `synced` waits for the disk. Raises
    StorageError.
    """
    database = work_database(settings, ORDERS, synced=synced)
    jobs = StoredJobs(database)
    return Desk(database, jobs, JobDesk(jobs, FileStores()))


class LateDesk:
    """The orders as a service takes them: opened for the first request, as most get none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._open: Desk | None = None

    def __call__(self) -> JobDesk:
        """Return the desk. Raises InputError if the extra is missing, and StorageError."""
        with self._lock:
            if self._open is None:
                need_packages()
                self._open = open_desk(self._settings)
            return self._open.desk

    def close(self) -> None:
        """Close the database."""
        if self._open is not None:
            self._open.close()


def work_database(settings: Settings, file: str, *, synced: bool = True) -> Database:
    """Return the database that a setting names, else a file in the archive's folder. Raises
    SettingsError in Batch and Lambda for a file.
    """
    url = settings.work_url
    if url is None:
        need_lasting("work_url")
    place = archive_folder(settings) / file if url is None else url.get_secret_value()
    return open_database(place, synced=synced)
