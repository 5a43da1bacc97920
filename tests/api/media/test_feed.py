"""AP's feed over a real archive: sessions, links, tombstones, monitors, quotas."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from core.callers import OPERATOR
from core.customers.accounts import Entitlement, Method, Quota
from customers.feed import IDLE
from tests.api.media.archive import KEY, OTHER, WIRE, Whole, whole
from tests.api.media.customer import now
from tests.api.media.overlaid import MONITOR, code_of, faults, needs_contract
from tests.conftest import new_folder
from tests.search.room import story

needs_contract()
FEED = "/media/v/content/feed"


@pytest.fixture
def wire() -> Iterator[Whole]:
    with whole(new_folder()) as made:
        yield made


def page(made: Whole, address: str = FEED, key: str = KEY, **params: str) -> dict[str, Any]:
    answer = made.get(address, key, **params)
    assert answer.status_code == 200, answer.text
    assert faults("feedresponse", answer.json()) == []
    told: dict[str, Any] = answer.json()["data"]
    return told


def following(made: Whole, link: str, key: str = KEY) -> dict[str, Any]:
    """The next page with something in it: a page that took long may end before that."""
    for _ in range(100):
        told = page(made, link, key)
        if told["items"]:
            return told
        link = told["next_page"]
    raise AssertionError(link)


def ids(data: dict[str, Any]) -> list[str]:
    return [one["item"]["altids"]["itemid"] for one in data["items"]]


def test_links_carry_the_query_and_do_not_grow(wire: Whole) -> None:
    first = page(wire, q="headline:ferry", page_size="1", include="headline")
    first = first if first["items"] else following(wire, first["next_page"])
    assert first["query"] == "headline:ferry"
    assert set(first["items"][0]["item"]) == {"uri", "altids", "version", "type", "headline"}
    link = first["next_page"]
    assert set(parse_qs(urlsplit(link).query)) == {"qt", "seq"}
    wire.room.put(story("new", "Another ferry"), story("train", "A train"))
    wire.maker.step()
    second = following(wire, link)
    assert ids(second) == ["new"]
    assert len(second["next_page"]) <= len(link) + 4
    assert following(wire, link)["items"] == second["items"]
    kept = parse_qs(urlsplit(second["next_page"]).query)["qt"]
    assert kept == parse_qs(urlsplit(link).query)["qt"]


def test_an_empty_page_has_a_link_that_stays(wire: Whole) -> None:
    got = page(wire, include="headline")
    more = page(wire, f"{FEED}?{urlsplit(got['next_page']).query}&include=*")
    assert (more["items"], more["current_item_count"]) == ([], 0)
    assert page(wire, more["next_page"])["next_page"] == more["next_page"]
    wire.room.put(story("new", "Another ferry"))
    wire.maker.step()
    (told,) = following(wire, f"{more['next_page']}&include=*")["items"]
    assert {"renditions", "versioncreated", "headline"} <= set(told["item"])


def test_a_session_is_its_account_s(wire: Whole) -> None:
    link = page(wire)["next_page"]
    for address in (f"{FEED}?qt=none&seq=0", f"{FEED}?qt=none&seq=x"):
        assert code_of(wire.get(address)) == (400, 6060)
    assert code_of(wire.get(link, OTHER)) == (400, 6060)


@pytest.mark.parametrize("why", ["unused", "restored"])
def test_a_session_that_ended_is_refused_and_a_new_one_begins(wire: Whole, why: str) -> None:
    link, feed = page(wire)["next_page"], wire.services.feed
    assert feed is not None
    if why == "unused":
        feed._clock = lambda: now() + IDLE + timedelta(minutes=10)
    else:
        wire.book.begin_anew(wire.book.turn())
        feed._epoch = ("", 0.0)  # which it believes for a second
    for address in (link, f"{link}&include=*"):
        assert code_of(wire.get(address)) == (400, 6060)
    feed._clock = now
    assert page(wire)["next_page"] != link


def test_a_date_says_where_a_session_begins(wire: Whole) -> None:
    assert page(wire)["items"]
    assert page(wire, q="mindate:>2100-01-01T00:00:00Z")["items"] == []
    old = page(wire, q="mindate:>2020-01-01")
    assert old["items"] or following(wire, old["next_page"])["items"]


def test_a_new_session_begins_thirty_days_before_the_moment_of_the_archive(wire: Whole) -> None:
    feed = wire.services.feed
    assert feed is not None
    feed._clock = lambda: now() + timedelta(days=31)
    first = page(wire)
    assert first["items"] == []
    wire.room.put(story("new", "Another ferry"))
    wire.maker.step()
    assert ids(following(wire, first["next_page"])) == ["new"]


def test_what_was_killed_is_told_to_who_received_it(wire: Whole) -> None:
    got = page(wire)
    nobody = page(wire, key=OTHER)
    wire.room.kill("b")
    wire.maker.step()
    (told,) = following(wire, got["next_page"])["items"]
    assert set(told["item"]) == {"uri", "altids", "version", "pubstatus"}
    assert (told["item"]["altids"], told["item"]["pubstatus"]) == ({"itemid": "b"}, "canceled")
    assert told["meta"]["transition"]["kind"] == "killed"
    assert page(wire, nobody["next_page"], OTHER)["items"] == []


def test_a_monitor_watches_the_session_that_names_it(wire: Whole) -> None:
    assert code_of(wire.get(FEED, with_monitor="night")) == (400, 5001)
    assert wire.services.monitoring is not None
    wire.services.monitoring.create(WIRE, MONITOR)
    answer = wire.get(FEED, with_monitor="night", session_label="desk").json()
    assert faults("feedresponse", answer) == []
    told = answer["monitor"]
    assert (told["name"], told["label"], told["feed_count"]) == ("night", "desk", 1)
    again = wire.get(answer["data"]["next_page"]).json()
    assert (again["monitor"]["feed_count"], again["session_label"]) == (2, "desk")
    assert again["id"] == answer["id"]
    assert wire.get(told["disable_session_monitor"]).status_code == 200


def test_a_quota_delays_no_kill(wire: Whole) -> None:
    accounts = wire.services.accounts
    assert accounts is not None
    desk = accounts.desk(OPERATOR)
    desk.create_account("gazette")
    desk.put_entitlement(Entitlement(1, "Wire", ("wire",)))
    desk.add_plan("gazette", "All", [1])
    _, key = desk.create_key("gazette", "desk")
    desk.set_quota("gazette", Method.FEED, Quota(1, 100))
    got = page(wire, key=key)
    refused = wire.get(got["next_page"], key)
    assert code_of(refused) == (429, 429)
    wire.room.put(story("new", "Another ferry"))
    wire.room.kill("b")
    wire.maker.step()
    told = page(wire, got["next_page"], key)
    assert ids(told) == ["b"]
    assert parse_qs(urlsplit(told["next_page"]).query) == parse_qs(urlsplit(got["next_page"]).query)


@pytest.mark.parametrize(
    "params",
    [
        {"with_monitor": "abc"},
        {"page_size": "101"},
        {"session_label": "a/b"},
        {"q": "ferr~2 OR (bank"},
        {"versions": "first"},
    ],
)
def test_what_is_invalid_is_refused(wire: Whole, params: dict[str, str]) -> None:
    assert code_of(wire.get(FEED, **params)) == (400, 5001)
