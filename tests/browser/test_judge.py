"""A judge grades by keys alone, on the page that the command serves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from eval.judging.grades import Grades
from tests.browser.accessible import violations
from tests.browser.conftest import opened
from tests.browser.judging import judged, pooled_set

pytestmark = [pytest.mark.service, pytest.mark.browser]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pooled_set(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with judged(folder) as told:
        yield told


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    yield from opened(browser, address.partition("#")[0], 390, 844, "dark")


def test_a_judge_needs_the_keyboard_only(page: Page, address: str, folder: Path) -> None:
    page.goto(address)
    expect(page.locator("#so-far")).to_have_text("0 of 3 graded")
    expect(page.get_by_role("heading", level=2)).to_have_text("ferry accident")
    assert "key" not in page.url
    assert violations(page) == []
    for done, key in enumerate("31", start=1):
        page.keyboard.press(key)
        expect(page.locator("#so-far")).to_have_text(f"{done} of 3 graded")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#unit")).to_have_text("Pair 2 of 3")
    page.keyboard.press("n")
    page.keyboard.type("0 is not a grade here")
    page.keyboard.press("Enter")
    page.keyboard.press("0")
    expect(page.locator("#unit")).to_have_text("Pair 3 of 3")
    page.keyboard.press("2")
    expect(page.locator("#ended")).to_be_visible()
    given = {pair: lines["ada"] for pair, lines in Grades(folder).all().items()}
    assert sorted(line["grade"] for line in given.values()) == [0, 2, 3]
    assert [line["note"] for line in given.values() if "note" in line] == ["0 is not a grade here"]
    page.keyboard.press("Backspace")
    expect(page.locator("#so-far")).to_have_text("2 of 3 graded")
    assert len(Grades(folder).all()) == 2


def test_the_text_of_a_document_is_text(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#document h3")).not_to_be_empty()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#document")).to_contain_text("<b>No one</b>")
    assert page.locator("#document b").count() == 0


def test_the_judge_page_speaks_spanish(browser: Browser, address: str) -> None:
    url = address.partition("#")[0]
    for page in opened(browser, url, 1280, 900, "light", locale="es-ES"):
        page.goto(address)
        expect(page.locator("#grades")).to_contain_text("No tiene nada que ver con la consulta.")
        expect(page.locator("#guideline")).to_contain_text("Piense en un colega")
        expect(page.locator("#unit")).to_have_text(re.compile(r"^Par \d de 3$"))
        page.locator("#language-button").click()
        expect(page.locator("#unit")).to_have_text(re.compile(r"^Pair \d of 3$"))
        assert page.evaluate("document.documentElement.lang") == "en"
