"""`dateline accounts` and `dateline audit`: what they print, refuse, and leave behind."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError
from customers.accounts.keys import digest_of, id_of
from dateline.build.customers.accounts import has_account_keys
from dateline.commands.options import EXIT_INPUT, EXIT_STORAGE
from dateline.serving.keys import key_ring
from dateline.settings import Settings
from tests.dateline.conftest import Cli

SOLD = ("accounts", "entitlement", "put", "31991", "--name", "Top news", "--product", "wire")


@pytest.fixture
def gazette(cli: Cli) -> Cli:
    """An archive with an account that has a plan."""
    cli("accounts", "create", "gazette", "--title", "The Gazette")
    cli(*SOLD, "--product", "photos", "--cost", "12.50", "--currency", "EUR", "--tier", "basic")
    cli("accounts", "plan", "add", "gazette", "Wire", "--entitlement", "31991", "--limit", "9")
    return cli


def key_of(cli: Cli, *options: str) -> dict[str, Any]:
    made: dict[str, Any] = cli.json("accounts", "key", "create", "gazette", *options)
    return made


def test_an_account_is_shown_with_what_it_has(gazette: Cli) -> None:
    made = key_of(gazette, "--name", "desk", "--write", "wire", "--models", "--expires", "90d")
    gazette("accounts", "quota", "set", "gazette", "feed", "--minute", "10", "--day", "1000")
    shown = gazette.json("accounts", "show", "gazette")
    created = shown.pop("created")
    assert datetime.fromisoformat(created).tzinfo
    (plan,) = shown.pop("plans")
    plan.pop("added")
    assert plan == {
        "id": 1,
        "account": "gazette",
        "name": "Wire",
        "entitlements": [31991],
        "style": "downloads",
        "limit": 9,
        "interval": "P1M",
    }
    (key,) = shown.pop("keys")
    assert {**key, "key": made["key"]} == made
    assert key["id"] == id_of(made["key"])
    assert (key["name"], key["writes"], key["inspect"], key["models"]) == (
        "desk",
        ["wire"],
        False,
        True,
    )
    lives = datetime.fromisoformat(key["expires"]) - datetime.fromisoformat(key["created"])
    assert lives == timedelta(days=90)
    assert shown == {
        "id": "gazette",
        "title": "The Gazette",
        "products": ["photos", "wire"],
        "quotas": {"feed": {"minute": 10, "day": 1000}},
    }
    assert gazette.json("accounts", "entitlement", "list") == [
        {
            "id": 31991,
            "name": "Top news",
            "products": ["wire", "photos"],
            "tier": "basic",
            "ticks": 1,
            "cost": 12.5,
            "overage": None,
            "currency": "EUR",
            "day_part": "",
        }
    ]
    assert [one["id"] for one in gazette.json("accounts", "list")] == ["gazette"]


def test_a_key_is_printed_once_and_kept_nowhere(gazette: Cli) -> None:
    key = gazette("accounts", "key", "create", "gazette").stdout.strip()
    assert len(key) > 50
    gazette("accounts", "list")
    secret = key.split("_", 2)[2]
    printed = [
        gazette(*command).output
        for command in (
            ("accounts", "show", "gazette"),
            ("accounts", "key", "list", "gazette"),
            ("audit", "show"),
        )
    ]
    files = [path for path in gazette.data.glob("customers.sqlite*") if path.is_file()]
    assert files
    assert not [text for text in printed if secret in text]
    assert not [path for path in files if secret.encode() in path.read_bytes()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    kept = sqlite3.connect(gazette.data / "customers.sqlite")
    assert kept.execute("SELECT sha256 FROM dateline_account_keys").fetchone() == (
        digest_of(key).hex(),
    )
    kept.close()


def test_keys_are_rotated_expired_and_revoked(gazette: Cli) -> None:
    old = key_of(gazette, "--inspect")["id"]
    new = gazette.json("accounts", "key", "rotate", old, "--overlap", "2h")
    assert (new["inspect"], new["expires"]) == (True, None)
    moment = "2040-01-01T00:00:00Z"
    ended = gazette.json("accounts", "key", "expire", new["key"], "--at", moment)
    assert ended["expires"] == moment
    revoked = gazette.json("accounts", "key", "revoke", new["id"])
    assert revoked["revoked"]
    listed = {one["id"]: one for one in gazette.json("accounts", "key", "list", "gazette")}
    assert set(listed) == {old, new["id"]}
    ends = datetime.fromisoformat(listed[old]["expires"])
    assert ends < datetime.now(UTC) + timedelta(hours=3)
    gazette("accounts", "key", "revoke", new["id"], code=EXIT_INPUT)


def test_what_is_removed_is_gone(gazette: Cli) -> None:
    gazette("accounts", "entitlement", "remove", "31991", code=EXIT_INPUT)
    left = gazette.json("accounts", "plan", "remove", "gazette", "1")
    assert left == {"removed": 1, "products": []}
    gazette.json("accounts", "entitlement", "remove", "31991")
    assert gazette.json("accounts", "entitlement", "list") == []
    gazette.json("accounts", "quota", "clear", "gazette", "feed")


@pytest.mark.parametrize(
    "command",
    [
        ("create", "gazette"),
        ("show", "herald"),
        ("key", "create", "gazette", "--expires", "2001-01-01"),
        ("key", "rotate", "unknown", "--overlap", "soon"),
        ("entitlement", "put", "7", "--name", "x", "--product", "a", "--cost", "dear"),
    ],
)
def test_what_makes_no_sense_is_refused(gazette: Cli, command: tuple[str, ...]) -> None:
    before = gazette.json("accounts", "show", "gazette")
    refused = gazette("accounts", *command, code=EXIT_INPUT)
    assert "mend:" in refused.stderr
    assert gazette.json("accounts", "show", "gazette") == before


def test_a_kill_that_comes_in_a_file_is_in_the_audit_log(cli: Cli, folder: Path) -> None:
    documents = [
        {"uri": "urn:ferry", "version": 1, "headline": "Ferry"},
        {"uri": "urn:ferry", "version": 2, "headline": "Ferry", "pubStatus": "canceled"},
    ]
    wire = folder / "wire.jsonl"
    wire.write_text("\n".join(json.dumps(one) for one in documents), "utf-8")
    for _ in range(2):  # the second time nothing is new
        cli("ingest", wire, "--products", "wire")
    (entry,) = cli.json("audit", "show")
    assert (entry["action"], entry["item"]) == ("kill", "urn:ferry")
    assert cli.json("audit", "verify")["whole"]


def test_every_change_is_in_the_audit_log(gazette: Cli) -> None:
    key = key_of(gazette)["id"]
    gazette("accounts", "key", "revoke", key)
    shown = gazette.json("audit", "show")
    assert [one["action"] for one in shown] == [
        "key.revoke",
        "key.create",
        "plan.add",
        "entitlement.put",
        "account.create",
    ]
    assert {(one["who"], one["key"]) for one in shown} == {("operator", "operator")}
    assert [one["n"] for one in gazette.json("audit", "show", "--action", "plan.add")] == [3]
    assert gazette.json("audit", "show", "--account", "gazette") == []
    assert len(gazette.json("audit", "show", "--limit", "2")) == 2
    gazette("audit", "show", "--action", "plan.ad", code=EXIT_INPUT)


def test_a_changed_log_is_found(gazette: Cli) -> None:
    whole = gazette.json("audit", "verify")
    assert (whole["whole"], whole["entries"], whole["fault"]) == (True, 3, None)
    gazette("accounts", "create", "herald")
    assert gazette.json("audit", "verify", "--head", whole["head"])["entries"] == 4
    gazette("audit", "verify", "--head", "4:beef", code=EXIT_INPUT)
    with sqlite3.connect(gazette.data / "customers.sqlite") as log:
        log.execute("DELETE FROM dateline_audit WHERE n > 2")
    log.close()
    cut = gazette.json("audit", "verify", code=EXIT_STORAGE)
    assert (cut["whole"], cut["fault"], cut["at"]) == (False, "truncated", 3)


def test_a_service_starts_without_keys_in_the_settings_where_accounts_have_some(
    gazette: Cli,
) -> None:
    chosen = Settings(data=gazette.data)
    assert not has_account_keys(Settings(data=gazette.data / "nothing"))
    assert not (gazette.data / "nothing").exists()
    assert not has_account_keys(chosen)
    with pytest.raises(SettingsError):
        key_ring(chosen, has_more=has_account_keys(chosen))
    key_of(gazette)
    ring = key_ring(chosen, has_more=has_account_keys(chosen))
    assert (ring.entries, ring.local_only) == ((), False)
