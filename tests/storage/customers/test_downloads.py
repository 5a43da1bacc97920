"""The ledger of downloads, over SQLite and Postgres: one charge at most, and before any byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread

import pytest

from core.audit import verified
from core.callers import Caller
from core.customers.accounts import (
    AccountBook,
    Charge,
    Download,
    Entitlement,
    Interval,
    Order,
    PlanStyle,
    Uses,
)
from core.errors import AccessError, InputError
from core.items import Item
from customers.accounts import rules as rules
from customers.accounts.downloads import Downloads, download_row
from customers.accounts.pricing import PriceError
from customers.accounts.usage import csv_text, usage_rows
from storage.customers.audit import StoredAudit
from storage.customers.downloads import StoredDownloads
from storage.customers.usage import StoredUsage
from storage.databases import Database, open_database
from tests.storage.world import make_item

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
CALLER = Caller("gazette/desk", frozenset({"wire"}), customer="gazette")
PRICE = Decimal("12.5")
ROOT = Path(__file__).resolve().parents[3]
BUYER = """
import os, sys, time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from core.customers.accounts import Charge, Download, Order
from storage.customers.downloads import StoredDownloads
from storage.databases import open_database
place, many = sys.argv[1], int(sys.argv[2])
ledger = StoredDownloads(open_database(place if "://" in place else Path(place)))
print("open", flush=True)
sys.stdin.readline()
at = datetime(2026, 3, 18, 12, tzinfo=UTC)
for number in range(many):
    order = Order("gazette", "gazette/desk", f"urn:{number}", 1, "main", "2026-03", at)
    made = ledger.order(order, {}, lambda used: Charge(Decimal("12.5")))
    print(number, int(made.duplicate), flush=True)  # the first byte
