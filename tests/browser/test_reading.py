"""What readers count on: focus that stays, filters in sight, keys that can be off, a way on."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.service


def test_who_walks_by_keys_stays_at_the_filter_that_was_pressed(page: Page) -> None:
    page.goto("/?q=ferry")
    page.locator("#facets").get_by_role("button", name=re.compile(r"^Picture \d+$")).focus()
    page.keyboard.press("Enter")
    chip = page.locator("#chips .chip")
    expect(chip).to_have_count(1)
    expect(page.locator("#facets [aria-pressed=true]").first).to_be_focused()
    chip.focus()
    page.keyboard.press("Enter")
    expect(chip).to_have_count(0)
    expect(page.locator("#results")).to_be_focused()


def test_a_chosen_value_is_in_sight_however_rare_and_all_filters_go_at_once(page: Page) -> None:
    page.goto("/?q=ferry&place=Greece&since=2026-01-01")
    expect(page.locator("#facets").get_by_role("button", name="Greece")).to_be_visible()
    expect(page.locator("#chips")).to_contain_text("from 1 Jan 2026")
    page.get_by_role("button", name="Remove all filters").click()
    expect(page.locator("#chips .chip")).to_have_count(0)


def test_single_keys_can_be_switched_off_for_good(page: Page) -> None:
    page.goto("/?q=ferry")
    expect(page.locator("a.headline").first).to_be_visible()
    page.keyboard.press("?")
    page.get_by_label("use the keys that are single characters").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("a.headline").first).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator("a.headline").first).not_to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("a.headline").first).to_be_focused()


def test_a_list_by_date_shows_no_ranks_and_says_its_order(page: Page) -> None:
    page.goto("/?q=")
    expect(page.locator(".hit").first).to_be_visible()
    expect(page.locator(".ranks")).to_have_count(0)
    assert page.locator("#sort option:checked").inner_text() == "newest first"


def test_a_phrase_that_nothing_has_can_be_asked_for_as_words(page: Page) -> None:
    page.goto("/?q=%22capsized lighthouse%22 NOT storm")
    expect(page.locator("#rail")).to_be_hidden()
    page.get_by_role("button", name="Search for any of these words").click()
    expect(page.locator("#q")).to_have_value("capsized lighthouse")
    expect(page.locator(".hit").first).to_be_visible()


def test_a_search_that_was_not_answered_can_be_asked_again(page: Page) -> None:
    page.goto("/?q=ferry")
    expect(page.locator(".hit").first).to_be_visible()
    page.route("**/content/search?*", lambda route: route.abort(), times=1)
    page.locator("#q").fill("storm")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Search again").click()
    expect(page.locator(".hit").first).to_be_visible()
    page.get_by_role("button", name="Clear the search").click()
    expect(page.locator("#q")).to_be_focused()
    expect(page.locator("#q")).to_have_value("")
