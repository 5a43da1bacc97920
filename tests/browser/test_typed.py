"""What people type and paste: the demo's examples of it, and a story pasted into the field."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_page import hits

pytestmark = [pytest.mark.service, pytest.mark.browser]

STORY = (
    "Fishing boats pulled passengers from the water before dawn after a ferry went down. "
    'Survivors said: "NOT one life raft (of twelve) opened" AND date:2026-13 is no day. '
)
PASTE = """(field, text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, cancelable: true }));
}"""


def take(page: Page, label: str) -> Any:
    """Open the page, choose an example, and return its answer's data."""
    page.goto("/")
    hits(page)
    with page.expect_response(lambda answer: "/content/search" in answer.url) as caught:
        page.get_by_role("button", name=label, exact=True).click()
    assert caught.value.ok
    expect(page.locator("#progress")).to_be_hidden()
    return caught.value.json()["data"]


def paste(page: Page, text: str) -> Any:
    with page.expect_response(lambda answer: "/content/search" in answer.url) as caught:
        page.locator("#q").evaluate(PASTE, text)
    assert caught.value.ok
    assert caught.value.request.method == "POST"
    expect(page.locator("#progress")).to_be_hidden()
    return caught.value.json()["data"]


def test_a_misspelled_name_is_offered_whole(page: Page, phone: Page) -> None:
    for shown in (page, phone):
        assert take(shown, "A misspelled name")["suggestion"] == "Ingrid Solvane"
        shown.locator(".suggestion .chip").click()
        expect(shown.locator("#q")).to_have_value("Ingrid Solvane")
        assert "solvane" in hits(shown)[0]


def test_nonsense_has_no_strong_hit(page: Page, phone: Page) -> None:
    for shown in (page, phone):
        assert take(shown, "Nonsense")["total_items"] == 0
        assert hits(shown)
        expect(shown.locator("#total b")).to_have_text("Nothing found")


def test_a_spanish_question_finds_the_ferry_and_says_what_is_missing(page: Page) -> None:
    data = take(page, "In Spanish")
    assert "ferry" in data["items"][0]["item"]["uri"]
    assert data["understood"]["language"] == "es"
    expect(page.locator("#notes li").first).to_be_visible()


def test_a_pasted_story_finds_coverage_like_it(page: Page, phone: Page) -> None:
    for shown in (page, phone):
        take(shown, "A pasted story")
        assert any("ferry" in uri for uri in hits(shown)[:3])
        chip = shown.locator("#chips .chip")
        expect(chip).to_contain_text("Passengers were pulled")
        expect(shown.locator("#q")).to_have_value("")
        chip.click()
        expect(chip).to_have_count(0)


def test_a_story_takes_the_place_of_the_query_in_the_field(page: Page) -> None:
    page.goto("/")
    hits(page)
    expect(page.locator("#q")).not_to_have_value("")
    data = paste(page, STORY * 3)
    assert data["query"] == ""
    assert any("ferry" in uri for uri in hits(page)[:3])
    expect(page.locator("#chips .chip")).to_contain_text("Fishing boats pulled")
    page.reload()
    assert any("ferry" in uri for uri in hits(page)[:3])


def test_a_longer_text_is_cut_and_that_is_said(page: Page) -> None:
    page.goto("/?q=")
    hits(page)
    paste(page, "Fähre " + STORY * 8000)
    expect(page.locator("#chips .chip")).to_contain_text(re.compile("megabyte.*Fähre Fishing"))


def test_a_short_text_stays_in_the_field(page: Page) -> None:
    page.goto("/?q=")
    hits(page)
    taken = page.locator("#q").evaluate(
        f"(field) => {{ const before = location.href; ({PASTE})(field, 'ferry'); "
        "return before !== location.href; }"
    )
    assert taken is False
