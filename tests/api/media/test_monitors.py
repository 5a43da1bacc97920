"""AP's operations on monitors, watched sessions and alerts, and items on demand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from api.customers.monitor_json import alert_json, standings_json
from core.callers import Caller
from core.customers.monitors import Alert, AlertKind, ConditionState, ConditionType, Standing
from tests.api.media.customer import Customer, customer
from tests.api.media.overlaid import code_of, faults, needs_contract
from tests.conftest import new_folder

needs_contract()
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
MONITORS = "/media/v/account/monitors"
WANTED: dict[str, Any] = {
    "name": "night",
    "description": "Who is on duty at night",
    "repeatAlerts": "PT30M",
    "notify": [{"channelType": "email", "channelDestinations": ["desk@gazette.example"]}],
    "conditions": [{"type": "idleFeed", "criteria": {"idleTime": "PT10M"}}, {"type": "quality"}],
}


@pytest.fixture(scope="module")
def gazette() -> Iterator[Customer]:
    with customer(new_folder()) as made:
        yield made


def send(made: Customer, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"x-api-key": made.key}
    return made.served.http.request(method, MONITORS + path, json=body, headers=headers)


def data(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert faults("monitorsResponse", answer.json()) == []
    told: dict[str, Any] = answer.json()["data"]
    return told


def test_a_monitor_is_created_read_updated_and_deleted(gazette: Customer) -> None:
    made = data(send(gazette, "POST", "/create", {"monitor": WANTED}))["monitor"]
    assert made["conditions"][0]["criteria"] == {"idleTime": "PT10M"}
    assert data(send(gazette, "GET", ""))["monitors"] == [made]
    for named in ("night", made["id"]):
        assert data(send(gazette, "GET", f"/{named}"))["monitor"] == made
    assert code_of(send(gazette, "POST", "/create", {"monitor": WANTED}))[0] == 400
    changed = {"monitor": {**WANTED, "repeatAlerts": "0"}}
    assert data(send(gazette, "POST", "/night/update", changed))["monitor"]["repeatAlerts"] == "0"
    data(send(gazette, "DELETE", "/night/delete"))
    assert code_of(send(gazette, "GET", "/night")) == (404, 404)
    assert code_of(send(gazette, "DELETE", "/night/delete")) == (404, 404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"monitor": {**WANTED, "name": "no spaces please"}},
        {"monitor": {**WANTED, "conditions": []}},
        {"monitor": {**WANTED, "notify": [{"channelType": "fax", "channelDestinations": ["1"]}]}},
        {"monitor": {**WANTED, "repeatAlerts": "PT1M"}},
    ],
)
def test_a_monitor_that_can_t_be_is_refused(gazette: Customer, body: Any) -> None:
    assert code_of(send(gazette, "POST", "/create", body))[0] == 400


def test_bodies_of_any_content_type_are_read(gazette: Customer) -> None:
    """As the contract has it: a body that is no JSON is refused, whatever it calls itself."""
    headers = {"x-api-key": gazette.key, "content-type": "text/plain"}
    answer = gazette.served.http.post(f"{MONITORS}/create", content=b"{", headers=headers)
    assert code_of(answer)[0] == 400


def test_watched_sessions_are_listed_disabled_and_enabled(gazette: Customer) -> None:
    data(send(gazette, "POST", "/create", {"monitor": {**WANTED, "name": "watch"}}))
    caller = Caller("gazette/desk", frozenset(), customer="gazette")
    gazette.monitoring.seen(caller, "session-1", "watch", label="desk", agent="a1")
    gazette.monitoring.step()
    (one,) = data(send(gazette, "GET", "/sessions"))["sessions"]
    assert (one["session_id"], one["monitor"]["name"]) == ("session-1", "watch")
    assert data(send(gazette, "GET", "/sessions?agentid=a2"))["sessions"] == []
    links = one["monitor"]
    assert TIME.fullmatch(links["last_checked"])
    switched = gazette.get(links["disable_session_monitor"]).json()["data"]["session"]
    assert switched["monitor"]["enabled"] is False
    switched = gazette.get(links["enable_session_monitor"]).json()["data"]["session"]
    assert switched["monitor"]["enabled"] is True
    one = data(send(gazette, "GET", "/sessions/session-1?show_detail=true"))["session"]
    assert one["monitor_detail"]["name"] == "watch"
    assert data(send(gazette, "GET", "/alerts"))["alerts"] == []
    for path in ("/sessions/other", "/sessions/other/enable"):
        assert code_of(send(gazette, "GET", path)) == (404, 404)
    assert code_of(send(gazette, "GET", "/sessions?show_detail=maybe")) == (400, 5001)


def test_times_of_notices_have_no_fractions() -> None:
    """As in the contract; clients of AP fail at others."""
    at = datetime(2026, 3, 15, 10, 15, 1, 999_999, UTC)
    idle, alarm = ConditionType.IDLE_FEED, AlertKind.ALARM
    told = alert_json(Alert("gazette", "night", "s", "", "", idle, alarm, "", at, 1, at))
    assert {told["timestamp"], told["mailed"]} == {"2026-03-15T10:15:01Z"}
    (standing,) = standings_json([Standing(idle, ConditionState.ALARM, "", alerted=at)]).values()
    assert standing["last_alerted"] == told["timestamp"]


def test_items_on_demand_come_until_they_are_confirmed(gazette: Customer) -> None:
    path = "/media/v/content/ondemand"
    gazette.on_demand.send("gazette", ["urn:news:ferry", "urn:news:mixed", "urn:news:none"])
    first = gazette.get(path, page_size="1")
    assert faults("feedresponse", first.json()) == []
    told = first.json()["data"]
    assert [one["item"]["altids"]["itemid"] for one in told["items"]] == ["urn:news:ferry"]
    assert gazette.get(path, page_size="1").json()["data"]["items"] == told["items"]
    second = gazette.get(told["next_page"]).json()["data"]
    assert [one["item"]["altids"]["itemid"] for one in second["items"]] == ["urn:news:mixed"]
    assert len(second["next_page"]) == len(told["next_page"])
    other = gazette.get(path, consumer_id="archive", page_size="1").json()["data"]
    assert other["items"] == told["items"]
    received = gazette.receipts.received("gazette", ["urn:news:ferry", "urn:news:none"])
    assert set(received) == {"urn:news:ferry"}
    named = gazette.get(path, consumer_id="the night desk, Oslo")  # any text, the contract says
    assert len(named.json()["data"]["items"]) == 2
    assert code_of(gazette.get(path, queue="a b")) == (400, 5001)
