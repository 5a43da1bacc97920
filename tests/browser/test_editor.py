"""The editor's half of the page: the desk's actions and who hears of them, versions, the engineer's
view, and what a reader's key is not shown.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from dateline_client import Client, Entry, MemoryPlace
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessible import violations
from tests.browser.conftest import opened
from tests.demo_service import serving
from tests.free_ports import free_port

pytestmark = [pytest.mark.service, pytest.mark.browser]

READER, DESK = "a-readers-key", "a-desks-key"
PLANT = "urn:newsml:test:plant"
LEAD = "urn:newsml:test:plant-lead"
PRODUCT = "demo"
RING = [
    {"name": "gazette", "key": READER, "products": [PRODUCT]},
    {"name": "night desk", "key": DESK, "products": [PRODUCT], "write": True, "inspect": True},
]
BODY = "The plant closes in May.\n\nIts {number} workers were told on Monday by the mayor."


def story(uri: str, version: int, **members: Any) -> dict[str, Any]:
    return {
        "uri": uri,
        "version": version,
        "type": "text",
        "headline": "Quokkatown plant closes",
        "body_text": BODY.format(number=300),
        "versioncreated": f"2026-03-0{version}T08:00:00Z",
        "urgency": 4,
        **members,
    }


@pytest.fixture(scope="module")
def newsroom(demo_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo with two keys of its own, and a story in two versions and a write-through."""
    data = tmp_path_factory.mktemp("newsroom") / "data"
    shutil.copytree(demo_archive, data)
    with serving(data, free_port(), keys=json.dumps(RING)) as (url, _):
        for document in (
            story(PLANT, 1),
            story(PLANT, 2, headline="Quokkatown plant closes in May", urgency=2),
            story(LEAD, 3, altids={"chain": PLANT}, body_text=BODY.format(number=250)),
        ):
            made = httpx.post(
                f"{url}/content",
                json=document,
                headers={"x-api-key": DESK},
                params={"products": PRODUCT},
                timeout=120,
            )
            assert made.status_code in (200, 201), made.text
        yield url


def with_key(page: Page, key: str, address: str) -> None:
    page.goto(address)
    page.locator("#key").fill(key)
    page.locator("#key").press("Enter")
    expect(page.locator("#key-dialog")).to_be_hidden()
    expect(page.locator("#progress")).to_be_hidden()


@pytest.fixture
def desk(browser: Browser, newsroom: str) -> Iterator[Page]:
    yield from opened(browser, newsroom, 1280, 900, "light", kept={})


