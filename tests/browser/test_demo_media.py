"""The demo with its photographs and clips, as `make demo-media` has it: what is said, written and
seen in them answers on the page. What a model reads or sees needs that model to be pulled.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Locator, Page, expect

from dateline.build.models.runtimes import model_store
from dateline.settings import configure
from tests.browser.accessible import violations
from tests.browser.conftest import opened
from tests.browser.demo_media import MEDIA, demo_with_media

pytestmark = [pytest.mark.deep, pytest.mark.browser]

ITEM = "urn:newsml:dateline.example:demo-media:"
WIRE = (
    "Passengers were pulled from the water by fishing boats before dawn after an overloaded ferry "
    "went down in a sudden squall, survivors said on Sunday.\n\nThe captain had radioed the "
    "harbour office to say that cars on the lower deck had broken loose. The transport ministry "
    "suspended the operator's licence, and a prosecutor opened an investigation into how many "
    "people had been let on board."
)
# What a browser does with a file that is dropped, and with a text that is pasted.
DROPPED = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), one => one.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.querySelector("main").dispatchEvent(
      new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
  }
}"""
PASTED = """text => {
  const carried = new DataTransfer();
  carried.setData("text/plain", text);
  document.querySelector("#q").dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def demo(demo_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with demo_with_media(demo_archive, tmp_path_factory.mktemp("media")) as url:
        yield url


@pytest.fixture
def page(browser: Browser, demo: str) -> Iterator[Page]:
    yield from opened(browser, demo, 1280, 900, "light", kept={})


@pytest.fixture
def phone(browser: Browser, demo: str) -> Iterator[Page]:
    yield from opened(browser, demo, 390, 844, "dark", locale="es-ES", kept={})


def need(model: str) -> None:
    if model_store(configure().settings).place(model) is None:
        pytest.skip(f"{model} was not pulled: dateline models pull {model}")


def first(page: Page) -> Locator:
    return page.locator("#results .hit").first


def test_where_she_says_thank_you_is_a_second_in_a_clip(page: Page) -> None:
    page.goto("/?q=find+where+she+says+thank+you")
    expect(first(page)).to_have_attribute("data-uri", f"{ITEM}reserve-thanks")
    expect(page.locator("#total")).to_contain_text("1 story")
    line = first(page).locator(".found", has_text="Said")
    expect(line).to_contain_text("Thank you")
    expect(line.locator(".machine-mark")).to_be_visible()

    line.get_by_role("button", name="Play from 00:00").click()
    page.wait_for_function("() => (document.querySelector('video') || {}).readyState >= 2")
    assert page.locator("video").first.evaluate("v => v.currentTime") < 4


def test_the_text_of_a_sign_finds_its_photo(page: Page) -> None:
    need("PP-OCRv6-small-rec")
    page.goto("/?q=137")
    expect(page.locator("#total")).to_contain_text("1 story")
    expect(first(page)).to_have_attribute("data-uri", f"{ITEM}tape")
    expect(first(page).locator(".found")).to_contain_text("137")


def test_a_pasted_story_finds_its_coverage(page: Page) -> None:
    page.goto("/?q=")
    first(page).wait_for()
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.evaluate(PASTED, WIRE)
    expect(page.locator("#chips .chip").first).to_contain_text("Passengers were pulled")
    expect(first(page)).to_have_attribute("data-uri", re.compile("ferry-accident"))


def moose() -> bytes:
    """The demo's moose from another camera: mirrored, cut and smaller."""
    picture = ImageOps.mirror(Image.open(MEDIA / "reserve-0412.jpg"))
    wide, high = picture.size
    cut = picture.crop((wide // 12, high // 12, wide, high)).resize((480, 360))
    out = io.BytesIO()
    cut.save(out, "JPEG", quality=80)
    return out.getvalue()


def test_a_dropped_picture_finds_what_looks_like_it(phone: Page) -> None:
    need("efficientnet-lite0")
    phone.goto("/?q=")
    first(phone).wait_for()
    with phone.expect_response(lambda answer: answer.request.method == "POST") as answered:
        phone.evaluate(DROPPED, ["wire.jpg", "image/jpeg", base64.b64encode(moose()).decode()])
    assert answered.value.ok
    expect(phone.locator("#chips .chip").first).to_contain_text("wire.jpg")
    expect(phone.locator("#notes")).to_contain_text("Comparado por el aspecto")
    alike = {f"{ITEM}reserve-0412", f"{ITEM}reserve-thanks"}  # the clip has a shot of it
    uris = [phone.locator("#results .hit").nth(n).get_attribute("data-uri") for n in range(2)]
    assert set(uris) == alike
    assert violations(phone) == []
    hit = phone.locator(f'#results .hit[data-uri="{ITEM}reserve-0412"]')
    hit.locator("a.similar").click()
    expect(phone.locator("#notes")).to_contain_text("aspecto")
    expect(hit).to_have_count(0)


def test_what_is_no_picture_is_said(page: Page) -> None:
    page.goto("/?q=")
    first(page).wait_for()
    page.evaluate(DROPPED, ["broken.jpg", "image/jpeg", base64.b64encode(b"\xff\xd8no").decode()])
    expect(page.locator("#problem")).to_be_visible()
    expect(page.locator("#problem b")).not_to_be_empty()
