"""Suggestions under the search box, and more like a story, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_page import hits

pytestmark = [pytest.mark.service, pytest.mark.browser]


def typed(page: Page, text: str) -> None:
    page.locator("#q").fill("")
    with page.expect_response(lambda answer: f"q={text}&" in answer.url):
        page.locator("#q").press_sequentially(text)
    expect(page.locator("#suggestions")).to_be_visible()


def test_arrows_choose_and_enter_takes(page: Page) -> None:
    page.goto("/?q=harbour")
    hits(page)
    box, options = page.locator("#q"), page.locator("#suggestions [role=option]")
    expect(box).to_have_attribute("aria-expanded", "false")
    typed(page, "varl")
    expect(box).to_have_attribute("aria-expanded", "true")
    expect(options.first).to_contain_text("Varland")
    box.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", "suggestion-0")
    expect(box).to_be_focused()
    box.press("ArrowUp")
    expect(options.first).to_have_attribute("aria-selected", "false")
    box.press("ArrowDown")
    text = options.first.get_attribute("data-text") or ""
    with page.expect_response(lambda answer: "/content/search" in answer.url):
        box.press("Enter")
    expect(box).to_have_value(text)
    expect(page.locator("#suggestions")).to_be_hidden()
    assert hits(page)


def test_escape_closes_and_the_arrows_walk_among_stories_again(page: Page) -> None:
    page.goto("/?q=varland")
    first = hits(page)[0]
    typed(page, "varl")
    page.locator("#q").press("Escape")
    expect(page.locator("#suggestions")).to_be_hidden()
    expect(page.locator("#q")).to_have_value("varl")
    expect(page.locator("#q")).to_be_focused()
    page.locator("#q").press("ArrowDown")
    expect(page.locator(f'a.headline[data-uri="{first}"]')).to_be_focused()


def test_enter_without_a_choice_searches_for_what_was_typed(page: Page) -> None:
    page.goto("/?q=harbour")
    hits(page)
    typed(page, "varl")
    with page.expect_response(lambda answer: "/content/search" in answer.url) as answered:
        page.locator("#q").press("Enter")
    assert "&q=varl&" in answered.value.url
    expect(page.locator("#suggestions")).to_be_hidden()


def test_a_tap_takes_a_suggestion(phone: Page) -> None:
    phone.goto("/?q=harbour")
    hits(phone)
    typed(phone, "varl")
    option = phone.locator("#suggestions [role=option]").first
    text = option.get_attribute("data-text") or ""
    with phone.expect_response(lambda answer: "/content/search" in answer.url):
        option.click()
    expect(phone.locator("#q")).to_have_value(text)


def test_more_like_a_story(page: Page) -> None:
    page.goto("/?q=stolen+paintings")
    first = hits(page)[0]
    link = page.locator(f'article.hit[data-uri="{first}"] a.similar')
    name = (link.get_attribute("aria-label") or "").removeprefix("More like this: ")
    with page.expect_response(lambda answer: "similar_to=" in answer.url) as answered:
        link.click()
    assert answered.value.ok
    expect(page.locator("#progress")).to_be_hidden()
    assert first not in hits(page)
    expect(page.locator("#total")).to_contain_text("nearest")
    chip = page.locator("#chips button", has_text=re.compile("^Like"))
    expect(chip).to_contain_text(name)
    page.go_back()
    expect(page.locator("#q")).to_have_value("stolen paintings")
    expect(page.locator(f'article.hit[data-uri="{first}"]')).to_be_visible()
    page.go_forward()
    chip.click()
    expect(page.locator("#chips button", has_text=re.compile("^Like"))).to_have_count(0)
