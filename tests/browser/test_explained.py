"""Another spelling to be taken, and what a story's age does to its score, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_page import hits

pytestmark = [pytest.mark.service, pytest.mark.browser]


def test_another_spelling_is_offered_and_can_be_taken(page: Page) -> None:
    page.goto("/?q=strom+warning")
    hits(page)
    offered = page.locator(".suggestion button")
    expect(page.locator(".suggestion")).to_have_text("Did you mean storm warning?")
    with page.expect_response(lambda answer: "q=storm+warning" in answer.url):
        offered.click()
    expect(page.locator("#q")).to_have_value("storm warning")
    expect(page.locator(".suggestion")).to_have_count(0)


def test_breaking_shows_what_age_leaves_of_a_score(page: Page) -> None:
    page.goto("/?q=election&profile=breaking")
    hits(page)
    expect(page.locator(".ranks").first).to_contain_text("Recency")
    expect(page.locator(".ranks").first).to_contain_text("×0.")
    page.goto("/?q=election&profile=hybrid")
    hits(page)
    expect(page.locator(".ranks").first).not_to_contain_text("Recency")
