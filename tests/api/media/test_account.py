"""AP's operations on accounts, for keys of accounts and for keys of the settings."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from api.media.sold import Sold, in_our_words, product_id
from core.customers.accounts import Entitlement, Method, Quota
from tests.api.conftest import INGEST, READ, Served
from tests.api.media.customer import PHOTOS, WIRE, Customer, customer
from tests.api.media.overlaid import code_of, faults, needs_contract
from tests.conftest import new_folder

needs_contract()
ACCOUNT = "/media/v/account"


@pytest.fixture(scope="module")
def gazette() -> Iterator[Customer]:
    with customer(new_folder()) as made:
        yield made


def data(answer: Any, schema: str) -> dict[str, Any]:
    """The data of an answer that is as the contract has it."""
    assert answer.status_code == 200, answer.text
    assert faults(schema, answer.json()) == []
    told: dict[str, Any] = answer.json()["data"]
    return told


def test_an_account_s_addresses_lead_somewhere(gazette: Customer) -> None:
    told = data(gazette.get(ACCOUNT), "accountresponse")
    links = {one["title"]: one["url"] for one in told["links"]}
    for name in ("plans", "downloads", "quotas"):
        assert gazette.get(links[name]).status_code == 200
    assert gazette.get(ACCOUNT).json()["org_name"] == "The Gazette"


def test_plans_have_entitlements_with_meters_and_prices(gazette: Customer) -> None:
    told = data(gazette.get(f"{ACCOUNT}/plans"), "accountplansresponse")
    first, second = told["plans"]
    assert (first["plan_style"], [one["id"] for one in first["entitlements"]]) == (
        "duration",
        [WIRE],
    )
    assert (second["usage_limit"], second["used"], second["interval"]) == (10, 0, "P1M")
    (photos,) = second["entitlements"]
    assert (photos["type"], photos["base_cost"], photos["tier"]) == ("Package", 12.5, "Premium")
    assert parse_qs(urlsplit(photos["search_link"]).query)["q"] == [f"productid:{PHOTOS}"]
    assert gazette.get(photos["search_link"]).status_code == 200


def test_members_of_plans_are_chosen(gazette: Customer) -> None:
    path = f"{ACCOUNT}/plans"
    told = gazette.get(path, include="name,entitlements.id").json()["data"]["plans"]
    assert told[0] == {"name": "News", "entitlements": [{"id": WIRE}]}
    told = gazette.get(path, exclude="entitlements.search_link,updated").json()["data"]["plans"]
    assert "updated" not in told[0]
    assert "search_link" not in told[0]["entitlements"][0]
    assert code_of(gazette.get(path, include="nonsense")) == (400, 5001)


def test_plans_as_a_table(gazette: Customer) -> None:
    answer = gazette.get(f"{ACCOUNT}/plans", format="csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["entitlements.id"] for row in rows] == [str(WIRE), str(PHOTOS)]


def test_a_key_of_the_settings_is_an_account_with_its_products(served: Served) -> None:
    answer = served.get(f"{ACCOUNT}/plans", key=INGEST)
    (plan,) = data(answer, "accountplansresponse")["plans"]
    ids = {one["name"]: one["id"] for one in plan["entitlements"]}
    assert ids == {"photos": product_id("photos"), "wire": product_id("wire")}
    quotas = data(served.get(f"{ACCOUNT}/quotas"), "accountquotasresponse")["quotas"]
    assert {"method": "search", "limit": 30_000, "period": "minute"} in quotas
    assert data(served.get(f"{ACCOUNT}/downloads"), "accountdownloadsresponse")["downloads"] == []


def test_numbers_of_entitlements_stand_for_codes() -> None:
    sold = (Sold(31991, "Wire", ("wire", 'a "b"')), Sold(7, "Seven", ("7",)))
    words = '("wire" OR "a \\"b\\"")'
    assert in_our_words("productid:31991 AND ferry", sold) == f"productid:{words} AND ferry"
    assert in_our_words("productid:(31991 OR 7 OR 8)", sold) == (
        f'productid:({words} OR ("7") OR 8)'
    )
    for same in ("31991 ferries", "productid:wire", 'q:31991 "productid 31991"', ""):
        assert in_our_words(same, sold) == same


def test_a_service_without_topics_has_none(served: Served) -> None:
    answer = served.get(f"{ACCOUNT}/followedtopics")
    assert data(answer, "accountfollowedtopicsresponse")["followedtopics"] == []
    assert served.get(f"{ACCOUNT}/followedtopics", format="csv").text == "id,name\r\n"


def test_quotas_are_told_and_kept(gazette: Customer) -> None:
    quotas = data(gazette.get(f"{ACCOUNT}/quotas"), "accountquotasresponse")
    assert {"method": "search", "limit": 600, "period": "minute"} in quotas["quotas"]


def test_prices_are_told_where_they_are_asked_for(gazette: Customer) -> None:
    item = "/media/v/content/urn:news:photo"
    answer = gazette.get(item, pricing="true")
    price = data(answer, "contentresponse")["meta"]["pricing"]
    assert (price["amount"], price["currency"], price["tier"]) == (12.5, "USD", "Premium")
    assert "pricing" not in gazette.get(item).json()["data"]["meta"]


def test_downloads_are_asked_for_by_dates(gazette: Customer) -> None:
    path, today = f"{ACCOUNT}/downloads", datetime.now(UTC)
    told = data(gazette.get(path), "accountdownloadsresponse")
    assert (told["total_items"], told["current_item_count"]) == (0, 0)
    month = f"{today:%Y-%m}"
    for good in (
        {"min_date": month, "max_date": month},
        {"min_date": "P10D"},
        {"min_date": f"{today - timedelta(days=9):%Y-%m-%dT%H:%M:%S}"},
        {"max_date": f"{today - timedelta(days=100):%Y-%m-%d}"},
        {"order": "17", "format": "csv"},
    ):
        assert gazette.get(path, **good).status_code == 200, good

    def day(ago: int) -> str:
        return f"{today - timedelta(days=ago):%Y-%m-%d}"

    for params, code in (
        ({"min_date": "yesterday"}, 5001),
        ({"min_date": "2026-02-31"}, 5001),
        ({"format": "xml"}, 5001),
        ({"day": "1"}, 5000),
        ({"min_date": day(80), "max_date": day(2)}, 5003),
        ({"min_date": day(-2)}, 5004),
        ({"min_date": day(2), "max_date": day(20)}, 5005),
        ({"min_date": day(420), "max_date": day(400)}, 5006),
    ):
        assert code_of(gazette.get(path, **params)) == (400, code), params


def test_addresses_of_plans_are_below_the_prefix(served: Served) -> None:
    (plan,) = served.get(f"{ACCOUNT}/plans", key=READ).json()["data"]["plans"]
    paths = {urlsplit(one["feed_link"]).path for one in plan["entitlements"]}
    assert paths == {"/media/v/content/feed"}


def test_an_account_over_its_quota_is_told_when_to_come_back() -> None:
    with customer(new_folder()) as made:
        made.desk.set_quota("gazette", Method.SEARCH, Quota(2, 100))
        answers = [made.get("/media/v/content/search") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[0].headers["x-mediaapi-Q-used"] == "1/2"
    assert code_of(answers[2]) == (429, 429)
    assert int(answers[2].headers["retry-after"]) >= 1


def test_an_order_needs_its_price_and_is_in_the_history() -> None:
    with customer(new_folder()) as made:
        made.desk.put_entitlement(Entitlement(WIRE, "The wire", ("wire",), cost=Decimal("2.5")))
        address = "/media/v/content/urn:news:ferry.2/download"
        refused = made.get(address, rid="nitf")
        assert code_of(refused) == (400, 402)
        assert code_of(made.get(address, rid="nitf", price="much")) == (400, 5001)
        item = refused.json()["error"]["item"]
        assert made.get(item, pricing="true").json()["data"]["meta"]["pricing"]["amount"] == 2.5
        assert made.get(f"{ACCOUNT}/downloads").json()["data"]["downloads"] == []
        for _ in range(2):
            assert made.get(address, rid="nitf", price="2.50", currency="USD").status_code == 200
        again, one = data(made.get(f"{ACCOUNT}/downloads"), "accountdownloadsresponse")["downloads"]
        assert (one["charge"], one["currency"], one["item"]["id"]) == (2.5, "USD", "urn:news:ferry")
        assert (again["charge"], again["duplicate"], one["duplicate"]) == (0, True, False)
        assert made.get(f"{ACCOUNT}/downloads", format="csv").text.count("\r\n") == 3
        assert made.get(address, rid="nitf").status_code == 200  # what is paid for needs no price


def test_in_my_plan_leaves_out_associations_that_cost_something(gazette: Customer) -> None:
    inside = {name: {"uri": f"urn:news:{name}", "type": "text"} for name in ("photo", "mixed")}
    document = {"uri": "urn:news:around", "headline": "Around", "associations": inside}
    gazette.served.room.put_documents([document], ["wire"])
    item = "/media/v/content/urn:news:around"
    everything = gazette.get(item).json()["data"]["item"]["associations"]
    included = gazette.get(item, in_my_plan="true").json()["data"]["item"]["associations"]
    assert (set(everything), set(included)) == ({"photo", "mixed"}, {"mixed"})
