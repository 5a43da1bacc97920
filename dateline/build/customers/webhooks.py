"""Composition of webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.access.keys import KeyRing
from api.access.services import StatusPort
from api.customers.webhook_bodies import WebhookBodies
from core.callers import Caller
from core.ports.customers import Receipts
from customers.accounts.in_force import AccountsInForce
from customers.feed import Feed
from customers.topics import FollowedTopics
from customers.webhooks.addresses import AddressRules
from customers.webhooks.filters import EndpointFilters
from customers.webhooks.making import MessageMaker
from customers.webhooks.ports import AccountCaller, WebhookPorts
from customers.webhooks.sending import Sender
from dateline.serving.webhook_posts import WebhookPosts
from dateline.serving.webhook_threads import AttemptCounts, WebhookThreads
from dateline.settings import Settings
from storage.customers.transitions import StoredTransitions
from storage.customers.webhooks import StoredWebhooks
from storage.databases import Database


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The webhooks of this process, which sends from now on; `close` ends that."""

    ports: WebhookPorts
    threads: WebhookThreads
    posts: WebhookPosts

    def close(self) -> None:
        """Wait for the messages that are being sent, and close the connections."""
        self.threads.stop()
        self.posts.close()


def open_webhooks(
    settings: Settings,
    database: Database,
    feed: Feed,
    receipts: Receipts,
    caller_of: AccountCaller,
    topics: FollowedTopics,
) -> Webhooks:
    """Return the webhooks of all accounts, sent by threads of this process too."""
    store, book = StoredWebhooks(database), StoredTransitions(database)
    rules = AddressRules.of(settings.webhook_networks, http=settings.webhook_http)
    posts, counts = WebhookPosts(rules), AttemptCounts()
    filters, bodies = EndpointFilters(topics), WebhookBodies(feed.library, receipts, topics)
    sender = Sender(store, feed, caller_of, bodies, posts, counts)
    maker = MessageMaker(book, store, feed, caller_of, filters.tree)
    threads = WebhookThreads(maker, sender, store, counts)
    ports = WebhookPorts(store, posts.check, filters.check, lambda: book.last().n, threads.wake)
    threads.start()
    return Webhooks(ports, threads, posts)


def callers_of(ring: KeyRing, accounts: AccountsInForce) -> AccountCaller:
    """Return a function from an account to its caller, with all of its products. Keys of the
    settings with the same name are one account.
    """
    fixed: dict[str, frozenset[str]] = {}
    for _, caller in ring.entries:
        fixed[caller.account] = fixed.get(caller.account, frozenset()) | caller.products

    def caller_of(account: str) -> Caller | None:
        book = accounts.book
        if account in book.accounts:
            return Caller(account, book.products_of(account), customer=account)
        return Caller(account, fixed[account]) if account in fixed else None

    return caller_of


@dataclass(frozen=True, slots=True)
class WithWebhooks:
    """The status of a service, with its webhooks."""

    service: StatusPort
    webhooks: Webhooks

    def status(self) -> Mapping[str, Any]:
        """Return the service's figures and those of its webhooks."""
        return {**self.service.status(), "webhooks": self.webhooks.threads.status()}

    def ready(self) -> tuple[bool, str]:
        """Return whether searches can be answered."""
        return self.service.ready()
