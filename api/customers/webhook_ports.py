"""What the routes of webhooks need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.callers import Caller
from core.webhooks import Endpoint
from customers.webhooks.ports import Endpoints


@dataclass(frozen=True, slots=True)
class WebhookPorts:
    """The tables, and what is asked beside them.

    `check` raises InputError, with the reason, for an address that may not be called;
    `check_filter` for a query or topics that can't be a filter of the caller. `last` is the place
    of the newest transition. `wake` has new messages sent at once.
    """

    endpoints: Endpoints
    check: Callable[[str], None]
    check_filter: Callable[[Endpoint, Caller], None]
    last: Callable[[], int]
    wake: Callable[[], None]
