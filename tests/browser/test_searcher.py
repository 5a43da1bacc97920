"""The searcher's half of the page: grid, lightbox, licence, baskets, saved searches, drops."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.accessible import violations
from tests.browser.conftest import opened, unavailable
from tests.browser.film_service import DOG, FERRY, TEXT, film_service
from tests.search.room import Room

pytestmark = [pytest.mark.service, pytest.mark.browser]
QUERY = "/?q=ferry+leaves"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Room]]:
    try:
        with film_service(tmp_path_factory.mktemp("films")) as running:
            yield running
    except ImportError as error:  # pragma: no cover
        unavailable(f"the extra [media] is not installed: {error}")


@pytest.fixture
def page(browser: Browser, films: tuple[str, Room]) -> Iterator[Page]:
    yield from opened(browser, films[0], 1280, 900, "light")


@pytest.fixture
def phone(browser: Browser, films: tuple[str, Room]) -> Iterator[Page]:
    yield from opened(browser, films[0], 390, 844, "dark", locale="es-ES", kept={})


def shown(page: Page, query: str = QUERY) -> None:
    page.goto(query)
    page.locator("#results .hit").first.wait_for()


def hit(page: Page, uri: str) -> Any:
    return page.locator(f'#results .hit[data-uri="{uri}"]')


def test_the_first_hit_opens_with_three_keys(page: Page) -> None:
    shown(page, "/?q=")
    page.locator("#q").fill("ferry strike ends")
    with page.expect_response(lambda answer: "/content/search" in answer.url):
        page.keyboard.press("Enter")
    first = page.locator("#results .hit").first
    expect(first).to_have_attribute("data-uri", TEXT)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#panel-title")).to_have_text("Ferry strike ends")


def test_facets_of_pictures_narrow(page: Page) -> None:
    shown(page, "/?q=")
    page.get_by_role("button", name=re.compile("^Landscape 3$")).wait_for()
    page.get_by_role("button", name=re.compile(r"^Lens A\. Lee 1$")).click()
    expect(page.locator("#results .hit")).to_have_count(1)
    expect(hit(page, FERRY)).to_be_visible()
    assert "credit=Lens" in page.url


def test_the_grid_shows_the_same_hits_and_stays(page: Page) -> None:
    shown(page)
    before = page.locator("#results .hit").count()
    page.locator("#grid-view").click()
    expect(page.locator("#results .tile")).to_have_count(before)
    expect(hit(page, FERRY).locator(".tile-credit")).to_have_text("Lens A. Lee")
    page.keyboard.press("j")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#results .hit a.headline").nth(1)).to_be_focused()
    assert violations(page) == []
    page.reload()
    expect(page.locator("#results .tile")).to_have_count(before)
    page.keyboard.press("g")
    expect(page.locator("#results .tile")).to_have_count(0)


def test_the_lightbox_goes_by_keys_and_plays_from_the_shot(page: Page) -> None:
    shown(page, "/?q=&type=picture&type=video")
    page.keyboard.press("v")
    box = page.locator("#lightbox")
    titles = []
    for _ in range(3):
        titles.append(box.locator("h2").inner_text())
        page.keyboard.press("ArrowRight")
    assert len(set(titles)) == 3
    expect(box.get_by_role("button", name="Next")).to_be_disabled()
    assert violations(page) == []
    page.keyboard.press("Home")
    while not box.locator("video").count():
        page.keyboard.press("ArrowRight")
    box.locator(".strip button").nth(3).click()
    page.wait_for_function(
        "() => (document.querySelector('#lightbox video') || {}).readyState >= 2"
    )
    video = box.locator("video")
    assert 6 <= video.evaluate("v => v.currentTime") < 8.5
    page.keyboard.press(" ")
    paused = video.evaluate("v => v.paused")
    page.keyboard.press(" ")
    page.wait_for_function(
        f"() => document.querySelector('#lightbox video').paused !== {str(paused).lower()}"
    )
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(box.locator("video")).to_have_count(0)


def test_space_magnifies_and_crops_are_in_pixels_of_the_file(page: Page) -> None:
    shown(page)
    hit(page, FERRY).locator("button.look").click()
    stage = page.locator(".look-stage")
    page.keyboard.press(" ")
    expect(stage).to_have_class(re.compile("near"))
    expect(stage.locator("img")).to_have_attribute("src", re.compile("/original/"))
    page.keyboard.press(" ")
    page.get_by_role("button", name="1:1").click()
    told = page.locator(".crop-told")
    expect(told).to_have_text("1:1: 600 × 600 px from 150, 0")
    page.locator(".crop").focus()
    page.keyboard.press("ArrowRight")
    expect(told).to_have_text("1:1: 600 × 600 px from 168, 0")
    expect(page.locator(".look-head")).to_contain_text(" of 3")
    assert violations(page) == []


def test_a_download_comes_with_its_licence(page: Page, tmp_path: Path) -> None:
    shown(page)
    hit(page, FERRY).locator("button.look").click()
    page.keyboard.press("d")
    licence = page.locator("#licence")
    expect(licence).to_contain_text("Editorial use only.")
    expect(licence).to_contain_text("Lens A. Lee")
    assert violations(page) == []
    saved: list[Any] = []
    page.on("download", lambda file: saved.append(file))
    licence.get_by_role("button", name="Download both").click()
    expect(licence).to_be_hidden()
    while len(saved) < 2:
        page.wait_for_timeout(20)
    texts = {}
    for one in saved:
        one.save_as(tmp_path / one.suggested_filename)
        texts[one.suggested_filename] = (tmp_path / one.suggested_filename).read_bytes()
    (text,) = (data for name, data in texts.items() if name.endswith("licence.txt"))
    assert b"Terms of use: Editorial use only." in text
    assert FERRY.encode() in text
    assert any(data.startswith(b"\xff\xd8") for data in texts.values())


def test_a_text_is_downloaded_in_a_form_with_its_licence(page: Page, tmp_path: Path) -> None:
    shown(page)
    hit(page, TEXT).locator("a.headline").focus()
    page.keyboard.press("d")
    licence = page.locator("#licence")
    licence.locator("select").select_option("nitf")
    saved: list[Any] = []
    page.on("download", lambda file: saved.append(file))
    licence.get_by_role("button", name="Download both").click()
    expect(licence).to_be_hidden()
    while len(saved) < 2:
        page.wait_for_timeout(20)
    for one in saved:
        one.save_as(tmp_path / one.suggested_filename)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".txt", ".xml"]
    assert b"sails again on Monday" in next(tmp_path.glob("*.xml")).read_bytes()


def test_an_open_story_is_kept_and_left_for_the_next_by_keys(page: Page) -> None:
    shown(page)
    uris = [node.get_attribute("data-uri") for node in page.locator("#results .hit").all()]
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    panel = page.locator("#panel")
    steps = panel.locator(".story-steps")
    expect(steps).to_contain_text(f"1 of {len(uris)}")
    expect(panel.get_by_role("button", name="Previous story")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    expect(steps).to_contain_text(f"2 of {len(uris)}")
    page.keyboard.press("b")
    expect(page.locator("#picker")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(steps).to_contain_text(f"2 of {len(uris)}")
    page.keyboard.press("Escape")
    expect(page.locator(f'a.headline[data-uri="{uris[1]}"]')).to_be_focused()


@pytest.mark.parametrize("left_by", ["ArrowLeft", "Escape"])
def test_a_story_that_was_left_is_not_shown_when_its_answer_comes(page: Page, left_by: str) -> None:
    shown(page)
    second = page.locator("#results .hit").nth(1).get_attribute("data-uri") or ""
    late: list[Route] = []
    held = re.compile(f"/content/{quote(second, safe='')}")
    page.route(held, lambda route: late.append(route), times=1)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    panel = page.locator("#panel")
    expect(panel.locator(".story-steps")).to_contain_text("1 of")
    title = panel.locator("#panel-title").inner_text()
    page.keyboard.press("ArrowRight")
    while not late:
        page.wait_for_timeout(20)
    page.keyboard.press(left_by)
    with page.expect_response(lambda answer: quote(second, safe="") in answer.url) as answered:
        late[0].continue_()
    answered.value.finished()
    page.evaluate("() => new Promise((done) => setTimeout(done, 300))")  # to be shown, if it were
    if left_by == "Escape":
        expect(panel).to_be_hidden()
        expect(page.locator(f'a.headline[data-uri="{second}"]')).to_be_focused()
    else:
        expect(panel.locator("#panel-title")).to_have_text(title)


def test_several_are_chosen_and_kept_together(page: Page) -> None:
    shown(page)
    for uri in (FERRY, DOG, TEXT):
        hit(page, uri).locator("a.headline").focus()
        page.keyboard.press("x")
    expect(page.locator("#chosen-count")).to_have_text("3 items chosen")
    page.locator("#grid-view").click()
    page.locator("#results .tile").first.wait_for()
    hit(page, TEXT).locator(".pick").set_checked(False)
    expect(page.locator("#results .pick:checked")).to_have_count(2)
    assert violations(page) == []
    page.locator("#chosen-keep").click()
    page.locator("#picker input").fill("Ferries")
    page.locator("#picker .go").click()
    expect(page.locator("#chosen")).to_be_hidden()
    page.locator("#toast button").click()
    expect(page.locator("#results .hit")).to_have_count(2)
    expect(hit(page, DOG)).to_be_visible()


def test_a_time_that_is_asked_often_is_one_choice(page: Page) -> None:
    shown(page)
    with page.expect_response(lambda answer: "since=" in answer.url):
        page.locator("#span").select_option("year")
    day = date.fromisoformat(page.locator("#since").input_value())
    assert timedelta(days=363) <= date.today() - day <= timedelta(days=365)
    page.locator("#span").select_option("")
    expect(page.locator("#since")).to_have_value("")
    page.locator("#span").select_option("dates")
    expect(page.locator("#since")).to_be_focused()
    page.locator("#since").fill("2024-03-01")
    expect(page.locator("#span")).to_have_value("dates")


def test_an_engineer_ranks_by_another_profile(page: Page) -> None:
    shown(page)
    with page.expect_response(lambda answer: "profile=vector" in answer.url):
        page.locator("#profile").select_option("vector")
    page.reload()
    expect(page.locator("#profile")).to_have_value("vector")
    page.locator("#compare").click()
    expect(page.locator(".side-title").nth(1)).to_contain_text("vector")
    page.locator("#engineer").click()
    expect(page.locator("#profile")).to_be_hidden()


def test_a_basket_is_filled_shared_and_shows_what_is_killed(
    browser: Browser, tmp_path: Path
) -> None:
    with film_service(tmp_path) as (url, room):
        for page in opened(browser, url, 1280, 900, "light"):
            shown(page)
            hit(page, FERRY).locator(".keep").click()
            page.locator("#picker input").fill("Page one")
            page.locator("#picker .go").click()
            expect(page.locator("#toast")).to_contain_text("Page one")
            hit(page, DOG).locator("a.headline").focus()
            page.keyboard.press("b")
            expect(page.locator("#picker .basket-list button")).to_be_focused()
            assert violations(page) == []
            page.keyboard.press("Enter")
            page.locator("#toast button").click()
            expect(page.locator("#basket-head")).to_contain_text("Page one")
            expect(page.locator("#results .hit")).to_have_count(2)
            address = page.url
            page.get_by_role("switch", name="Shared").click()
            expect(page.get_by_role("switch", name="Shared")).to_be_checked()
            room.kill(FERRY)
            page.goto(address)
            expect(page.locator(".tomb")).to_contain_text(FERRY)
            expect(page.locator("#results .hit:not(.tomb)")).to_have_count(1)
            assert violations(page) == []
            hit(page, DOG).get_by_role("button", name=re.compile("Take out")).click()
            expect(hit(page, DOG)).to_have_count(0)


def test_a_search_is_saved_and_found_again(page: Page) -> None:
    shown(page, "/?q=ferry+strike&type=text")
    page.locator("#saved-button").click()
    form = page.locator("#picker .save-form")
    expect(form.locator("code")).to_have_text('ferry strike AND type:"text"')
    assert violations(page) == []
    form.get_by_role("button", name="Save").click()
    line = page.locator("#picker .basket-list li")
    expect(line).to_contain_text("ferry strike")
    line.locator("button").first.click()
    expect(hit(page, TEXT)).to_be_visible()
    page.locator("#saved-button").click()
    line.get_by_role("button", name=re.compile("No longer follow")).click()
    expect(line).to_have_count(0)


def test_what_can_be_no_topic_is_said(page: Page) -> None:
    shown(page, "/?q=ferry+versioncreated%3A%3Enow-9000d")
    page.locator("#saved-button").click()
    page.locator("#picker .save-form").get_by_role("button", name="Save").click()
    expect(page.locator("#picker .said")).to_contain_text("2026-03-01")


DROPPED = """text => {
  const carried = new DataTransfer();
  carried.setData("text/plain", text);
  for (const type of ["dragenter", "dragover", "drop"]) {
    document.querySelector("main").dispatchEvent(
      new DragEvent(type, { dataTransfer: carried, bubbles: true, cancelable: true }));
  }
}"""


def test_a_dropped_text_finds_its_coverage(page: Page) -> None:
    shown(page)
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.evaluate(DROPPED, "The ferry to the islands sails again on Monday after the strike.")
    assert answered.value.ok
    expect(page.locator("#chips .chip")).to_contain_text("Coverage like")
    expect(hit(page, TEXT)).to_be_visible()
    expect(page.locator("#drop")).to_be_hidden()


def test_a_file_is_chosen_where_nothing_can_be_dropped(page: Page) -> None:
    shown(page)
    text = {"name": "wire.txt", "mimeType": "text/plain", "buffer": b"The ferry sails again."}
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.locator("#coverage-file").set_input_files(files=[text])
    expect(page.locator("#chips .chip")).to_contain_text("The ferry sails again.")


def test_a_story_has_related_pictures(page: Page) -> None:
    shown(page)
    hit(page, TEXT).locator("a.headline").click()
    related = page.locator("#panel .related-pictures button")
    related.first.wait_for()
    related.first.click()
    expect(page.locator("#lightbox .look-head")).to_contain_text("1 of ")
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_visible()


def test_on_a_phone_in_spanish_nothing_is_wider_than_the_screen(phone: Page) -> None:
    shown(phone, "/?q=&type=text")
    assert hit(phone, TEXT).locator("h2").bounding_box()["width"] > 300  # for readers, too
    shown(phone)
    phone.locator("#grid-view").click()
    expect(phone.locator("#results .tile").first).to_be_visible()
    expect(phone.locator("#grid-view")).to_have_text("Cuadrícula")
    assert phone.evaluate("document.documentElement.lang") == "es"
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(phone) == []
    hit(phone, FERRY).locator(".tile-look").click()
    expect(phone.locator("#lightbox")).to_contain_text("Condiciones de uso")
    assert phone.evaluate("document.querySelector('#lightbox').scrollWidth") <= 390
    assert violations(phone) == []
