"""Accounts over HTTP: keys in force, quotas, what administrators change, and downloads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.access.keys import KeyRing
from api.app import create_inner_app
from api.search.elsewhere import answered, request_bytes
from core.audit import verified
from core.callers import Caller
from core.items import PubStatus
from core.limits import MemoryLimiter, Share
from core.writes import SetStatus
from customers.accounts.desk import AccountDesk
from customers.accounts.downloads import Downloads
from customers.accounts.in_force import AccountsInForce
from customers.accounts.parts import AccountParts
from customers.accounts.quotas import Quotas
from customers.accounts.usage import UsageCounts
from customers.audited import AuditedWriter, AuditTrail
from dateline.build.customers.accounts import used_by_day
from storage.customers.accounts import StoredAccounts
from storage.customers.audit import StoredAudit
from storage.customers.downloads import StoredDownloads
from storage.customers.usage import StoredUsage
from storage.databases import open_database
from tests.api.conftest import CALLERS, READ
from tests.api.media_archive import PHOTO, MediaArchive, media_archive
from tests.own_loop import run

ADMIN = "admin-key-1234"
RING = {
    **CALLERS,
    ADMIN: Caller("administrator", frozenset(), may_administer=True),
}


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Surface:
    """A client of a service with accounts, and what is behind it."""

    client: TestClient
    parts: AccountParts
    archive: MediaArchive
    log: StoredAudit

    def ask(self, method: str, path: str, key: str = ADMIN, **more: Any) -> Any:
        return self.client.request(method, path, headers={"x-api-key": key}, **more)

    def told(self, method: str, path: str, status: int, key: str = ADMIN, **more: Any) -> Any:
        answer = self.ask(method, path, key, **more)
        assert answer.status_code == status, answer.text
        body = answer.json()
        return body["error"] if "error" in body else body["data"]

    def sold(self, **entitlement: Any) -> str:
        """A key of an account that reads the archive's photo."""
        made = {"name": "Photos", "products": ["wire"], **entitlement}
        self.told("POST", "/v1/admin/accounts", 201, json={"id": "gazette", "title": "Gazette"})
        self.told("PUT", "/v1/admin/entitlements/7", 200, json=made)
        plan = {"name": "All", "entitlements": [7]}
        self.told("POST", "/v1/admin/accounts/gazette/plans", 201, json=plan)
        key: str = self.told("POST", "/v1/admin/accounts/gazette/keys", 201, json={})["key"]
        return key


@pytest.fixture
def archive(folder: Path) -> Iterator[MediaArchive]:
    with media_archive(folder) as made:
        yield made


