"""Reports in a real browser: from a file, without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from eval import report
from eval.compare.drift import weeks
from eval.compare.experiment import find
from tests.eval.compare.test_experiment import MIXED, NOW, asked
from tests.eval.report import samples as samples

pytestmark = [pytest.mark.service, pytest.mark.browser]
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


VOTES = [asked(number, 3 if number % 5 else 2) for number in range(600)]
DRAWN: dict[str, Callable[[], str]] = {
    "run": lambda: report.run_page([samples.result(hostile=True, collection=samples.HOSTILE[1])]),
    "comparison": lambda: report.comparison_page(*samples.comparison(hostile=True)),
    "gate": lambda: report.gate_page(samples.verdict(-0.04, 0.9, hostile=True)),
    "sweep": lambda: report.sweep_page(samples.sweep()),
    "growth": lambda: report.growth_page(*samples.growth()),
    "fusion": lambda: report.fusion_page(samples.tuning(gain=0.05)),
    "experiment": lambda: report.experiment_page(find(MIXED, VOTES, NOW), ["Ten votes a day."]),
    "drift": lambda: report.drift_page(weeks(VOTES)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


def drawn(folder: Path, name: str) -> Path:
    """The page's file, drawn once for all tests."""
    path = folder / f"{name}.html"
    if not path.exists():
        path.write_text(DRAWN[name](), "utf-8")
    return path


@contextmanager
def opened(browser: Browser, path: Path, size: dict[str, int], scheme: str) -> Iterator[Page]:
    """The page from its file; anything asked for or said on the console is a fault."""
    context = browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        color_scheme="dark" if scheme == "dark" else "light",
        offline=True,
    )
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.on("request", lambda request: faults.append(request.url))
    page.goto(path.as_uri())
    faults.remove(path.as_uri())
    try:
        yield page
    finally:
        context.close()
    assert faults == []


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_a_page_opens_quietly_and_fits(
    browser: Browser,
    folder: Path,
    name: str,
    size: dict[str, int],
    scheme: str,
) -> None:
    with opened(browser, drawn(folder, name), size, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        assert page.title() != "owned"
        assert page.locator("img, iframe, object").count() == 0
        page.locator("details").evaluate_all(
            "nodes => { for (const node of nodes) node.open = true; }"
        )
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        plots = page.locator(".plot svg")
        widths = plots.evaluate_all(
            "nodes => nodes.map(node => node.getBoundingClientRect().width)"
        )
        assert widths
        assert min(widths) > 300
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(21, 20, 18)") == (scheme == "dark")


def test_a_table_is_sorted_and_scrolled_by_keyboard(
    browser: Browser,
    folder: Path,
) -> None:
    with opened(browser, drawn(folder, "comparison"), PHONE, "light") as page:
        box = page.locator(".scroll").first
        box.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.querySelector('.scroll').scrollLeft > 0")
        table = page.locator("table").first
        head = table.get_by_role("button", name="difference")
        place = head.evaluate("node => [...node.closest('tr').children].indexOf(node.parentNode)")
        cells = table.locator(f"tbody td:nth-child({place + 1})")

        def keys() -> list[float]:
            return [float(cell.get_attribute("data-key") or "nan") for cell in cells.all()]

        head.press("Enter")
        assert keys() == sorted(keys(), reverse=True)
        expect(table.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
        head.press("Enter")
        assert keys() == sorted(keys())


def test_two_answers_stand_side_by_side_and_below_each_other_on_a_phone(
    browser: Browser,
    folder: Path,
) -> None:
    for size, aside in ((DESKTOP, True), (PHONE, False)):
        with opened(browser, drawn(folder, "comparison"), size, "light") as page:
            answers = page.locator("details.answers").first
            answers.locator("summary").press("Enter")
            lists = answers.locator(".lists > div")
            expect(lists.nth(1)).to_be_visible()
            one, other = lists.nth(0).bounding_box(), lists.nth(1).bounding_box()
            assert one is not None
            assert other is not None
            assert (one["y"] == other["y"]) == aside
