"""What webhooks ask of the other rooms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.callers import Caller
from core.customers.webhooks import Endpoint, Lease, Message
from core.query_tree import Node
from customers.feed import Entry
from customers.webhooks.retries import Answer

AccountCaller = Callable[[str], Caller | None]  # with its present products; None for no account
EndpointTree = Callable[[Endpoint], Node]
"""Returns the query that an item must match to be sent to an endpoint."""

Post = Callable[[str, Mapping[str, str], bytes], Answer]
"""Posts headers and a body to a url; returns what was answered within the limits. Never raises."""

Bodies = Callable[[Endpoint, Message, Entry | None, Caller], bytes]
"""Returns the body of a message with its present content; without an entry, the body of a message
that is about no item. The receipts of all its items are on the disk when this returns.
"""


class Endpoints(Protocol):
    """The endpoints of accounts, and their dead letters. Methods that name an endpoint of an
    account raise NotFoundError.
    """

    def create(self, endpoint: Endpoint, most: int) -> bool:
        """Add an endpoint; return False if its account has `most` already."""
        ...

    def of_account(self, account: str) -> tuple[Endpoint, ...]: ...

    def endpoint(self, account: str, name: str) -> Endpoint: ...

    def change(self, endpoint: Endpoint) -> None: ...

    def delete(self, account: str, name: str) -> None: ...

    def add(self, message: Message) -> None:
        """Queue a message that no transition gives."""
        ...

    def dead(self, name: str, after: int, limit: int) -> tuple[Message, ...]:
        """Return at most `limit` dead letters of an endpoint, with rows above `after`, in order."""
        ...

    def replay(self, name: str, rows: Collection[int] | None = None) -> int:
        """Queue dead letters again, all or these; return how many."""
        ...


class Queue(Protocol):
    """The outbox, as the code that queues messages needs it."""

    def receiving(self) -> tuple[Endpoint, ...]:
        """Return the endpoints of all accounts that are not disabled."""
        ...

    def position(self) -> tuple[str, int]:
        """Return the history of transitions and the place up to which they are queued."""
        ...

    def queued(self, uris: Collection[str]) -> frozenset[tuple[str, str]]:
        """Return the (endpoint, uri) of messages about these items that are not sent yet."""
        ...

    def queue(
        self, before: tuple[str, int], after: tuple[str, int], messages: Sequence[Message]
    ) -> bool:
        """Queue messages and move the position in one transaction; False, and neither, if another
        process moved it.
        """
        ...

    def prune(self, dead_before: float) -> int: ...


class Outbox(Protocol):
    """The outbox, for who sends. What returns a bool returns False if the lease was lost."""

    def lease(self, worker: str, room: Mapping[str, int]) -> tuple[Lease, ...]:
        """Lease lanes with messages: at most so many of the classes kills, prompt and slow."""
        ...

    def sent(self, lease: Lease, message: Message) -> bool: ...

    def drop(self, lease: Lease, message: Message) -> bool: ...

    def fail(
        self, lease: Lease, message: Message, why: str, *, dead: bool, too_old_s: float
    ) -> None: ...

    def disable(self, lease: Lease, why: str) -> None: ...

    def release(self, lease: Lease, delay_s: float, *, slow: bool) -> None: ...

    def release_all(self, worker: str) -> None: ...

    def figures(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class WebhookPorts:
    """What the routes of webhooks need: the tables, and what is asked beside them.

    `check` raises InputError, with the reason, for an address that may not be called;
    `check_filter` for a query or topics that can't be a filter of the caller. `last` is the place
    of the newest transition. `wake` has new messages sent at once.
    """

    endpoints: Endpoints
    check: Callable[[str], None]
    check_filter: Callable[[Endpoint, Caller], None]
    last: Callable[[], int]
    wake: Callable[[], None]