@pytest.fixture
def surface(archive: MediaArchive, folder: Path) -> Iterator[Surface]:
    database = open_database(folder / "customers.sqlite")
    in_force = AccountsInForce(StoredAccounts(database), now, Share(1e6, 100))
    ledger, usage = StoredDownloads(database), StoredUsage(database)
    log = StoredAudit(database)
    trail = AuditTrail(log, now)
    parts = AccountParts(
        in_force,
        Quotas(MemoryLimiter(), lambda: in_force.book, {}),
        Downloads(ledger, lambda: in_force.book, now),
        UsageCounts(usage, now),
        log,
        lambda by: AccountDesk(in_force, by, now, taken={"operator"}),
        lambda first, last, account: used_by_day(usage, ledger, first, last, account),
    )
    app = archive.app(
        accounts=parts,
        keys=KeyRing.of(RING, accounts=in_force),
        writer=AuditedWriter(archive.room.engine, trail),
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Surface(client, parts, archive, log)
    in_force.close()
    trail.close()
    parts.usage.close()
    database.close()


def address(rendition: str = "original") -> str:
    return f"/v1/media/{rendition}/{PHOTO}"


def test_a_key_reads_what_its_account_has_bought_and_ends_when_it_is_revoked(
    surface: Surface,
) -> None:
    key = surface.sold()
    assert surface.told("GET", f"/content/{PHOTO}", 200, key)["item"]["uri"] == PHOTO
    shown = surface.told("GET", "/v1/admin/accounts/gazette", 200)
    assert shown["products"] == ["wire"]
    (kept,) = shown["keys"]
    assert key not in str(shown)
    surface.told("DELETE", "/v1/admin/accounts/gazette/plans/1", 200)
    surface.told("GET", f"/content/{PHOTO}", 404, key)
    surface.told("DELETE", f"/v1/admin/keys/{kept['id']}", 200)
    assert surface.told("GET", f"/content/{PHOTO}", 401, key)["code"] == "unauthorized"
    assert surface.told("DELETE", f"/v1/admin/keys/{kept['id']}", 409)


def test_signed_addresses_end_with_their_key(surface: Surface) -> None:
    key = surface.sold()
    data = surface.told("GET", f"/content/{PHOTO}", 200, key)
    preview = data["item"]["renditions"]["preview"]["href"]
    assert surface.client.get(preview).status_code == 200
    fresh = surface.told("POST", f"/v1/admin/keys/{_id(key)}/rotate", 201, json={})
    assert surface.told("GET", f"/content/{PHOTO}", 200, fresh["key"])
    surface.told("DELETE", f"/v1/admin/keys/{_id(key)}", 200)
    assert surface.client.get(preview).status_code == 401


def _id(key: str) -> str:
    return key.split("_")[1]


def test_nobody_else_administers(surface: Surface) -> None:
    key = surface.sold()
    paths = {
        (method.upper(), path)
        for path, methods in surface.client.app.openapi()["paths"].items()  # type: ignore[attr-defined]
        for method in methods
        if path.startswith("/v1/admin")
    }
    assert len(paths) == 19
    for method, path in paths:
        filled = path.format(
            account="gazette", plan="1", method="feed", key="x", number="7", job_id="nightly"
        )
        for other in (READ, key):
            assert surface.told(method, filled, 403, other)["code"] == "forbidden"
        assert surface.ask(method, filled, "unknown").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/admin/accounts", {"id": "gazette"}, 409),
        ("POST", "/v1/admin/accounts", {"id": "operator"}, 409),
        ("POST", "/v1/admin/accounts", {"id": "A b"}, 400),
        ("POST", "/v1/admin/accounts", {"id": "a", "colour": "red"}, 400),
        ("POST", "/v1/admin/accounts", {}, 400),
        ("GET", "/v1/admin/accounts/herald", None, 404),
        ("POST", "/v1/admin/accounts/herald/keys", {}, 404),
        ("POST", "/v1/admin/accounts/gazette/keys", {"expires": "2001-01-01T00:00:00Z"}, 400),
        ("POST", "/v1/admin/accounts/gazette/plans", {"name": "x", "entitlements": [9]}, 404),
        ("DELETE", "/v1/admin/accounts/gazette/plans/9", None, 404),
        ("PUT", "/v1/admin/accounts/gazette/quotas/feed", {"minute": 9, "day": 1}, 400),
        ("PUT", "/v1/admin/accounts/gazette/quotas/other-one", {"minute": 1, "day": 1}, 400),
        ("PUT", "/v1/admin/entitlements/9", {"name": "x", "products": ["*"]}, 400),
        ("PUT", "/v1/admin/entitlements/9", {"name": "x", "products": []}, 400),
        ("DELETE", "/v1/admin/entitlements/7", None, 409),
        ("PATCH", "/v1/admin/keys/x", {"expires": "soon"}, 400),
        ("POST", "/v1/admin/keys/x/rotate", {"overlap_seconds": -1}, 400),
        ("GET", "/v1/admin/usage?first=never", None, 400),
        ("GET", "/v1/account/downloads?min_date=2001-01-01", None, 400),
        ("GET", "/v1/account/downloads?colour=red", None, 400),
    ],
)
def test_what_makes_no_sense_is_refused(
    surface: Surface, method: str, path: str, body: Any, status: int
) -> None:
    surface.sold()
    assert surface.told(method, path, status, json=body)["message"]


def test_a_spent_quota_refuses_all_but_kills_and_feeds(surface: Surface) -> None:
    key = surface.sold()
    surface.told(
        "PUT", "/v1/admin/accounts/gazette/quotas/content", 200, json={"minute": 2, "day": 9}
    )
    first = surface.ask("GET", f"/content/{PHOTO}", key)
    assert first.headers["x-mediaapi-q-name"] == "content"
    assert first.headers["x-mediaapi-q-used"] == "1/2"
    assert int(first.headers["x-mediaapi-q-secondsleft"]) == 30
    assert surface.ask("GET", f"/content/{PHOTO}", key).status_code == 200
    refused = surface.ask("GET", f"/content/{PHOTO}", key)
    assert (refused.status_code, refused.headers["x-mediaapi-q-used"]) == (429, "2/2")
    assert 1 <= int(refused.headers["retry-after"]) <= 31
    assert surface.ask("GET", "/v1/account", key).status_code == 200  # another method
    own = surface.ask("GET", f"/content/{PHOTO}", READ)  # a key of the settings has no quota
    assert own.status_code == 200
    assert "x-mediaapi-q-used" not in own.headers
    assert surface.told("GET", "/v1/account", 200, key)["quotas"]["content"] == {
        "minute": 2,
        "day": 9,
    }
    used = {
        (row["method"], row["requests"], row["items"], row["refused"])
        for row in surface.told("GET", "/v1/admin/usage", 200)["usage"]
        if row["account"] == "gazette"
    }
    assert ("content", 2, 2, 1) in used


