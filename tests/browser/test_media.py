"""Pictures, shots and a real film on the page, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import opened, unavailable
from tests.browser.film_service import DOG, FERRY, FILM, SHOTS, TEXT, film_service
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
    yield from opened(browser, films[0], 1366, 1000, "light")


@pytest.fixture
def phone(browser: Browser, films: tuple[str, Room]) -> Iterator[Page]:
    yield from opened(browser, films[0], 390, 844, "dark")


def hit(page: Page, uri: str) -> Any:
    return page.locator(f'article.hit[data-uri="{uri}"]')


def loaded(page: Page, selector: str) -> int:
    """How many images have their pixels; waits until all have."""
    page.locator(selector).first.wait_for()
    page.wait_for_function(
        "one => [...document.querySelectorAll(one)].every(i => i.complete && i.naturalWidth > 0)",
        arg=selector,
    )
    return page.locator(selector).count()


def playing(page: Page) -> dict[str, Any]:
    """The player's video once it has a picture."""
    page.wait_for_function(
        "() => (document.querySelector('#player video') || { readyState: 0 }).readyState >= 2"
    )
    found: dict[str, Any] = page.locator("#player video").evaluate(
        "v => ({ at: v.currentTime, length: v.duration, error: v.error && v.error.code })"
    )
    return found


def test_pictures_shots_and_stories_stand_in_one_answer(page: Page) -> None:
    page.goto(QUERY)
    for uri in (FILM, FERRY, DOG, TEXT):
        expect(hit(page, uri)).to_be_visible()
    assert loaded(page, "article.hit .media img.still") == 3
    assert hit(page, TEXT).locator("img").count() == 0
    kinds = page.locator("#facets .facet").first
    for kind, count in (("Picture", 2), ("Video", 1), ("Story", 1)):
        expect(kinds.locator(".facet-value", has_text=kind)).to_contain_text(str(count))


def test_the_strip_shows_the_shots_around_and_marks_the_one_that_answers(page: Page) -> None:
    page.goto(QUERY)
    strip = hit(page, FILM).locator(".strip li")
    expect(strip).to_have_count(7)
    assert loaded(page, ".strip img.still") == 7
    current = hit(page, FILM).locator(".strip .current")
    expect(current).to_have_count(1)
    expect(current).to_have_attribute("aria-current", "true")
    expect(current).to_contain_text("00:02")
    expect(hit(page, FILM).locator(".shot-line")).to_contain_text("00:00:02.000–00:00:04.000")


def test_a_click_plays_from_the_shot(page: Page) -> None:
    page.goto(QUERY)
    parts = []
    page.on("response", lambda answer: parts.append((answer.status, answer.url)))
    hit(page, FILM).locator("button.play").click()
    video = playing(page)
    assert video["error"] is None
    assert 2 <= video["at"] < 4.5
    assert video["length"] == pytest.approx(2 * len(SHOTS), abs=0.5)
    assert any(status == 206 and "/v1/media/original/" in url for status, url in parts)
    expect(page.locator("#player")).to_contain_text("The ferry leaves the quay")
    page.keyboard.press("Escape")
    expect(page.locator("#player video")).to_have_count(0)


def test_each_still_of_the_strip_plays_its_own_shot(page: Page) -> None:
    page.goto(QUERY)
    hit(page, FILM).locator(".strip button").nth(5).click()
    assert 10 <= playing(page)["at"] < 12.5
    expect(page.locator("#player")).to_contain_text("Passengers wave")
    expect(page.locator("#player .machine-mark")).to_be_visible()
    page.locator("#player .close").click()
    hit(page, FILM).locator(".strip button").first.click()
    assert playing(page)["at"] < 2.5


def test_what_a_machine_wrote_is_marked_everywhere(page: Page) -> None:
    page.goto(QUERY)
    mark = hit(page, FERRY).locator(".machine .machine-mark")
    expect(mark).to_have_text("machine-made")
    expect(mark).to_have_attribute("title", re.compile("pixel-1, prompt 4f2a"))
    expect(hit(page, FERRY).locator(".passage")).to_contain_text("The ferry Lusa")
    # Where nobody else says anything, a machine's words are the heading, and still a machine's.
    expect(hit(page, DOG).locator("h2 .machine-mark")).to_be_visible()
    expect(hit(page, DOG).locator("h2 mark")).to_have_text("ferry")
    expect(hit(page, TEXT).locator(".machine-mark")).to_have_count(0)
    hit(page, DOG).locator("a.headline").click()
    expect(page.locator("#panel .machine-credit")).to_contain_text("pixel-1, prompt 4f2a")


