"""The contact sheet in a real browser: on a desk, on a phone, in the dark, by keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from indexing.media.shots.contact_sheet import contact_sheet
from tests.browser.test_reports import DESKTOP, PHONE, opened
from tests.indexing.media.shots.test_contact_sheet import SHEET

pytestmark = [pytest.mark.service, pytest.mark.browser]


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sheet") / "sheet.html"
    path.write_text(contact_sheet(SHEET), "utf-8")
    return path


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_everything_is_seen_at_every_width(
    browser: Browser, sheet: Path, size: dict[str, int], scheme: str
) -> None:
    with opened(browser, sheet, size, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        pictures = page.locator(".shot img")
        expect(pictures).to_have_count(3)
        for number in range(3):
            pictures.nth(number).scroll_into_view_if_needed()
            assert pictures.nth(number).evaluate("one => one.naturalWidth") == 32
            box = pictures.nth(number).bounding_box()
            assert box is not None
            assert box["width"] / box["height"] == pytest.approx(16 / 9, rel=0.02)
        for caption in page.locator("figcaption").all():
            assert caption.evaluate("one => one.scrollWidth <= one.clientWidth")
        ink, paper = page.evaluate(
            "[getComputedStyle(document.body).color, "
            "getComputedStyle(document.body).backgroundColor].map(c => "
            "c.match(/\\d+/g).slice(0, 3).reduce((sum, n) => sum + Number(n), 0))"
        )
        assert (ink > paper) == (scheme == "dark")


def test_the_strip_leads_to_a_shot_by_keyboard(browser: Browser, sheet: Path) -> None:
    with opened(browser, sheet, PHONE, "light") as page:
        for _ in range(4):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#shot-4")).to_be_in_viewport()
        assert page.url.endswith("#shot-4")
