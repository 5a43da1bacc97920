"""Carries out operations: jobs without assets, such as an evaluation, each one order in its queue.

Whatever happens to the worker, the next one begins the operation again. So each operation must be
one that can be begun twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import DatelineError, InputError, StorageError
from core.media import is_url
from core.ports.work import Jobs, Orders
from core.work import Job, Order
from indexing.work.stages.stage import Stop

log = logging.getLogger(__name__)

CarriedOut = Callable[[Job], Mapping[str, Any]]


class OperationRunner:
    """Carries out one operation after another by `carried_out`, which returns values for JSON. An
    error that says how to mend it fails the job at once, any other after `tries`.
    """

    def __init__(self, jobs: Jobs, orders: Orders, carried_out: CarriedOut, *, tries: int) -> None:
        self._jobs = jobs
        self._orders = orders
        self._carried_out = carried_out
        self._tries = tries

    def run(self, order: Order, stop: Stop) -> None:
        """Carry out the operation of an order, and end its job."""
        job = self._jobs.job(order.job)
        if order.taken > self._tries:
            what = f"{self._tries} workers began it and none ended it; their logs say why"
            self._orders.complete_operation(order, {}, what)
            return
        try:
            result = self._carried_out(job)
        except StorageError as error:
            if order.taken < self._tries:
                raise  # it is tried again
            self._failed(order, error)
        except DatelineError as error:
            self._failed(order, error)
        else:
            self._orders.complete_operation(order, result)

    def _failed(self, order: Order, error: DatelineError) -> None:
        log.warning("operation %s failed: %s", order.job, error)
        self._orders.complete_operation(order, {}, str(error))


def check_places(places: Mapping[str, str], allowed: tuple[str, ...]) -> None:
    """Raise InputError for a place, by the name of its option, that lies in none of the folders
    and below none of the URLs of `allowed`. The error does not say whether there is such a file.
    """
    for name, place in places.items():
        if not any(_lies_in(place, root) for root in allowed):
            raise InputError(
                f"{name}: {place[:200]!r} lies in no folder that jobs may read",
                mend="the service's setting job_sources names these folders and URLs",
            )


def _lies_in(place: str, root: str) -> bool:
    if is_url(place) or is_url(root):
        parts = place.split("/")
        return place.startswith(f"{root.rstrip('/')}/") and ".." not in parts and "." not in parts
    return Path(place).is_absolute() and Path(place).resolve().is_relative_to(Path(root).resolve())