def test_the_panel_has_the_film_at_the_shot_and_every_shot(page: Page) -> None:
    page.goto(QUERY)
    hit(page, FILM).locator("a.headline").click()
    shots = page.locator("#panel .shots li")
    expect(shots).to_have_count(len(SHOTS))
    expect(shots.nth(2)).to_contain_text("A gull on a rail")
    expect(shots.nth(2).locator(".machine-mark")).to_be_visible()
    expect(shots.nth(4)).to_contain_text("not described")
    video = page.locator("#panel video")
    expect(video).to_have_attribute("src", re.compile(r"#t=2,4$"))
    page.wait_for_function("() => document.querySelector('#panel video').readyState >= 2")
    assert video.evaluate("v => [v.paused, v.currentTime]") == [True, 2]


def test_a_hit_of_speech_plays_from_its_second_and_says_who_heard_it(page: Page) -> None:
    page.goto("/?q=%22good+night%22")
    line = hit(page, FILM).locator(".found")
    expect(line).to_contain_text("Thank you and good night")
    expect(line.locator("mark").first).to_have_text("good")
    expect(line.locator(".machine-mark")).to_have_attribute("title", re.compile("ear-1, 9c1f"))
    line.locator("button.play-at").click()
    assert 11.4 <= playing(page)["at"] < 13.5
    page.keyboard.press("Escape")
    hit(page, FILM).locator("button.play").click()
    assert 11.4 <= playing(page)["at"] < 13.5
    page.keyboard.press("Escape")
    hit(page, FILM).locator("a.headline").click()
    said = page.locator("#panel .found-in li")
    expect(said).to_have_count(2)
    expect(page.locator("#panel .found-in .machine-mark")).to_have_text("machine-made")
    said.first.locator("button").click()
    assert 0.9 <= playing(page)["at"] < 3.5


def test_text_in_a_picture_is_shown_with_its_reader(page: Page) -> None:
    page.goto("/?q=seen:lusa")
    expect(page.locator("article.hit")).to_have_count(1)
    line = hit(page, FERRY).locator(".found")
    expect(line.locator("mark")).to_have_text("LUSA")
    expect(line.locator(".machine-mark")).to_have_attribute("title", re.compile("reader-1"))
    expect(line.locator("button")).to_have_count(0)


def test_more_like_a_shot(page: Page) -> None:
    page.goto(QUERY)
    link = hit(page, FILM).locator(".shot-line a")
    expect(link).to_have_text("More like this shot")
    with page.expect_response(lambda answer: "similar_to" in answer.url) as answered:
        link.click()
    assert answered.value.ok
    expect(hit(page, FERRY)).to_be_visible()
    expect(hit(page, FILM)).to_have_count(0)


def test_on_a_phone_nothing_is_wider_than_the_screen(phone: Page) -> None:
    phone.goto(QUERY)
    assert loaded(phone, "article.hit .media img.still") == 3
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    hit(phone, FILM).locator("button.play").click()
    assert 2 <= playing(phone)["at"] < 4.5
    box = phone.locator("#player").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_a_film_that_is_killed_is_a_drawing_when_it_is_asked_for_again(
    browser: Browser, tmp_path: Path
) -> None:
    with film_service(tmp_path) as (url, room):
        for page in opened(browser, url, 1366, 1000, "light"):
            page.goto(QUERY)
            assert loaded(page, "article.hit .media img.still") == 3
            room.kill(FILM)
            hit(page, FILM).locator("button.play").click()
            expect(page.locator("#player .remark")).to_contain_text("can't play the file")
            page.locator("#player .close").click()
            page.reload()
            expect(hit(page, TEXT)).to_be_visible()
            expect(hit(page, FILM)).to_have_count(0)
