"""Composition of what customers are served: accounts, feeds, topics and webhooks, and the database
that they share.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from functools import partial
from typing import Any

from core.callers import Caller
from core.customers.accounts import Method, Quota
from core.limits import Limiter, Share
from core.ports.engine import Clock
from customers.accounts.desk import AccountDesk, Changes
from customers.accounts.downloads import Downloads
from customers.accounts.in_force import INTERVAL_S, AccountsInForce
from customers.accounts.parts import AccountParts
from customers.accounts.quotas import Quotas
from customers.accounts.usage import UsageCounts, usage_rows
from customers.topics import FollowedTopics
from dateline.archive_folder import archive_folder
from dateline.build.engine import ServedEngine, topic_tree
from dateline.build.record import need_postgres
from dateline.settings import Settings
from storage.customers.accounts import StoredAccounts
from storage.customers.audit import StoredAudit
from storage.customers.downloads import StoredDownloads
from storage.customers.topics import StoredTopics
from storage.customers.usage import StoredUsage
from storage.databases import Database, open_database
from storage.embedded.percolation import Percolator
from storage.embedded.record import copies
from storage.embedded.topic_set import TopicSet

CUSTOMERS_FILE = copies.CUSTOMERS


def open_customers(settings: Settings, *, synced: bool = True) -> Database:
    """Return the database of accounts, transitions, topics and webhooks: a file in the archive's
    folder, or the record's own database on Postgres. Every commit is durable; without `synced` a
    power failure may undo the last ones in the file. Each part prepares its own tables there.
    Raises SettingsError if the extra is missing, StorageError.
    """
    address = settings.record.get_secret_value()
    if not address:
        return open_database(archive_folder(settings) / CUSTOMERS_FILE, synced=synced)
    need_postgres()
    return open_database(address)


def accounts_in_force(
    settings: Settings, database: Database, clock: Clock, interval_s: float = INTERVAL_S
) -> AccountsInForce:
    """Return the accounts of a database, whose changes by other processes are followed. Their keys
    may not write uris that keys of the settings reserve.
    """
    reserved = tuple(prefix for key in settings.keys for prefix in key.reserves)
    share = Share(settings.key_rate, settings.key_concurrency)
    return AccountsInForce(StoredAccounts(database), clock, share, reserved, interval_s)


def account_parts(
    settings: Settings,
    database: Database,
    accounts: AccountsInForce,
    limiter: Limiter,
    clock: Clock,
) -> AccountParts:
    """Return what a service knows of accounts. Close its `usage` before the database."""
    ledger, usage = StoredDownloads(database), StoredUsage(database)
    standard = {
        Method(name): Quota(quota.minute, quota.day)
        for name, quota in settings.account_quotas.items()
    }
    return AccountParts(
        accounts,
        Quotas(limiter, lambda: accounts.book, standard),
        Downloads(ledger, lambda: accounts.book, clock),
        UsageCounts(usage, clock),
        StoredAudit(database),
        lambda by: account_desk(settings, accounts, by, clock),
        partial(used_by_day, usage, ledger),
    )


def used_by_day(
    usage: StoredUsage, ledger: StoredDownloads, first: date, last: date, account: str = ""
) -> list[dict[str, Any]]:
    """Return rows of uses and downloads from the first day to the last one, of one account or of
    all.
    """
    begin = datetime.combine(first, time(), UTC)
    end = datetime.combine(last, time.max, UTC)
    downloads = ledger.by_day(begin, end, account)
    return usage_rows(usage.read(f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}", account), downloads)


def has_account_keys(settings: Settings) -> bool:
    """Return whether accounts have keys. No file is made to find that out."""
    if not (settings.record.get_secret_value() or (settings.data / CUSTOMERS_FILE).exists()):
        return False
    database = open_customers(settings)
    try:
        return bool(StoredAccounts(database).book().keys)
    finally:
        database.close()


def followed_topics(
    settings: Settings, database: Database, engine: ServedEngine, clock: Clock
) -> FollowedTopics:
    """Return the followed topics of a database, matched as searches by `engine` match."""
    percolator = Percolator(topic_tree(settings), engine.languages)
    return FollowedTopics(StoredTopics(database), clock, lambda: TopicSet(percolator))


def account_desk(settings: Settings, accounts: Changes, by: Caller, clock: Clock) -> AccountDesk:
    """Return the desk at which `by` changes accounts."""
    taken = {key.name for key in settings.keys}
    return AccountDesk(accounts, by, clock, taken=taken)
