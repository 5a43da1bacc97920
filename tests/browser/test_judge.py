"""A judge grades by keys alone, on the page that the command serves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Browser, Page, expect

from eval.judging.grades import Grades
from eval.judging.pool import pooled, write_pool
from tests.browser.accessible import violations
from tests.browser.conftest import opened

pytestmark = [pytest.mark.service, pytest.mark.browser]
RUN = "import sys; sys.argv[0] = 'dateline'; from dateline.cli import app; app()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("judged")
    stories = [
        {"_id": "a", "title": "Ferry sinks", "text": "The ferry sank off the coast. <b>No one</b>"},
        {"_id": "b", "title": "Harbour opens", "text": "A new harbour."},
    ]
    queries = [{"_id": "q1", "text": "ferry accident"}, {"_id": "q2", "text": "new port"}]
    for name, rows in {"corpus.jsonl": stories, "queries.jsonl": queries}.items():
        (made / name).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    write_pool(made, pooled({"hybrid": {"q1": ("a", "b"), "q2": ("b",)}}, 2))
    return made


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the command prints."""
    data = tmp_path_factory.mktemp("data")
    command = ["eval", "judge", str(folder), "--judge", "ada", "--data", str(data)]
    with subprocess.Popen(
        [sys.executable, "-P", "-c", RUN, *command], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield next(line.strip() for line in process.stdout if line.startswith("http://"))
        process.terminate()


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
