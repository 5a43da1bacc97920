"""Composition of the use log: its tables, its rules, and the thread that deletes on time."""

from __future__ import annotations

import logging

from core.errors import StorageError
from core.ports.engine import Clock
from customers.use_log import UseLog, UseRules
from dateline.build.customers.accounts import open_customers
from dateline.settings import Settings
from storage.customers.use_log import StoredUse
from storage.databases import Database
from storage.woken_thread import WokenThread

EVERY_S = 600.0  # how often old queries are looked for
_log = logging.getLogger("dateline.use")


def use_rules(settings: Settings) -> UseRules:
    """Return what may be kept, as the settings say."""
    accounts = frozenset(settings.use_log_accounts)
    return UseRules(accounts, settings.use_log_days, settings.use_log_callers)


def use_log(settings: Settings, database: Database, clock: Clock) -> UseLog:
    """Return the use log of a database."""
    return UseLog(StoredUse(database), use_rules(settings), clock)


class ServedUse:
    """The use log of a service, on a connection that does not wait for the disk: a power failure
    may cost the last clicks. If it `deletes`, a thread takes away what is old, at the start and
    every ten minutes.
    """

    def __init__(self, settings: Settings, clock: Clock, *, deletes: bool) -> None:
        self._database = open_customers(settings, synced=False)
        self.log = use_log(settings, self._database, clock)
        self._thread = WokenThread("use log", EVERY_S, self._delete) if deletes else None
        if self._thread is not None:
            self._thread.start()
            self._thread.wake()

    def _delete(self) -> None:
        try:
            self.log.drop_old()
        except StorageError as error:
            _log.error("old searches in the log are not deleted for now: %s", error)

    def close(self) -> None:
        """End the thread and close the database."""
        if self._thread is not None:
            self._thread.stop()
        self._database.close()


def open_use(settings: Settings, clock: Clock, *, deletes: bool) -> ServedUse | None:
    """Return the use log of a service; None if nobody agreed to it."""
    return ServedUse(settings, clock, deletes=deletes) if settings.use_log_accounts else None
