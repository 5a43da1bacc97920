"""The page /docs tries requests with the reader's key, in a real browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.service, pytest.mark.browser]


def opened(page: Page, address: str, key: str = "demo-reader") -> Any:
    """The form of one operation, with a key."""
    page.goto("/docs")
    page.locator("#try-key").fill(key)
    section = page.locator("section.operation").filter(
        has=page.locator(".address", has_text=address)
    )
    section.first.locator(".try summary").click()
    return section.first


def answered(section: Any) -> Any:
    section.get_by_role("button", name="Send").click()
    answer = section.locator(".try-answer")
    expect(answer).to_be_visible()
    return json.loads(answer.text_content())


def test_a_search_with_the_reader_s_key(page: Page) -> None:
    section = opened(page, "GET/content/search")
    section.locator("input[name=q]").fill("ferry")
    section.locator("input[name=page_size]").fill("2")
    section.locator("input[name=type]").fill("text, picture")
    found = answered(section)
    expect(section.locator(".try-status")).to_contain_text("200")
    assert (len(found["data"]["items"]), found["params"]["type"]) == (2, ["text", "picture"])
    page.reload()
    expect(page.locator("#try-key")).to_have_value("demo-reader")


def test_a_wrong_key_and_a_wrong_parameter_are_told(page: Page) -> None:
    section = opened(page, "GET/content/search", "nobody")
    assert answered(section)["error"]["status"] == 401
    page.locator("#try-key").fill("demo-reader")
    section.locator("input[name=page_size]").fill("many")
    with page.expect_response(lambda answer: "/content/search" in answer.url):
        section.get_by_role("button", name="Send").click()
    expect(section.locator(".try-status")).to_contain_text("400")


def test_an_item_s_uri_and_a_body(page: Page) -> None:
    page.goto("/docs")
    section = page.locator("section.operation").filter(
        has=page.locator(".address", has_text="POST/v1/embeddings")
    )
    page.locator("#try-key").fill("demo-ingest")
    section.locator(".try summary").click()
    section.locator("textarea").fill('{"input": ["ferry"]}')
    assert answered(section)["data"][0]["object"] == "embedding"


def test_on_a_phone_the_form_stays_within_the_page(phone: Page) -> None:
    section = opened(phone, "GET/content/search")
    section.locator("input[name=q]").fill("ferry")
    assert answered(section)["data"]["items"]
    width = phone.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    nameless = phone.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea")]
            .filter(node => !(node.textContent.trim() || node.getAttribute("aria-label")
                || (node.labels && node.labels.length))).length"""
    )
    assert nameless == 0
