"""A service with an account that has bought something, over the newsroom of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from api.access.keys import KeyRing
from api.app import create_app
from core.callers import OPERATOR
from core.customers.accounts import Entitlement, PlanStyle
from core.limits import MemoryLimiter, Share
from customers.accounts.desk import AccountDesk
from customers.accounts.downloads import Downloads
from customers.accounts.in_force import AccountsInForce
from customers.accounts.parts import AccountParts
from customers.accounts.quotas import Quotas
from customers.accounts.usage import UsageCounts
from customers.monitoring import Monitoring
from customers.on_demand import OnDemand
from storage.customers.accounts import StoredAccounts
from storage.customers.audit import StoredAudit
from storage.customers.downloads import StoredDownloads
from storage.customers.monitors import StoredMonitors
from storage.customers.queues import StoredQueues
from storage.customers.receipts import StoredReceipts
from storage.customers.usage import StoredUsage
from storage.databases import Database, open_database
from tests.api.conftest import CALLERS, Served, filled, services_over, serving_app

WIRE, PHOTOS = 31991, 42428  # entitlements


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Customer:
    """A running service, an account's key, and the parts behind."""

    served: Served
    key: str
    parts: AccountParts
    desk: AccountDesk
    monitoring: Monitoring
    on_demand: OnDemand
    receipts: StoredReceipts

    def get(self, path: str, **params: Any) -> Any:
        return self.served.get(path, key=self.key, **params)


def parts_over(database: Database) -> AccountParts:
    """The accounts of a database; close `in_force` and `usage` before it."""
    in_force = AccountsInForce(StoredAccounts(database), now, Share(1e6, 100))
    return AccountParts(
        in_force,
        Quotas(MemoryLimiter(), lambda: in_force.book, {}),
        Downloads(StoredDownloads(database), lambda: in_force.book, now),
        UsageCounts(StoredUsage(database), now),
        StoredAudit(database),
        lambda by: AccountDesk(in_force, by, now),
        lambda first, last, account: [],
    )


@contextmanager
def customer(folder: Path, **settings: Any) -> Iterator[Customer]:
    """An account with the wire by time, and photos that cost something."""
    database = open_database(folder / "customers.sqlite")
    parts = parts_over(database)
    in_force, usage = parts.in_force, parts.usage
    desk = parts.desk(OPERATOR)
    desk.create_account("gazette", "The Gazette")
    desk.put_entitlement(Entitlement(WIRE, "The wire", ("wire",)))
    photos = Entitlement(PHOTOS, "Photos", ("photos", "900"), "Premium", cost=Decimal("12.50"))
    desk.put_entitlement(photos)
    desk.add_plan("gazette", "News", [WIRE])
    desk.add_plan("gazette", "Pictures", [PHOTOS], PlanStyle.DOWNLOADS, 10)
    _, key = desk.create_key("gazette", "desk")
    room, receipts = filled(), StoredReceipts(database)
    monitoring = Monitoring(StoredMonitors(database), now)
    on_demand = OnDemand(StoredQueues(database), room, now, receipts.add)
    services = replace(
        services_over(room, **settings),
        keys=KeyRing.of(CALLERS, accounts=in_force),
        accounts=parts,
        monitoring=monitoring,
        on_demand=on_demand,
        receipts=receipts,
    )
    with serving_app(room, create_app(services)) as served:
        yield Customer(served, key, parts, desk, monitoring, on_demand, receipts)
    in_force.close()
    usage.close()
    database.close()
