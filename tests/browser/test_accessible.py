"""Every screen of the page, of the judge page and of the reports: no violation of axe-core's rules
and nothing wider than the window, on a desktop and a phone, in both colour schemes and languages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessible import violations
from tests.browser.conftest import opened
from tests.browser.demo_media import MEDIA, demo_with_media
from tests.browser.judging import judged, pooled_set
from tests.browser.test_reports import DRAWN
from tests.browser.test_reports import opened as report_opened
from tests.eval.report import samples as samples

pytestmark = [pytest.mark.deep, pytest.mark.browser]

STORY = quote("urn:newsml:dateline.example:20261104:election-leader-4", safe="")
TEXT = "The ferry to the islands sails again on Monday after the strike. " * 6
NO_PICTURE = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8no"}
HITS = "#results .hit"
WINDOWS = {
    f"{width} {scheme} {locale[:2]}": (width, height, scheme, locale)
    for (width, height), scheme, locale in product(
        ((1280, 900), (390, 844)), ("light", "dark"), ("en-GB", "es-ES")
    )
}
# An animation that is paused never ends, so none is waited for longer than 3 s.
STILL = """() => Promise.race([
  Promise.all(document.getAnimations()
    .filter(one => one.effect.getTiming().iterations < 100)
    .map(one => one.finished.catch(() => 0))),
  new Promise(done => setTimeout(done, 3000))])"""
WIDER = """() => [document.documentElement, ...document.querySelectorAll('dialog[open]')]
  .filter(node => node.scrollWidth > node.clientWidth).map(node => node.id || 'page')"""


def faults(page: Page) -> list[str]:
    """What axe-core and a ruler say against the screen, once nothing moves."""
    page.evaluate(STILL)
    return [*violations(page), *(f"{name} is too wide" for name in page.evaluate(WIDER))]


def shown(page: Page, address: str, wanted: str = HITS) -> None:
    page.goto(address)
    page.locator(wanted).first.wait_for()
    expect(page.locator("#progress")).to_be_hidden()


def typing(page: Page) -> None:
    shown(page, "/?q=")
    page.locator("#q").press_sequentially("kaly")
    page.locator("#suggestions li").first.wait_for()


def given(page: Page, *files: dict[str, object]) -> None:
    shown(page, "/?q=")
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.locator("#coverage-file").set_input_files(files=files)  # type: ignore[arg-type]
    expect(page.locator("#progress")).to_be_hidden()


def pasted(page: Page) -> None:
    given(page, {"name": "wire.txt", "mimeType": "text/plain", "buffer": TEXT.encode()})


def pictured(page: Page) -> None:
    data = (MEDIA / "reserve-0412.jpg").read_bytes()
    given(page, {"name": "moose.jpg", "mimeType": "image/jpeg", "buffer": data})


def in_view(page: Page, button: str) -> None:
    """Choose grid or list. The browser remembers the choice, so a screen that needs one sets it."""
    page.locator(f"#{button}-view").click()
    expect(page.locator("#progress")).to_be_hidden()


def grid(page: Page) -> None:
    shown(page, "/?q=&type=picture&type=video")
    in_view(page, "grid")
    page.locator(".tile").first.wait_for()


def lightbox(page: Page) -> None:
    shown(page, "/?q=windmill&type=picture")
    in_view(page, "list")
    page.keyboard.press("v")
    page.locator("#lightbox[open]").wait_for()


def crops(page: Page) -> None:
    lightbox(page)
    page.keyboard.press("c")
    page.keyboard.press("c")


def licence(page: Page) -> None:
    lightbox(page)
    page.keyboard.press("d")
    page.locator("#licence[open]").wait_for()


def chosen(page: Page) -> None:
    shown(page, "/?q=ferry&type=text")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("#chosen")).to_be_visible()


def text_file(page: Page) -> None:
    chosen(page)
    page.keyboard.press("d")
    page.locator("#licence[open]").wait_for()


def dates(page: Page) -> None:
    shown(page, "/?q=ferry&since=2025-03-05")
    if page.locator("#fine:not([open])").count():
        page.locator("#fine summary").click()
    expect(page.locator("#since")).to_be_visible()


def film(page: Page) -> None:
    shown(page, "/?q=thank+you&type=video")
    page.keyboard.press("v")
    page.locator("#lightbox video").wait_for()


def player(page: Page) -> None:
    shown(page, "/?q=thank+you&type=video")
    page.locator("button.play").first.click()
    page.locator("#player video").wait_for()


def baskets(page: Page) -> None:
    shown(page, "/?q=ferry")
    page.locator("#baskets-button").click()
    page.locator("#picker[open]").wait_for()


def keeping(page: Page) -> None:
    shown(page, "/?q=ferry")
    page.keyboard.press("b")
    page.locator("#picker[open]").wait_for()


def kept(page: Page) -> None:
    keeping(page)
    page.locator("#picker input").fill("Page one")
    page.locator("#picker .go").click()
    page.locator("#toast button").first.click()
    page.locator("#basket-head .switch").click()
    expect(page.locator("#basket-head .switch")).to_be_checked()


def empty_basket(page: Page) -> None:
    baskets(page)
    page.locator("#picker input").fill("Later")
    page.locator("#picker .go").click()
    page.locator("#results .nothing").wait_for()


def saving(page: Page) -> None:
    shown(page, "/?q=ferry+strike&type=text")
    page.locator("#saved-button").click()
    page.locator("#picker .save-form").wait_for()


def saved(page: Page) -> None:
    saving(page)
    page.locator("#picker .save-form .go").click()
    page.locator("#picker .basket-list li").first.wait_for()


def story(page: Page) -> None:
    shown(page, f"/?q=varland+election&open={STORY}", "#panel .told-list, #panel .told-sum")


def desk_form(page: Page, at: int) -> None:
    story(page)
    page.locator("#panel .desk [aria-expanded]").nth(at).click()
    page.locator("#panel .desk-form").wait_for()


def versions(page: Page) -> None:
    story(page)
    page.locator(".compare-versions").click()
    page.locator(".compared").scroll_into_view_if_needed()


def withheld(page: Page) -> None:
    story(page)
    page.locator("#panel .desk-button").nth(1).click()
    page.locator("#panel .stamp").wait_for()


def brought_back(page: Page) -> None:
    """What the screen before has withheld."""
    page.locator("#panel .desk-undo").click()
    expect(page.locator("#panel")).to_be_hidden()
    expect(page.locator("#toast")).to_be_visible()


def killed(page: Page) -> None:
    shown(page, '/?q="cold+furnaces+by+easter"')
    page.locator(".kill").first.click()
    page.locator("#toast button").nth(1).click()
    page.locator("#panel .stamp").wait_for()


def undone(page: Page) -> None:
    shown(page, "/?q=ferry")
    page.locator("#desk-button").click()
    page.locator("#panel .done-list button").first.click()
    page.locator("#panel .desk-undo").click()
    expect(page.locator("#toast")).to_be_visible()


def log(page: Page) -> None:
    shown(page, "/?q=ferry")
    page.locator("#desk-button").click()
    page.locator("#panel .desk-log").wait_for()


def engineer(page: Page) -> None:
    shown(page, "/?q=ferry+accident")
    if page.locator("#engineer").get_attribute("aria-checked") == "false":
        page.locator("#engineer").click()
    page.locator(".why-button").first.click()
    page.locator(".why select").first.select_option("0")


def missing(page: Page) -> None:
    engineer(page)
    page.locator("#missing > summary").click()
    page.locator("#missing-uri").fill("urn:newsml:dateline.example:20260729:halloran-memo")
    page.locator("#missing-form button").click()
    page.locator("#missing-answer .path").wait_for()


def comparison(page: Page) -> None:
    shown(page, "/?q=ferry+accident&compare=1", ".comparison")


def reader_again(page: Page) -> None:
    engineer(page)
    page.locator("#engineer").click()


def pressed(page: Page, key: str, dialog: str) -> None:
    shown(page, "/?q=ferry")
    page.keyboard.press(key)
    page.locator(f"{dialog}[open]").wait_for()


def key_wanted(page: Page) -> None:
    shown(page, "/?q=ferry")
    page.evaluate("document.querySelector('#key-dialog').showModal()")


def drop(page: Page) -> None:
    shown(page, "/?q=ferry")
    page.evaluate(
        """() => { const carried = new DataTransfer(); carried.setData("text/plain", "x");
        document.querySelector("main").dispatchEvent(
          new DragEvent("dragenter", { dataTransfer: carried, bubbles: true })); }"""
    )
    expect(page.locator("#drop")).to_be_visible()


def consent(page: Page) -> None:
    page.evaluate("localStorage.removeItem('dateline-use-log')")
    shown(page, "/?q=ferry", "#use-log:visible")


def agreed(page: Page) -> None:
    consent(page)
    page.locator("#use-log-yes").click()


def tried(page: Page) -> None:
    shown(page, "/docs", "section.operation")
    page.locator(".try summary").first.click()


# In this order: what a screen changes, a later one takes back.
SCREENS: dict[str, Callable[[Page], None]] = {
    "start": lambda page: shown(page, "/"),
    "consent": consent,
    "agreed": agreed,
    "typing": typing,
    "list": lambda page: shown(page, "/?q=ferry+accident+march+2026+ingrid+solvane&type=text"),
    "filtered": lambda page: shown(page, "/?q=photos+of+ferry&since=2026-01-01&rights=editorial",
                                 "#chips .chip"),
    "misspelt": lambda page: shown(page, "/?q=ingrd+solvain", ".suggestion"),
    "nothing": lambda page: shown(page, '/?q="no+such+phrase"&type=graphic', ".nothing"),
    "problem": lambda page: shown(page, "/?q=ferry&since=2026-03-05&until=2026-03-01", "#problem"),
    "moment": lambda page: shown(page, "/?q=find+where+she+says+thank+you"),
    "grid": grid,
    "lightbox": lightbox,
    "crops": crops,
    "licence": licence,
    "chosen": chosen,
    "text file": text_file,
    "dates": dates,
    "film": film,
    "player": player,
    "keeping": keeping,
    "kept": kept,
    "baskets": baskets,
    "empty basket": empty_basket,
    "saving": saving,
    "saved": saved,
    "pasted": pasted,
    "pictured": pictured,
    "no picture": lambda page: given(page, NO_PICTURE),
    "drop": drop,
    "story": story,
    "embargo": lambda page: desk_form(page, 0),
    "correction": lambda page: desk_form(page, 1),
    "versions": versions,
    "withheld": withheld,
    "brought back": brought_back,
    "killed": killed,
    "undone": undone,
    "log": log,
    "engineer": engineer,
    "missing": missing,
    "comparison": comparison,
    "reader again": reader_again,
    "keys": lambda page: pressed(page, "?", "#shortcuts"),
    "key wanted": key_wanted,
    "docs": tried,
}  # fmt: skip


@pytest.fixture(scope="module")
def demo(demo_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("media")
    with demo_with_media(demo_archive, folder, use_log_accounts="*") as url:
        yield url


@contextmanager
def window(browser: Browser, url: str, name: str) -> Iterator[Page]:
    width, height, scheme, locale = WINDOWS[name]
    answers = {"dateline-use-log": "yes"}
    yield from opened(browser, url, width, height, scheme, locale=locale, kept=answers)


@pytest.mark.parametrize("name", WINDOWS)
def test_every_screen_of_the_page(browser: Browser, demo: str, name: str) -> None:
    found: dict[str, list[str]] = {}
    with window(browser, demo, name) as page:
        page.goto("/docs")  # any page of this origin
        for screen, show in SCREENS.items():
            show(page)
            if said := faults(page):
                found[screen] = said
    assert found == {}


@pytest.mark.parametrize("name", WINDOWS)
def test_every_screen_of_the_judge(browser: Browser, tmp_path: Path, name: str) -> None:
    folder = pooled_set(tmp_path)
    with judged(folder) as address, window(browser, address.partition("#")[0], name) as page:
        page.goto("/")
        page.locator("#problem").wait_for()  # without the key of the address
        found = faults(page)
        page.goto(address)
        page.reload()
        for grade in "310":
            page.locator("#document h3").wait_for()
            found += faults(page)
            page.keyboard.press(grade)
        page.locator("#ended").wait_for()
        found += faults(page)
    assert found == []


@pytest.mark.parametrize("name", [name for name in WINDOWS if name.endswith("en")])
def test_every_report(browser: Browser, tmp_path: Path, name: str) -> None:
    width, height, scheme, _ = WINDOWS[name]
    found: dict[str, list[str]] = {}
    for screen, draw in DRAWN.items():
        path = tmp_path / f"{screen}.html"
        path.write_text(draw(), "utf-8")
        with report_opened(browser, path, {"width": width, "height": height}, scheme) as page:
            page.locator("details").evaluate_all(
                "nodes => { for (const node of nodes) node.open = true; }"
            )
            if said := faults(page):
                found[screen] = said
    assert found == {}
