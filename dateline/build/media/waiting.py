"""How long orders wait, what captions cost today and how late live shots and words are found, for
the metrics of a service and of workers.

All are read from databases that all processes share. So every process that has metrics can say
them, one that serves too, and it needs no extra for that. Nothing is made by being looked at.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from core.errors import DatelineError
from core.work import READ, STAGES
from dateline.archive_folder import archive_folder
from dateline.settings import LEDGER, ORDERS, SPENT, Settings
from storage.databases import Database, open_database
from storage.work.live_lags import KINDS, longest_lags
from storage.work.orders import StoredOrders
from storage.work.spend import spent_on

if TYPE_CHECKING:
    from api.access.services import StatusPort

_KEPT_S = 5.0
_PATIENCE_S = 1.0  # for a database that is away: a scrape does not wait for it
_LAGS_S = 60.0
_QUEUES = (READ, *(str(stage) for stage in STAGES))
_log = logging.getLogger(__name__)
T = TypeVar("T")


class Looked(Generic[T]):
    """What `read` finds in a file of the archive, or in the database of the orders, looked at no
    more than every few seconds; `empty` if there is no such file. Thread-safe.
    """

    def __init__(
        self, settings: Settings, file: str, empty: T, read: Callable[[Database], T]
    ) -> None:
        url = settings.work_url
        self._file = None if url else archive_folder(settings) / file
        self._place = self._file or (url.get_secret_value() if url else "")
        self._empty = empty
        self._read = read
        self._database: Database | None = None
        self._lock = threading.Lock()
        self._kept: T | None = None
        self._read_at = -_KEPT_S

    def now(self) -> T | None:
        """Return what is there; None if it can't be read."""
        with self._lock:
            if time.monotonic() - self._read_at >= _KEPT_S:
                self._kept = self._look()
                self._read_at = time.monotonic()
            return self._kept

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            if self._database is not None:
                self._database.close()

    def _look(self) -> T | None:
        if self._file is not None and not self._file.exists():
            return self._empty
        try:
            if self._database is None:
                self._database = open_database(self._place, patience_s=_PATIENCE_S)
            return self._read(self._database)
        except DatelineError as error:
            _log.warning("the work that waits can't be read: %s", error)
            return None


class Work:
    """The figures of all workers of an archive together."""

    def __init__(self, settings: Settings) -> None:
        none = dict.fromkeys(_QUEUES, 0.0)
        self._cap = settings.caption_daily_spend
        self._oldest: Looked[Mapping[str, float]] = Looked(
            settings, ORDERS, none, lambda database: StoredOrders(database).oldest(_QUEUES)
        )
        self._spent = Looked(settings, SPENT, 0.0, lambda database: spent_on(database, _today()))
        no_lags: Mapping[str, float] = dict.fromkeys(KINDS, 0.0)
        self._lags = Looked(
            settings, LEDGER, no_lags, lambda database: longest_lags(database, _LAGS_S)
        )

    def figures(self) -> Mapping[str, Any]:
        """Return the seconds that the oldest free order of each queue has waited, today's costs of
        captions with what is set aside, their cap, and the longest lags of live shots and words of
        the last minute; None for what is not known.
        """
        return {
            "oldest_seconds": self._oldest.now(),
            "spent_today": self._spent.now(),
            "daily_spend": self._cap,
            "live_lag_seconds": self._lags.now(),
        }

    def close(self) -> None:
        """Close the databases."""
        self._oldest.close()
        self._spent.close()
        self._lags.close()


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True, slots=True)
class WithWork:
    """The status of a service, with the work of an archive (`api.access.services.StatusPort`)."""

    service: StatusPort
    work: Work

    def status(self) -> Mapping[str, Any]:
        """Return the service's figures and those of the work."""
        return {**self.service.status(), "work": self.work.figures()}

    def ready(self) -> tuple[bool, str]:
        """Return whether searches can be answered; the reason if not."""
        return self.service.ready()
