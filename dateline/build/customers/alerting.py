"""Composition of the parts that notify accounts: matches of followed topics, monitors and their
mails, items on demand, baskets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from core.callers import Caller
from core.errors import SettingsError
from core.ports.engine import Clock
from customers.baskets import Baskets
from customers.monitoring import Monitoring, SendMail
from customers.on_demand import OnDemand
from customers.topic_alerts import TopicAlerts
from customers.topic_mails import TopicMails
from dateline.build.engine import ServedEngine, topic_tree
from dateline.serving.alert_threads import AlertThreads, MailServer
from dateline.settings import Settings
from storage.customers.baskets import StoredBaskets
from storage.customers.monitors import StoredMonitors
from storage.customers.queues import StoredQueues
from storage.customers.receipts import StoredReceipts
from storage.customers.topics import StoredTopics
from storage.customers.transitions import StoredTransitions
from storage.databases import Database
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet


def monitoring(settings: Settings, database: Database, clock: Clock) -> Monitoring:
    """Return the monitors of every account. Raises SettingsError for a mail server without a
    sender.
    """
    return Monitoring(StoredMonitors(database), clock, _mail(settings))


def _mail(settings: Settings) -> SendMail | None:
    if not settings.smtp_host:
        return None
    if not settings.mail_from:
        raise SettingsError(
            "mails have no sender", where="mail_from", mend="set it, such as to wire@agency.example"
        )
    return MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.mail_from,
        settings.smtp_tls,
        settings.smtp_user,
        settings.smtp_password.get_secret_value(),
    ).send


def on_demand(
    engine: ServedEngine, database: Database, receipts: StoredReceipts, clock: Clock
) -> OnDemand:
    """Return the queues of items on demand of every account."""

    def receive(account: str, channel: str, versions: Collection[tuple[str, int]]) -> None:
        receipts.add(account, channel, versions, synced=True)

    return OnDemand(StoredQueues(database), engine, clock, receive)


def baskets(
    engine: ServedEngine, database: Database, receipts: StoredReceipts, clock: Clock
) -> Baskets:
    """Return the baskets of every account."""
    log = StoredTransitions(database)
    return Baskets(StoredBaskets(database), engine, receipts, clock, log)


def open_alerts(
    settings: Settings,
    database: Database,
    engine: ServedEngine,
    monitors: Monitoring,
    caller_of: Callable[[str], Caller | None],
) -> AlertThreads:
    """Return the threads that look for matches of followed topics and at watched sessions, begun.
    `caller_of` returns an account's caller with its present products.
    """

    def products(account: str) -> frozenset[str]:
        caller = caller_of(account)
        return frozenset() if caller is None else caller.products

    index = TopicSet(Percolator(topic_tree(settings), engine.languages))
    log, store = StoredTransitions(database), StoredTopics(database)
    mails = TopicMails(store, send) if (send := _mail(settings)) else None
    threads = AlertThreads(TopicAlerts(log, store, index, engine, products), monitors, mails)
    threads.start()
    return threads