"""


class World:
    """An account with a plan, what it costs, and a clock."""

    def __init__(self, database: Database, limit: int = 0, overage: Decimal | None = None) -> None:
        self.now = NOW
        book = rules.create_account(AccountBook(), "gazette", "", NOW)
        sold = Entitlement(7, "Wire", ("wire",), cost=PRICE, overage=overage)
        book = rules.put_entitlement(book, sold)
        style = PlanStyle.DOWNLOADS if limit else PlanStyle.DURATION
        self.book = rules.add_plan(book, "gazette", "p", [7], NOW, style, limit, Interval.DAY)
        self.ledger = StoredDownloads(database)
        self.downloads = Downloads(self.ledger, lambda: self.book, lambda: self.now)


def item(uri: str = "urn:a", product: str = "wire") -> Item:
    return replace(make_item(uri), products=(product,))


def test_an_order_is_charged_once_in_its_period(database: Database) -> None:
    world = World(database)
    first = world.downloads.order(CALLER, item(), "main", PRICE)
    assert (first.charge.amount, first.duplicate) == (PRICE, False)
    assert world.downloads.is_ordered(CALLER, item(), "main")
    assert not world.downloads.is_ordered(CALLER, item(), "preview")
    world.now += timedelta(days=2)
    again = world.downloads.order(CALLER, item(), "main")  # acknowledges no price: it costs none
    assert (again.charge.amount, again.duplicate) == (0, True)
    other = world.downloads.order(CALLER, item(), "preview", PRICE)
    assert other.charge.amount == PRICE
    world.now += timedelta(days=31)
    with pytest.raises(PriceError):
        world.downloads.order(CALLER, item(), "main")
    assert world.downloads.order(CALLER, item(), "main", PRICE).charge.amount == PRICE
    assert len(world.downloads.history("gazette")) == 1  # of the last thirty days
    told = world.downloads.history("gazette", NOW)
    assert [row.order.rendition for row in told] == ["main", "preview", "main", "main"]
    assert [row.duplicate for row in told] == [False, False, True, False]


def test_a_price_that_is_refused_leaves_nothing(database: Database) -> None:
    world = World(database)
    with pytest.raises(PriceError):
        world.downloads.order(CALLER, item(), "main", Decimal(12))
    with pytest.raises(AccessError):
        world.downloads.order(CALLER, item(product="photos"), "main", PRICE)
    assert world.downloads.history("gazette") == []
    assert StoredAudit(database).head().n == 0


def test_a_plans_limit_holds_and_begins_again(database: Database) -> None:
    world = World(database, limit=2)
    for uri in ("urn:a", "urn:b"):
        world.downloads.order(CALLER, item(uri), "main", PRICE)
    assert world.downloads.used("gazette") == {1: 2}
    assert [p.allowed for p in world.downloads.prices("gazette", [item("urn:c")])] == [False]
    with pytest.raises(AccessError):
        world.downloads.order(CALLER, item("urn:c"), "main", PRICE)
    assert world.downloads.order(CALLER, item("urn:a"), "main").duplicate
    world.now += timedelta(days=1)
    assert world.downloads.used("gazette") == {1: 0}
    world.downloads.order(CALLER, item("urn:c"), "main", PRICE)


def test_what_was_not_sent_costs_nothing(database: Database) -> None:
    world = World(database, limit=1)
    made = world.downloads.order(CALLER, item(), "main", PRICE)
    voided = world.downloads.void(made)
    assert (voided.charge.amount, voided.void) == (0, True)
    assert world.downloads.history("gazette") == [voided]
    assert world.downloads.used("gazette") == {1: 0}
    assert world.downloads.order(CALLER, item(), "main", PRICE).charge.amount == PRICE
    log = StoredAudit(database)
    actions = [row.entry.action for row in log.rows_until(log.head().n)]
    assert actions == ["download", "void", "download"]


def test_the_history_has_a_year_and_no_range_is_longer_than_sixty_days(database: Database) -> None:
    world = World(database)
    made = world.downloads.order(CALLER, item(), "main", PRICE)
    world.now += timedelta(days=364)
    first, last = NOW - timedelta(days=1), NOW + timedelta(days=59)
    assert world.downloads.history("gazette") == []
    assert world.downloads.history("gazette", first, last) == [made]
    assert world.downloads.history("herald", first, last) == []
    assert world.downloads.history("gazette", first, last, made.id + 1) == []
    world.now += timedelta(days=2)
    assert world.downloads.history("gazette", first, last) == []
    with pytest.raises(InputError):
        world.downloads.history("gazette", first, last + timedelta(seconds=1))
    row = download_row(made, "The Gazette")
    assert (row["charge"], row["org_name"], row["duplicate"]) == (12.5, "The Gazette", False)


def test_threads_that_order_the_same_are_charged_once(database: Database) -> None:
    world = World(database, limit=3)
    found: list[bool] = []
    wanted = [item(f"urn:{n}") for n in range(5)]

    def buy() -> None:
        for one in wanted:
            try:
                found.append(world.downloads.order(CALLER, one, "main", PRICE).duplicate)
            except AccessError:
                continue

    threads = [Thread(target=buy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(False) == 3  # the plan's limit, and not one more
    rows = world.downloads.history("gazette")
    charged = [row.order.uri for row in rows if row.charge.amount]
    assert len(charged) == len(set(charged)) == 3


@pytest.mark.faults
def test_two_processes_and_kills_never_charge_twice_nor_send_without_a_row(
    place: Path | str, database: Database
) -> None:
    """Two processes order the same items; one is killed somewhere, and starts again."""
    ledger, many = StoredDownloads(database), 25

    def start() -> subprocess.Popen[str]:
        made = subprocess.Popen(
            [sys.executable, "-P", "-c", BUYER, str(place), str(many)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
        )
        assert made.stdout
        assert made.stdout.readline() == "open\n"
        return made

    def go(process: subprocess.Popen[str]) -> None:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()

    steady = start()
    go(steady)
    for kill_after in (1, 5, 12):
        killed = start()
        go(killed)
        assert killed.stdout
        for _ in range(kill_after):
            line = killed.stdout.readline()
            uris = {row.order.uri for row in _all(ledger)}
            assert f"urn:{line.split()[0]}" in uris  # the row came before the byte
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate(timeout=300)
    last = start()
    go(last)
    for process in (steady, last):
        process.communicate(timeout=300)
        assert process.returncode == 0
    rows = _all(ledger)
    charged = [row.order.uri for row in rows if not row.duplicate]
    assert sorted(charged) == sorted(f"urn:{n}" for n in range(many))
    assert {row.charge.amount for row in rows if row.duplicate} == {Decimal(0)}
    assert {row.charge.amount for row in rows if not row.duplicate} == {PRICE}
    log = StoredAudit(database)
    head = log.head()
    assert verified(log.rows_until(head.n), head).fault is None
    assert head.n == len(rows)


def _all(ledger: StoredDownloads) -> list[Download]:
    return list(ledger.history("gazette", NOW - timedelta(1), NOW + timedelta(1)))


def test_usage_adds_up_and_is_told_as_csv(place: Path | str, database: Database) -> None:
    usage = StoredUsage(database)
    ledger = StoredDownloads(database)
    spot = ("gazette", "2026-03-18", "search")
    usage.add({})
    usage.add({spot: Uses(2, 20, 1)})
    other = open_database(place)
    StoredUsage(other).add({spot: Uses(1, 5, 0), ("=herald", "2026-03-19", "feed"): Uses(1)})
    other.close()
    assert usage.read("2026-03-18", "2026-03-18") == {spot: Uses(3, 25, 1)}
    assert usage.read("2026-03-18", "2026-03-19", "=herald") == {
        ("=herald", "2026-03-19", "feed"): Uses(1)
    }
    for rendition, currency in (("main", "USD"), ("preview", "USD"), ("raw", "EUR")):
        order = Order("gazette", "k", "urn:a", 1, rendition, "2026-03", NOW)
        ledger.order(order, {}, lambda _, c=currency: Charge(PRICE, c))
    day = timedelta(days=1)
    sold = ledger.by_day(NOW - day, NOW + day)
    assert ledger.by_day(NOW - day, NOW + day, "herald") == {}
    rows = usage_rows(usage.read("2026-03-01", "2026-03-31"), sold)
    text = csv_text(list(rows[0]), rows)
    assert text.split("\r\n") == [
        "account,day,method,requests,items,refused,downloads,charges",
        "'=herald,2026-03-19,feed,1,0,0,0,",
        "gazette,2026-03-18,downloads,0,0,0,3,12.50 EUR 25.00 USD",
        "gazette,2026-03-18,search,3,25,1,0,",
        "",
    ]
