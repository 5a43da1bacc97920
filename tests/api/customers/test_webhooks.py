"""The routes of webhooks, over real tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.customers.webhook_routes import MOST
from core.callers import Caller
from core.customers.transitions import TransitionKind
from core.customers.webhooks import Endpoint, EndpointState, Message
from core.errors import QueryError
from customers.webhooks.addresses import AddressRules
from customers.webhooks.ports import WebhookPorts
from dateline.serving.webhook_posts import WebhookPosts
from storage.customers.webhooks import StoredWebhooks
from storage.databases import open_database
from tests.api.conftest import OTHER, READ, filled, services_over, serving_app

ACCOUNT = "Morning Post"
NAMES = {
    "good.example": ("93.184.215.14",),
    "bad.example": ("93.184.215.14", "10.0.0.7"),
    "127.0.0.1": ("127.0.0.1",),
    "::1": ("::1",),
}


@dataclass
class World:
    store: StoredWebhooks
    http: httpx.Client
    woken: list[int]
    last: int = 41

    def ask(self, method: str, path: str, body: Any = None, key: str = READ) -> httpx.Response:
        return self.http.request(method, path, json=body, headers={"x-api-key": key})

    def made(self, **body: Any) -> dict[str, Any]:
        answer = self.ask("POST", "/v1/webhooks", {"url": "https://good.example/hook", **body})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found


def no_filter(endpoint: Endpoint, caller: Caller) -> None:
    if "~" in endpoint.query:
        raise QueryError("this can't be a filter", mend="leave ~ out")


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    database = open_database(folder / "customers.sqlite", synced=False)
    store = StoredWebhooks(database)
    posts = WebhookPosts(AddressRules(), resolved=lambda host, _: NAMES.get(host, ()))
    woken: list[int] = []
    ports = WebhookPorts(store, posts.check, no_filter, lambda: 41, lambda: woken.append(1))
    room = filled()
    app = create_app(replace(services_over(room), webhooks=ports))
    with serving_app(room, app) as served:
        yield World(store, served.http, woken)
    posts.close()
    database.close()


def test_a_webhook_is_made_read_changed_and_deleted(world: World) -> None:
    made = world.made(q="ferry", kinds=["shown"], topics=[3])
    assert made["secret"].startswith("whsec_")
    kept = world.store.endpoint(ACCOUNT, made["id"])
    assert (kept.begins, kept.secret) == (41, made["secret"])
    shown = {name: value for name, value in made.items() if name != "secret"}
    path = f"/v1/webhooks/{made['id']}"
    assert world.ask("GET", path).json()["data"] == shown
    assert world.ask("GET", "/v1/webhooks").json()["data"]["items"] == [shown]
    changed = world.ask("PATCH", path, {"state": "paused", "q": ""}).json()["data"]
    assert changed == {**shown, "state": "paused", "q": ""}
    assert world.ask("DELETE", path).status_code == 200
    assert world.ask("GET", path).status_code == 404
    assert world.ask("GET", "/v1/webhooks").json()["data"]["items"] == []


def test_a_webhook_is_its_account_s_alone(world: World) -> None:
    path = f"/v1/webhooks/{world.made()['id']}"
    for method, end, body in (
        ("GET", "", None),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("POST", "/secret", {}),
        ("POST", "/test", None),
        ("GET", "/dead", None),
        ("POST", "/replay", {}),
    ):
        assert world.ask(method, path + end, body, OTHER).status_code == 404
    assert world.ask("GET", "/v1/webhooks", key=OTHER).json()["data"]["items"] == []
    assert world.ask("GET", "/v1/webhooks", key="wrong").status_code == 401


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://good.example/", "https"),
        ("https://bad.example/", "10.0.0.7"),
        ("https://127.0.0.1/", "127.0.0.1"),
        ("https://[::1]/", "::1"),
        ("https://nowhere.example/", "nowhere.example"),
        ("", "https"),
    ],
)
def test_an_address_that_may_not_be_called_is_refused_with_the_reason(
    world: World, url: str, told: str
) -> None:
    made = world.made()
    for answer in (
        world.ask("POST", "/v1/webhooks", {"url": url}),
        world.ask("PATCH", f"/v1/webhooks/{made['id']}", {"url": url}),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "bad_webhook_address")
        assert told in error["message"]
    assert len(world.store.of_account(ACCOUNT)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"url": "https://good.example/", "kinds": ["born"]},
        {"url": "https://good.example/", "q": "a~"},
        {"url": "https://good.example/", "state": "disabled"},
        {"url": "https://good.example/", "secret": "mine"},
        {"url": 5},
        [],
    ],
)
def test_what_can_t_be_served_is_refused(world: World, body: Any) -> None:
    assert world.ask("POST", "/v1/webhooks", body).status_code == 400


def test_an_account_has_a_bounded_number(world: World) -> None:
    for _ in range(MOST):
        world.made()
    answer = world.ask("POST", "/v1/webhooks", {"url": "https://good.example/"})
    assert answer.status_code == 409


def test_a_replaced_secret_signs_beside_the_new_one_for_a_while(world: World) -> None:
    made = world.made()
    path = f"/v1/webhooks/{made['id']}/secret"
    data = world.ask("POST", path, {"overlap_hours": 2}).json()["data"]
    kept = world.store.endpoint(ACCOUNT, made["id"])
    assert (kept.secret, kept.old_secret) == (data["secret"], made["secret"])
    assert data["old_secret_until"]
    assert world.ask("POST", path, {"overlap_hours": 0}).json()["data"]["old_secret_until"] == ""
    assert world.ask("POST", path, {"overlap_hours": -1}).status_code == 400
    told = world.ask("GET", "/v1/webhooks").text
    assert "whsec_" not in told


def test_a_test_is_queued_and_sent_at_once(world: World) -> None:
    made = world.made()
    answer = world.ask("POST", f"/v1/webhooks/{made['id']}/test")
    assert answer.json()["data"] == {"queued": 1}
    (lease,) = world.store.lease("w", {"prompt": 1})
    assert [one.event for one in lease.messages] == ["test"]
    assert world.woken == [1]


def test_dead_letters_are_told_without_contents_and_sent_again(world: World) -> None:
    made = world.made()
    at = datetime(2026, 3, 1, tzinfo=UTC)
    for n in (1, 2, 3):
        world.store.add(Message(made["id"], TransitionKind.SHOWN, f"t{n}", n, at, f"urn:{n}", 4))
    (lease,) = world.store.lease("w", {"prompt": 1})
    for one in lease.messages:
        world.store.fail(lease, one, "HTTP 500", dead=True, too_old_s=1e6)
    path = f"/v1/webhooks/{made['id']}"
    items = world.ask("GET", f"{path}/dead?limit=2").json()["data"]["items"]
    assert [(one["id"], one["uri"], one["why"], one["attempts"]) for one in items] == [
        ("t1", "urn:1", "HTTP 500", 1),
        ("t2", "urn:2", "HTTP 500", 1),
    ]
    number = items[1]["number"]
    rest = world.ask("GET", f"{path}/dead?after={number}").json()["data"]["items"]
    assert [one["id"] for one in rest] == ["t3"]
    again = world.ask("POST", f"{path}/replay", {"numbers": [number]}).json()["data"]
    assert again == {"queued": 1}
    assert world.ask("POST", f"{path}/replay", {}).json()["data"] == {"queued": 2}
    assert world.ask("GET", f"{path}/dead?limit=0").status_code == 400


def test_a_disabled_webhook_that_is_active_again_begins_anew(world: World) -> None:
    made = world.made()
    world.store.add(Message(made["id"], "test", "x", 0, datetime.now(UTC)))
    (lease,) = world.store.lease("w", {"prompt": 1})
    world.store.disable(lease, "HTTP 410")
    kept = world.store.endpoint(ACCOUNT, made["id"])
    world.store.change(replace(kept, begins=3))
    shown = world.ask("GET", f"/v1/webhooks/{made['id']}").json()["data"]
    assert (shown["state"], shown["why"]) == ("disabled", "HTTP 410")
    world.ask("PATCH", f"/v1/webhooks/{made['id']}", {"state": "active"})
    again = world.store.endpoint(ACCOUNT, made["id"])
    assert (again.state, again.begins) == (EndpointState.ACTIVE, 41)


def test_secrets_stand_in_one_answer_only(world: World) -> None:
    made = world.made()
    path = f"/v1/webhooks/{made['id']}"
    answers = [
        world.ask("GET", path),
        world.ask("PATCH", path, {"kinds": ["shown"]}),
        world.ask("GET", f"{path}/dead"),
        world.ask("POST", f"{path}/test"),
    ]
    assert all(made["secret"] not in answer.text for answer in answers)
