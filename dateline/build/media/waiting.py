"""How long orders wait, for the metrics of a service and of workers.

Workers are scaled by it, so every process that has metrics can say it: one that serves, too, which
needs no extra for that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import DatelineError
from core.work import READ, STAGES
from dateline.archive_folder import archive_folder
from dateline.settings import ORDERS, Settings
from storage.databases import Database, open_database
from storage.work.orders import StoredOrders

if TYPE_CHECKING:
    from api.access.services import StatusPort

_KEPT_S = 5.0
_PATIENCE_S = 1.0  # for a database that is away: a scrape does not wait for it
_QUEUES = (READ, *(str(stage) for stage in STAGES))
_log = logging.getLogger(__name__)


class WaitingOrders:
    """Reads the orders of the settings' archive at most every few seconds. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None
        self._lock = threading.Lock()
        self._kept: Mapping[str, float] = {}
        self._read_at = -_KEPT_S

    def oldest(self) -> Mapping[str, float]:
        """Return for each queue the seconds that its oldest free order has waited; nothing if the
        database can't be read.
        """
        with self._lock:
            if time.monotonic() - self._read_at >= _KEPT_S:
                self._kept = self._read()
                self._read_at = time.monotonic()
            return self._kept

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            if self._database is not None:
                self._database.close()

    def _read(self) -> Mapping[str, float]:
        url = self._settings.work_url
        file = archive_folder(self._settings) / ORDERS
        if url is None and not file.exists():  # it is not made by being looked at
            return dict.fromkeys(_QUEUES, 0.0)
        try:
            if self._database is None:
                place = file if url is None else url.get_secret_value()
                self._database = open_database(place, patience_s=_PATIENCE_S)
            return StoredOrders(self._database).oldest(_QUEUES)
        except DatelineError as error:
            _log.warning("orders can't be read: %s", error)
            return {}


@dataclass(frozen=True, slots=True)
class WithOrders:
    """The status of a service, with the orders that wait (`api.access.services.StatusPort`)."""

    service: StatusPort
    orders: WaitingOrders

    def status(self) -> Mapping[str, Any]:
        """Return the service's figures and how long orders wait, by queue in seconds."""
        return {**self.service.status(), "work": {"oldest_seconds": dict(self.orders.oldest())}}

    def ready(self) -> tuple[bool, str]:
        """Return whether searches can be answered; the reason if not."""
        return self.service.ready()
