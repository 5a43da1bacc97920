"""The page tells which hit was opened, where its account agreed that this is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from api.access.keys import KeyRing
from api.access.services import ApiSettings, Services
from api.app import create_app
from core.customers.use import LoggedQuery
from customers.experiments import LoggedSearch
from customers.use_log import UseLog, UseRules
from search.suggest import Suggester
from storage.customers.use_log import StoredUse
from storage.databases import open_database
from tests.api.conftest import CALLERS, READ
from tests.api.newsroom import Newsroom
from tests.app_server import on_a_port
from tests.browser.accessible import violations
from tests.browser.conftest import opened
from tests.search.room import Room, story

pytestmark = [pytest.mark.service, pytest.mark.browser]


@dataclass
class Kept:
    url: str
    log: UseLog

    def queries(self) -> list[LoggedQuery]:
        now = datetime.now(UTC)
        return [*self.log.store.logged(now - timedelta(days=1), now + timedelta(days=1))]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder: Path = tmp_path_factory.mktemp("clicks")
    room, absent = Room(folder / "room"), Newsroom()
    room.put(story("urn:a", "Ferry strike"), story("urn:b", "The ferry sails"))
    store = StoredUse(open_database(folder / "use.sqlite"))
    log = UseLog(store, UseRules(frozenset({"*"}), 90, 1), lambda: datetime.now(UTC))
    services = Services(
        search=LoggedSearch(room.pipeline, log, lambda: datetime.now(UTC)),
        library=room.engine,
        writer=room.engine,
        ingest=absent,
        status=absent,
        keys=KeyRing.of(CALLERS, local_only=True),
        settings=ApiSettings(demo=True, loopback=True, demo_read_key=READ),
        suggest=Suggester(room.engine),
        use=log,
    )
    with on_a_port(create_app(services)) as url:
        yield Kept(url, log)
    room.engine.close()


AGREED = {"dateline-use-log": "yes"}
FIRST = "article.hit a.headline"


@pytest.fixture
def page(browser: Browser, kept: Kept) -> Iterator[Page]:
    """A reader who agreed."""
    yield from opened(browser, kept.url, 1366, 1000, "light", kept=AGREED)


@pytest.fixture
def new(browser: Browser, kept: Kept) -> Iterator[Page]:
    """A reader who was not asked yet."""
    yield from opened(browser, kept.url, 390, 844, "dark", locale="es-ES", kept={})


def test_an_opened_hit_is_told_once_with_its_place(page: Page, kept: Kept) -> None:
    page.goto("/?q=ferry")
    link = page.locator("article.hit a.headline").nth(1)
    uri = link.get_attribute("data-uri")
    with page.expect_response("**/v1/events") as told:
        link.click()
    assert told.value.json()["data"] == {"kept": 1, "dropped": 0}
    last = kept.queries()[-1]
    assert [(event.uri, event.place) for event in last.events] == [(uri, 2)]


def test_a_reader_is_asked_once_and_nothing_is_kept_before_a_yes(new: Page, kept: Kept) -> None:
    sent: list[str] = []
    new.on("request", lambda request: sent.append(request.url))
    before = len(kept.queries())
    new.goto("/?q=ferry")
    question = new.locator("#use-log")
    expect(question.get_by_role("heading")).to_have_text(re.compile("guardar lo que busca"))
    expect(question).to_contain_text("90 días")
    assert violations(new) == []
    assert new.evaluate("document.documentElement.scrollWidth") <= 390
    new.locator(FIRST).first.click()
    new.locator("#panel[open]").wait_for()
    new.keyboard.press("Escape")
    question.get_by_role("button", name="No, no guardar nada").click()
    new.reload()
    new.locator(FIRST).first.click()
    new.locator("#panel[open]").wait_for()
    new.keyboard.press("Escape")
    expect(question).to_be_hidden()
    assert not [url for url in sent if url.endswith("/v1/events")]
    assert len(kept.queries()) == before
    new.locator("#use-log-change").click()
    question.get_by_role("button", name="Sí, guardarlo").click()
    new.reload()
    with new.expect_response("**/v1/events") as told:
        new.locator(FIRST).first.click()
    assert told.value.json()["data"] == {"kept": 1, "dropped": 0}
    assert len(kept.queries()) == before + 1


def test_an_answer_that_is_not_kept_tells_nothing(page: Page, kept: Kept) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    before = len(kept.queries())
    page.goto("/")  # everything, newest first: no query in words
    page.locator("article.hit a.headline").first.click()
    page.locator("#panel[open]").wait_for()
    assert not [url for url in sent if url.endswith("/v1/events")]
    assert len(kept.queries()) == before
