"""How much each account uses, by day and method: requests, items, and refusals.

Counts are added up in this process and written every few seconds. A process that is killed loses
the counts of its last seconds, and nothing else; what costs money is in the ledger of downloads.
"""

from __future__ import annotations

import csv
import io
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from threading import Lock

from core.customers.accounts import Method, Uses
from core.errors import DatelineError
from core.ports.customers import UsageStore
from storage.woken_thread import WokenThread

log = logging.getLogger(__name__)
INTERVAL_S = 5.0
Place = tuple[str, str, str]  # account, day, method


class UsageCounts:
    """Counts uses; thread-safe, and waits for no database."""

    def __init__(
        self,
        store: UsageStore,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._counts: dict[Place, Uses] = defaultdict(Uses)
        self._thread = WokenThread("usage", interval_s, self.flush, last=self.flush)
        self._thread.start()

    def add(self, account: str, method: Method, *, items: int = 0, refused: bool = False) -> None:
        """Count a request and the items in its answer, or a refusal."""
        place = account, day_of(self._clock()), str(method)
        with self._lock:
            self._counts[place] += Uses(0 if refused else 1, items, 1 if refused else 0)

    def flush(self) -> None:
        """Write the counts. If that fails, they are kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(Uses)
        if not counts:
            return
        try:
            self._store.add(counts)
        except DatelineError as error:
            log.error("usage is not written yet: %s", error.what)
            with self._lock:
                for place, uses in counts.items():
                    self._counts[place] += uses

    def close(self) -> None:
        """Write the rest and end the thread; a second call does nothing."""
        self._thread.stop()


def day_of(at: datetime) -> str:
    """Return the day of a moment, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d}"


USAGE_COLUMNS = ("account", "day", "method", "requests", "items", "refused", "downloads", "charges")


def usage_rows(
    counts: Mapping[Place, Uses], downloads: Mapping[tuple[str, str], tuple[int, Mapping[str, str]]]
) -> list[dict[str, object]]:
    """Return a row for each account, day and method, in this order. Downloads and what they cost
    are in the row of the method `downloads`. `downloads` maps account and day to the number of
    downloads and to their cost by currency.
    """
    method = str(Method.DOWNLOADS)
    places = {*counts, *((account, day, method) for account, day in downloads)}
    rows: list[dict[str, object]] = []
    for place in sorted(places):
        uses = counts.get(place, Uses())
        many, charges = downloads.get(place[:2], (0, {})) if place[2] == method else (0, {})
        cost = " ".join(f"{amount} {currency}" for currency, amount in sorted(charges.items()))
        values = (*place, uses.requests, uses.items, uses.refused, many, cost)
        rows.append(dict(zip(USAGE_COLUMNS, values, strict=True)))
    return rows


def csv_text(columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Return rows as CSV (RFC 4180) with a line of names. A text that a spreadsheet would take for
    a formula gets an apostrophe before it.
    """
    page = io.StringIO()
    names = list(columns)
    writer = csv.writer(page, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)
    return page.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value[:1] in "=+-@\t\r" and value:
        return f"'{value}"
    return "" if value is None else value
