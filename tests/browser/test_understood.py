"""What was made of the query, as chips that can be taken out, in the reader's zone and locale."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.test_page import hits

pytestmark = [pytest.mark.service, pytest.mark.browser]


def searched(page: Page, address: str) -> tuple[dict[str, list[str]], Any]:
    """The parameters of the page's search, and its answer's data."""
    with page.expect_response(lambda answer: "/content/search" in answer.url) as caught:
        page.goto(address)
    answer: Response = caught.value
    return parse_qs(urlsplit(answer.url).query), answer.json()["data"]


def test_a_month_is_one_of_the_readers_zone(page: Page, overseas: Page) -> None:
    for reader, zone, since in (
        (page, "Europe/Berlin", "2026-02-28T23:00:00+00:00"),
        (overseas, "America/New_York", "2026-03-01T05:00:00+00:00"),
    ):
        asked, data = searched(reader, "/?q=ferry+accident+march+2026")
        assert asked["tz"] == [zone]
        assert data["understood"]["dates"][0]["since"] == since
    expect(page.locator(".understood .chip")).to_have_text(
        re.compile(r"^march 2026 1\s?–\s?31 Mar 2026×$")
    )
    expect(overseas.locator(".understood .chip")).to_have_text(
        re.compile(r"^march 2026 Mar 1\s?–\s?31, 2026×$")
    )
    expect(page.locator("#zone")).to_have_text("days in Berlin")
    expect(overseas.locator("#zone")).to_have_text("days in New York")


def test_days_of_the_date_fields_are_the_readers(overseas: Page) -> None:
    asked, data = searched(overseas, "/?q=ferry&since=2026-03-15&until=2026-03-15")
    assert (asked["since"], asked["tz"]) == (["2026-03-15"], ["America/New_York"])
    times = [item["item"]["versioncreated"] for item in data["items"]]
    assert times
    assert all("2026-03-15T04:00" <= time < "2026-03-16T04:00" for time in times)
    expect(overseas.locator("#chips .chip")).to_contain_text("Mar 15, 2026")


def test_one_date_can_be_taken_as_words_and_back(page: Page) -> None:
    page.goto("/?q=ferry+accident+march+2026+since+2020")
    hits(page)
    page.get_by_role("button", name=re.compile("Take “march 2026”")).click()
    chips = page.locator(".understood .chip")
    expect(chips.nth(0)).to_have_text("march 2026 taken as words↺")
    expect(chips.nth(1)).to_contain_text("since 2020 from")
    assert "ignore=march+2026" in page.url
    page.reload()
    page.get_by_role("button", name="Read “march 2026” as a date again").click()
    expect(chips.nth(0)).to_contain_text("31 Mar 2026")
    assert "ignore" not in page.url


def test_what_is_ignored_is_forgotten_with_its_words(page: Page) -> None:
    page.goto("/?q=ferry+accident+march+2026&ignore=march+2026")
    hits(page)
    page.locator("#q").fill("ferry accident")
    page.locator("#q").press("Enter")
    expect(page.locator(".understood")).to_have_count(0)
    assert "ignore" not in page.url
    expect(page.locator(".notes")).to_have_text("")


def test_dates_as_a_whole_can_be_words(page: Page) -> None:
    page.goto("/?q=ferry+accident+march+2026&dates=off")
    expect(page.locator(".understood")).to_contain_text("Dates taken as words")
    page.get_by_role("button", name="Read dates as dates again").click()
    expect(page.locator(".understood")).to_contain_text("31 Mar 2026")


@pytest.mark.parametrize("writer", ["page", "overseas"])
def test_the_other_reading_of_a_date(writer: str, request: pytest.FixtureRequest) -> None:
    reader: Page = request.getfixturevalue(writer)
    first, other = ("from 3 Apr 2025", "or since 4 Mar 2025?")
    if writer == "overseas":
        first, other = ("from Mar 4, 2025", "or since Apr 3, 2025?")
    reader.goto("/?q=ferry+since+03/04/2025")
    expect(reader.locator(".understood .chip")).to_contain_text(first)
    reader.get_by_role("button", name=other).click()
    iso = "2025-03-04" if writer == "page" else "2025-04-03"
    expect(reader.locator("#q")).to_have_value(f"ferry since {iso}")
    expect(reader.locator(".other-reading")).to_have_count(0)


def test_names_can_filter_or_be_words(page: Page) -> None:
    page.goto("/?q=ingrid+solvane")
    hits(page)
    chip = page.get_by_role("button", name=re.compile("Take “ingrid solvane”"))
    expect(chip).to_contain_text("person Ingrid Solvane, ranks higher")
    page.get_by_role("button", name="Only stories with it").click()
    expect(chip).to_contain_text("asked for")
    assert "entities=filter" in page.url
    chip.click()
    expect(page.locator(".understood")).to_contain_text("ingrid solvane taken as words")
    assert "ignore=ingrid+solvane" in page.url
    page.get_by_role("button", name="Read “ingrid solvane” as a person again").click()
    expect(chip).to_contain_text("asked for")


def test_a_locale_that_the_service_does_not_know_is_left_out(page: Page) -> None:
    page.add_init_script(
        "Object.defineProperty(navigator, 'language', {get: () => 'en-US-u-hc-h12'})"
    )
    asked: list[dict[str, list[str]]] = []
    page.on(
        "request",
        lambda one: (
            asked.append(parse_qs(urlsplit(one.url).query))
            if "/content/search" in one.url
            else None
        ),
    )
    page.goto("/?q=ferry")
    assert hits(page)
    page.locator("#compare").click()
    expect(page.locator(".comparison")).to_be_visible()
    assert [one.get("locale") for one in asked] == [["en-US-u-hc-h12"], None, None, None]
    assert {one["tz"][0] for one in asked} == {"Europe/Berlin"}


def test_a_facet_keeps_its_other_values(page: Page) -> None:
    page.goto("/?q=solvane")
    hits(page)
    page.get_by_role("button", name=re.compile(r"^Picture \d+$")).click()
    expect(page.locator("#chips .chip")).to_have_count(1)
    page.get_by_role("button", name=re.compile(r"^Story \d+$")).click()
    expect(page.locator("#chips .chip")).to_have_count(2)
    assert set(page.locator("#results .badge").all_inner_texts()) == {"Picture", "Story"}


def test_subjects_with_broader_topics(page: Page) -> None:
    page.goto("/?q=subject:cycling")
    hits(page)
    subjects = page.locator("#facets .facet", has=page.get_by_role("heading", name="Subject"))
    expect(subjects.get_by_role("button", name="competition discipline")).to_have_count(0)
    subjects.get_by_role("button", name="With broader topics").click()
    expect(subjects.get_by_role("button", name=re.compile("^sport 2$"))).to_be_visible()
    expect(subjects.get_by_role("button", name="competition discipline 2")).to_be_visible()
    assert "facet_subjects=broader" in page.url
    subjects.get_by_role("button", name="Only as filed").click()
    expect(subjects.get_by_role("button", name="competition discipline")).to_have_count(0)


def test_a_kind_of_item_is_a_chip_that_can_be_taken_out(page: Page) -> None:
    _, data = searched(page, "/?q=photos+of+the+ferry")
    assert [kind["types"] for kind in data["understood"]["kinds"]] == [["picture"]]
    assert {item["item"]["type"] for item in data["items"]} <= {"picture"}
    chips = page.locator(".understood .chip")
    expect(chips.nth(0)).to_contain_text("photos of")
    page.get_by_role("button", name=re.compile("Take “photos of”")).click()
    expect(chips.nth(0)).to_have_text("photos of taken as words↺")
    assert "ignore=photos+of" in page.url


def test_a_moment_that_no_recording_has_is_answered_by_texts(page: Page) -> None:
    _, data = searched(page, "/?q=find+where+he+says+cold+furnaces+by+easter")
    assert [kind["widened"] for kind in data["understood"]["kinds"]] == [True]
    assert data["items"][0]["item"]["type"] == "text"
    expect(page.locator(".understood .chip")).to_contain_text("all kinds")
    expect(page.locator(".notes .widened")).to_contain_text("No videos or sound")