def test_an_original_costs_what_is_acknowledged_once_a_month(surface: Surface) -> None:
    key = surface.sold(cost=12.5, currency="EUR")
    assert surface.ask("GET", address("preview"), key).status_code == 200
    refused = surface.told("GET", address(), 400, key)
    assert refused["code"] == "price_not_acknowledged"
    assert surface.told("GET", address() + "?price=12.49", 400, key)
    assert surface.told("GET", address() + "?price=dear", 400, key)
    assert surface.told("GET", "/v1/account/downloads", 200, key)["downloads"] == []
    paid = surface.ask("GET", address() + "?price=12.50&currency=EUR", key)
    assert paid.status_code == 200
    assert paid.content == (surface.archive.originals / "dog.jpg").read_bytes()
    again = surface.ask("GET", address(), key)
    assert again.content == paid.content
    (row,) = surface.told("GET", "/v1/account/downloads", 200, key)["downloads"]
    assert (row["uri"], row["charge"], row["currency"]) == (PHOTO, 12.5, "EUR")
    assert (row["org_name"], row["downloaded_by"]) == ("Gazette", "gazette/key")
    table = surface.ask("GET", "/v1/account/downloads?format=csv", key)
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.text.splitlines()[1].split(",")[1] == PHOTO
    usage = surface.ask("GET", "/v1/admin/usage?format=csv&account=gazette").text
    assert [line.split(",")[6:] for line in usage.splitlines()[1:] if ",downloads," in line] == [
        ["1", "12.50 EUR"]
    ]


def test_a_killed_item_is_not_sold_and_its_history_has_no_content(surface: Surface) -> None:
    key = surface.sold(cost=1)
    assert surface.ask("GET", address() + "?price=1", key).status_code == 200
    killed = SetStatus(PHOTO, PubStatus.CANCELED)
    surface.archive.room.engine.set_status([killed])
    assert surface.ask("GET", address() + "?price=1", key).status_code == 404
    (row,) = surface.told("GET", "/v1/account/downloads", 200, key)["downloads"]
    assert row["uri"] == PHOTO
    assert "beach" not in str(row)


def test_an_item_that_is_killed_while_it_is_ordered_costs_nothing(
    surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = surface.sold(cost=1)
    order = Downloads.order

    def killing(self: Downloads, *arguments: Any) -> Any:
        made = order(self, *arguments)
        surface.archive.room.engine.set_status([SetStatus(PHOTO, PubStatus.CANCELED)])
        return made

    monkeypatch.setattr(Downloads, "order", killing)
    assert surface.ask("GET", address() + "?price=1", key).status_code == 404
    (row,) = surface.told("GET", "/v1/account/downloads", 200, key)["downloads"]
    assert row["charge"] == 0


def test_who_did_what_is_in_the_log(surface: Surface) -> None:
    key = surface.sold()
    surface.ask("GET", address(), key)
    surface.ask("GET", "/content/search?q=verysecretwords", key)
    kill = {"pubstatus": "canceled"}
    assert surface.ask("PATCH", f"/content/{PHOTO}/status", "ingest-key-5678", json=kill)
    told = surface.told("GET", "/v1/admin/audit?limit=9", 200)
    entries = [(one["action"], one["who"], one["key"], one["item"]) for one in told["entries"]]
    assert entries == [
        ("kill", "agency", "agency", PHOTO),
        ("download", "gazette", "gazette/key", PHOTO),
        ("key.create", "administrator", "administrator", ""),
        ("plan.add", "administrator", "administrator", ""),
        ("entitlement.put", "administrator", "administrator", ""),
        ("account.create", "administrator", "administrator", ""),
    ]
    assert "verysecretwords" not in str(told)
    assert key not in str(told)
    head = surface.log.head()
    assert str(head) == told["head"]
    assert verified(surface.log.rows_until(head.n), head).fault is None
    only = surface.told("GET", "/v1/admin/audit?action=kill", 200)["entries"]
    assert [one["action"] for one in only] == ["kill"]


def test_a_process_behind_has_the_changes_that_the_one_in_front_had(
    surface: Surface, folder: Path
) -> None:
    """A key that was just created is known where its search runs."""
    database = open_database(folder / "customers.sqlite")
    behind = AccountsInForce(StoredAccounts(database), now, interval_s=3600)
    key = surface.sold()
    services = surface.client.app.state.surface.services  # type: ignore[attr-defined]
    keys = KeyRing.of({}, accounts=behind)
    inner = create_inner_app(replace(services, keys=keys, accounts=None, close=lambda: None))
    scope = {
        "method": "GET",
        "scheme": "http",
        "http_version": "1.1",
        "path": f"/content/{PHOTO}",
        "root_path": "",
        "client": None,
        "server": None,
        "raw_path": f"/content/{PHOTO}".encode(),
        "query_string": b"",
        "headers": [(b"x-api-key", key.encode())],
        "state": {"request_id": "r"},
    }
    version = surface.parts.in_force.version()
    with TestClient(inner):  # ends its pools
        late = run(answered(inner, request_bytes(scope, 0)))
        assert late.startswith(b"[401,")
        known = run(answered(inner, request_bytes(scope, version)))
        assert known.startswith(b"[200,")
    behind.close()
    database.close()
