"""Keys of accounts in a running service: created, changed and revoked by the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import httpx
import pytest

from core.customers.accounts import Method
from tests.dateline.conftest import Cli
from tests.dateline.serving.test_serve import served

pytestmark = pytest.mark.service
PATIENCE_S = 120.0


def until(done: Callable[[], bool]) -> None:
    """Asks again until it is done."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def used(cli: Cli) -> tuple[int, int]:
    """The searches of the account, and the items that they found."""
    rows = [row for row in cli.json("accounts", "usage") if row["method"] == "search"]
    own = [row for row in rows if row["account"] == "gazette"]
    return sum(row["requests"] for row in own), sum(row["items"] for row in own)


def test_what_the_command_line_changes_is_in_force_in_a_running_service(
    writing: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_SEARCH_IN", "processes")
    monkeypatch.setenv("DATELINE_SEARCHES", "1")
    quotas = {str(method): {"minute": 5000, "day": 50_000} for method in Method}
    monkeypatch.setenv("DATELINE_ACCOUNT_QUOTAS", json.dumps(quotas))
    with served(writing.data) as (_, client):
        writing("accounts", "create", "gazette")
        writing("accounts", "entitlement", "put", "7", "--name", "Demo", "--product", "demo")
        writing("accounts", "plan", "add", "gazette", "All", "--entitlement", "7")
        key = writing("accounts", "key", "create", "gazette").stdout.strip()

        def ask(path: str) -> httpx.Response:
            return client.get(path, headers={"x-api-key": key})

        until(lambda: ask("/content/urn:ferry").status_code == 200)
        found = ask("/content/search?q=ferry")
        assert found.status_code == 200
        assert found.json()["data"]["items"]
        assert found.headers["x-mediaapi-q-name"] == "search"
        assert found.headers["x-mediaapi-q-used"].endswith("/5000")
        writing("set-status", "urn:ferry", "canceled")
        assert ask("/content/urn:ferry").status_code == 404
        writing("accounts", "plan", "remove", "gazette", "1")
        until(lambda: not ask("/content/search?q=ferry").json()["data"]["items"])
        writing("accounts", "key", "revoke", key)
        until(lambda: ask("/content/search?q=ferry").status_code == 401)
        until(lambda: used(writing)[0] >= 2)  # written some seconds later
        assert used(writing)[1] >= 1
        shown = writing.json("audit", "show")
    assert [one["action"] for one in shown][:3] == ["key.revoke", "plan.remove", "kill"]
    assert (shown[2]["who"], shown[2]["item"]) == ("operator", "urn:ferry")
    assert writing.json("audit", "verify")["whole"]