class Follower:
    """A customer's mirror by the client, which goes on from the place that it kept."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self.place = MemoryPlace()
        self.mirror: dict[str, str] = {}

    def read(self) -> list[tuple[str, str]]:
        """What is new, as (kind, uri)."""
        heard: list[tuple[str, str]] = []
        with Client(self.url, self.key) as client:
            for entry in client.follow(place=self.place, once=True):
                self._take(entry)
                heard.append((entry.kind, entry.item.uri))
        return heard

    def until(self, kind: str, uri: str) -> None:
        """Reads until it hears this; the service tells within a second."""
        with Client(self.url, self.key) as client:
            for entry in client.follow(place=self.place, wait=10):
                self._take(entry)
                if (entry.kind, entry.item.uri) == (kind, uri):
                    return

    def _take(self, entry: Entry) -> None:
        if entry.item.pubstatus == "usable":
            self.mirror[entry.item.uri] = entry.item.headline
        else:
            self.mirror.pop(entry.item.uri, None)


def test_an_editor_kills_by_keyboard_and_the_follower_hears_it_and_the_undo(
    desk: Page, newsroom: str
) -> None:
    follower = Follower(newsroom, READER)
    follower.read()
    assert LEAD in follower.mirror
    with_key(desk, DESK, "/?q=quokkatown")
    desk.locator("article.hit a.headline").first.focus()
    desk.keyboard.press("Enter")
    panel = desk.locator("#panel")
    expect(panel.locator(".told-list li").first).to_contain_text("gazette")
    expect(panel.locator(".told-yes").first).to_contain_text("feed")
    expect(panel.locator(".hides")).to_contain_text("1 version")
    panel.get_by_label("Reason, for the audit log").focus()
    desk.keyboard.type("the mayor denies it")
    panel.get_by_role("button", name="Kill this story").focus()
    desk.keyboard.press("Enter")
    expect(panel.locator(".stamp")).to_contain_text("Killed")
    follower.until("killed", LEAD)
    assert LEAD not in follower.mirror
    expect(panel.locator(".done-list li").first).to_contain_text("the mayor denies it")
    # The story's earlier item stands for it again, and the desk is told so.
    expect(panel.locator(".others li")).to_have_count(1)
    assert violations(desk) == []
    expect(panel.get_by_role("button", name="Undo the kill")).to_be_visible()
    panel.get_by_role("button", name="Undo the kill").focus()
    desk.keyboard.press("Enter")
    expect(panel).to_be_hidden()
    expect(desk.locator("#toast")).to_be_visible()
    follower.until("shown", LEAD)
    assert LEAD in follower.mirror
    expect(desk.locator(f'article.hit[data-uri="{LEAD}"]')).to_have_count(1)
    desk.get_by_role("button", name="Desk", exact=True).click()
    first = panel.locator(".done-list li")
    expect(first.nth(0)).to_contain_text("Released")
    expect(first.nth(1)).to_contain_text("the mayor denies it")


def test_a_hidden_item_is_undone_from_the_log_after_a_reload(desk: Page, newsroom: str) -> None:
    with_key(desk, DESK, f"/?q=quokkatown&open={quote(PLANT, safe='')}")
    desk.goto(f"/?q=quokkatown&open={quote(LEAD, safe='')}")
    panel = desk.locator("#panel")
    panel.get_by_role("button", name="Withhold").click()
    expect(panel.locator(".stamp")).to_contain_text("Withheld")
    desk.reload()
    expect(panel.locator(".stamp")).to_contain_text("Withheld")
    panel.get_by_label("Reason, for the audit log").fill("asked by legal")
    panel.get_by_role("button", name="Add the reason").click()
    expect(panel.locator(".done-list li").first).to_contain_text("asked by legal")
    panel.get_by_role("button", name="Kill", exact=True).click()
    expect(panel.locator(".stamp")).to_contain_text("Killed")
    panel.get_by_role("button", name="Undo the kill: withheld again").click()
    expect(panel).to_be_hidden()
    desk.get_by_role("button", name="Desk", exact=True).click()
    panel.locator(".done-list button").first.click()
    panel.get_by_role("button", name="Undo the withhold").click()
    expect(desk.locator(f'article.hit[data-uri="{LEAD}"]')).to_have_count(1)


def test_an_embargo_holds_the_newest_version_and_is_lifted(desk: Page) -> None:
    with_key(desk, DESK, "/?q=quokkatown")
    desk.goto(f"/?q=quokkatown&open={quote(LEAD, safe='')}")
    panel = desk.locator("#panel")
    panel.get_by_role("button", name="Embargo", exact=True).click()
    panel.get_by_role("button", name="Put under embargo").click()
    expect(panel.locator(".stamp")).to_contain_text("Under embargo until")
    panel.get_by_role("button", name="Lift the embargo").click()
    expect(desk.locator(f'article.hit[data-uri="{LEAD}"]')).to_have_count(1)


def test_a_correction_is_a_version_that_is_shown_beside_the_one_before(
    desk: Page, newsroom: str
) -> None:
    with_key(desk, DESK, "/?q=quokkatown")
    desk.goto(f"/?q=quokkatown&open={quote(LEAD, safe='')}")
    panel = desk.locator("#panel")
    panel.get_by_role("button", name="Correct", exact=True).click()
    panel.get_by_label("Text").fill(BODY.format(number=240))
    form = panel.locator(".desk-form")
    form.get_by_role("button", name="Record the correction").click()
    expect(form).to_be_visible()  # a correction has a reason
    form.get_by_label("Reason, for the audit log").fill("wrong number")
    form.get_by_role("button", name="Record the correction").click()
    compared = panel.locator(".compared")
    expect(compared.locator("del").first).to_have_text("250")
    expect(compared.locator("ins").first).to_have_text("240")
    assert panel.locator(".pair-body_text del, .pair-body_text ins").count() == 2
    message = desk.locator("#toast")
    expect(message).to_contain_text("version 4")
    assert violations(desk) == []
    heard = httpx.get(
        f"{newsroom}/content/{quote(LEAD, safe='')}", headers={"x-api-key": READER}, timeout=120
    )
    assert "240 workers" in heard.json()["data"]["item"]["body_text"]
    message.get_by_role("button", name="Undo").click()  # above the panel, which is open
    expect(compared.locator("ins").first).to_have_text("250")
    expect(panel.locator(".done-list li").first).to_contain_text("Undo of version 4")


def test_versions_side_by_side_show_words_and_facts(desk: Page) -> None:
    with_key(desk, READER, "/?q=quokkatown")
    desk.goto(f"/?q=quokkatown&open={quote(LEAD, safe='')}")
    panel = desk.locator("#panel")
    panel.get_by_role("button", name="Compare them side by side").click()
    compared = panel.locator(".compared")
    choices = compared.get_by_role("combobox")
    choices.nth(0).select_option(label="write-through, version 1")
    compared.get_by_role("combobox").nth(1).select_option(label="write-through, version 2")
    expect(compared.locator(".pair-headline ins")).to_have_text("in May")
    row = compared.locator(".facts-changed tr", has_text="Urgency")
    expect(row.locator("td").nth(0)).to_have_text("4")
    expect(row.locator("td").nth(1)).to_have_text("2")
    expect(compared).to_contain_text("Text: unchanged")


def test_a_reader_sees_no_desk_and_no_engineers_view(desk: Page, newsroom: str) -> None:
    with_key(desk, READER, "/?q=quokkatown")
    expect(desk.locator("article.hit").first).to_be_visible()
    hidden = "#desk-button:visible, .kill, .ranks, .why-button, .timing:visible, #compare:visible"
    expect(desk.locator(hidden)).to_have_count(0)
    desk.locator("a.headline").first.click()
    expect(desk.locator("#panel .facts")).to_be_visible()
    expect(desk.locator("#panel .desk, #panel .why")).to_have_count(0)
    desk.keyboard.press("Escape")
    switch = desk.get_by_role("switch", name="Engineer's view")
    switch.focus()
    desk.keyboard.press("Space")
    expect(desk.locator(".ranks").first).to_be_visible()
    desk.reload()
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(desk.locator(".ranks").first).to_be_visible()
    switch.click()
    expect(desk.locator(".ranks")).to_have_count(0)


def test_the_desk_speaks_spanish_and_fits_a_phone(browser: Browser, newsroom: str) -> None:
    for page in opened(browser, newsroom, 390, 844, "dark", locale="es-ES", kept={}):
        with_key(page, DESK, f"/?q=quokkatown&open={quote(LEAD, safe='')}")
        expect(page.get_by_role("button", name="Anular esta noticia")).to_be_visible()
        expect(page.locator("#panel .told h4")).to_have_text(re.compile("A quién se avisará"))
        page.get_by_role("button", name="Compararlas lado a lado").click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("#panel").evaluate("node => node.scrollWidth <= node.clientWidth")
