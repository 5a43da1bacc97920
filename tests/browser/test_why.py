"""Why a hit is where it is: the picture adds up, for each hit, and two hits can be compared."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.test_page import ELECTION, MEMO, hits

pytestmark = [pytest.mark.service, pytest.mark.browser]

FERRY = "urn:newsml:dateline.example:20260315:ferry-accident-3"


def number_in(text: str) -> float:
    return float(re.sub(r"[^\d.−]", "", text).replace("−", "-"))


def gives(picture: Locator) -> dict[str, float]:
    """What each line of the picture gives, by its name."""
    lines = picture.locator(".why-row").evaluate_all(
        "all => all.map(one => [one.querySelector('.why-name').textContent,"
        " one.querySelector('.why-gives').textContent])"
    )
    return {str(name): number_in(str(value)) for name, value in lines}


def unfolded(page: Page, number: int) -> Locator:
    button = page.get_by_role("button", name=f"Why number {number}?", exact=True)
    expect(button).to_have_attribute("aria-expanded", "false")
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    return page.get_by_role("region", name=f"Why it is number {number}", exact=True)


def test_each_hits_picture_adds_up_to_its_score(page: Page) -> None:
    page.goto("/?q=ferry+kalymira")
    count = len(hits(page))
    for number in (1, 2, 3, count):
        told = gives(unfolded(page, number))
        meanings = {"Meaning, model 1", "Meaning, model 2"}  # two encoders are the default
        assert set(told) == {"Words", "Names", "Score"} | meanings
        score = told.pop("Score")
        assert sum(told.values()) == pytest.approx(score, abs=0.002)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_bar_is_as_long_as_the_score(page: Page) -> None:
    page.goto("/?q=ferry+kalymira")
    hits(page)
    picture = unfolded(page, 2)
    bar = picture.locator(".why-total .bar")
    kinds = bar.locator(".bar-fill").evaluate_all("all => all.map(one => one.className)")
    assert kinds == ["bar-fill lex", "bar-fill vec", "bar-fill vec-2", "bar-fill nam"]
    widths = bar.locator(".bar-fill").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().width)"
    )
    whole = bar.evaluate("node => node.getBoundingClientRect().width")
    assert sum(widths) / whole == pytest.approx(gives(picture)["Score"], abs=0.01)


def test_age_is_drawn_as_what_it_took(page: Page) -> None:
    page.goto("/?q=ferry&profile=breaking")
    hits(page)
    told = gives(unfolded(page, 1))
    assert told["Fused"] * told["Age"] == pytest.approx(told["Score"], abs=0.002)
    expect(page.locator(".why-total .bar-fill.lost")).to_have_count(1)


def test_two_hits_are_compared_part_by_part(page: Page) -> None:
    page.goto("/?q=ferry+kalymira")
    hits(page)
    picture = unfolded(page, 2)
    picture.get_by_label("Compare with").select_option(index=1)
    expect(picture.locator(".why-apart")).to_have_text(
        re.compile(r"#2 has 0\.\d{3} less than #1; \w+ costs it the most \(−0\.\d{3}\)\.")
    )
    cells = picture.locator("tbody tr").evaluate_all(
        "all => all.map(row => [...row.querySelectorAll('td')].map(cell => cell.textContent))"
    )
    values = [[number_in(cell) for cell in row] for row in cells]
    for own, other, apart in values:
        assert own - other == pytest.approx(apart, abs=0.0021)
    assert sum(row[2] for row in values[:-1]) == pytest.approx(values[-1][2], abs=0.004)


def test_the_panel_has_the_picture_and_a_list_by_date_has_none(page: Page) -> None:
    page.goto(f"/?q=ferry&sort=versioncreated%3Adesc&open={quote(FERRY, safe='')}")
    expect(page.locator("#panel .facts")).to_be_visible()
    expect(page.locator("#panel .why")).to_have_count(0)
    page.goto(f"/?q=solvane+wins+varland+election&open={quote(ELECTION, safe='')}")
    expect(page.locator("#panel .why-row")).not_to_have_count(0)


def test_the_picture_fits_a_phone_in_the_dark(phone: Page) -> None:
    phone.goto("/?q=ferry+kalymira&profile=breaking")
    hits(phone)
    picture = unfolded(phone, 2)
    picture.get_by_label("Compare with").select_option(index=1)
    expect(picture.locator("table")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


def ask_why(page: Page, what: str) -> Locator:
    page.get_by_text("Is a story not here that should be?").click()
    page.get_by_label("Its uri, or a link to it").fill(what)
    page.keyboard.press("Enter")
    expect(page.locator("#missing-answer .path")).to_be_visible()
    return page.locator("#missing-answer")


def test_a_filtered_story_is_told_and_the_filter_taken_away(page: Page) -> None:
    page.goto("/?q=ferry&type=picture")
    hits(page)
    said = ask_why(page, FERRY)
    expect(said).to_contain_text("This filter excludes it: type is picture.")
    expect(said.locator(".stopped")).to_have_text("no: fits the filters")
    expect(said.locator(".passed").first).to_have_text("yes: in the archive")
    said.get_by_role("button", name="Search without the filters").click()
    expect(page.locator("#chips .chip")).to_have_count(0)
    expect(page.locator("#missing-answer")).to_be_empty()
    assert FERRY in hits(page)


def test_a_story_that_no_word_reaches(page: Page) -> None:
    page.goto("/?q=ferry&profile=lexical")
    hits(page)
    said = ask_why(page, MEMO)
    expect(said).to_contain_text("No word matches it (ferry).")
    expect(said.get_by_role("row", name=re.compile("^bm25"))).to_contain_text("#1,000")
    said.get_by_role("button", name="Open it").click()
    expect(page.locator("#panel .facts")).to_contain_text(MEMO)


def test_a_pasted_link_is_a_story_and_what_is_shown_says_where(page: Page, service: str) -> None:
    page.goto("/?q=ferry")
    hits(page)
    said = ask_why(page, f"{service}/?q=election&open={quote(FERRY, safe='')}")
    expect(said).to_contain_text(re.compile(r"It is number \d+ of this answer, on page 1\."))
    page.get_by_label("Its uri, or a link to it").fill("urn:none")
    page.get_by_role("button", name="Why is it not here?").click()
    expect(said).to_contain_text("There is no such item, for this key.")
    expect(said.get_by_role("button", name="Open it")).to_have_count(0)


def test_an_open_story_that_is_no_hit_can_be_asked_after(page: Page) -> None:
    page.goto(f"/?q=ferry&type=picture&open={quote(FERRY, safe='')}")
    page.get_by_role("button", name="Why is it not among the stories shown?").click()
    expect(page.locator("#panel")).to_be_hidden()
    expect(page.locator("#missing-answer")).to_contain_text("type is picture")


def mixed(route: Route) -> None:
    """The answer as if the reranker had read two stories and left the rest for want of time."""
    answer = route.fetch()
    told = answer.json()
    pairs = zip(told["data"]["items"], ((0.25, 1.0), (1.0, 0.5)), strict=False)
    for number, (hit, (own, fused)) in enumerate(pairs, start=1):
        hit["meta"]["score"] = 0.3 + 0.5 * own + 0.5 * fused
        hit["meta"]["explanation"]["reranked"] = {
            "rank": number,
            "score": -3.5 + own,
            "normalized": own,
            "weight": 0.5,
            "fused_normalized": fused,
            "floor": 0.3,
        }
    route.fulfill(response=answer, json=told)


def test_the_rerankers_part_is_in_the_picture(page: Page) -> None:
    page.route("**/content/search?*", mixed)
    page.goto("/?q=ferry+kalymira")
    hits(page)
    picture = unfolded(page, 2)
    told = gives(picture)
    names = ("Of that", "Reranker", "Read in time", "Score")
    assert [told[name] for name in names] == [0.25, 0.5, 0.3, 1.05]
    kinds = picture.locator(".why-total .bar-fill").evaluate_all(
        "all => all.map(one => one.classList[1])"
    )
    assert kinds == ["lex", "vec", "vec-2", "nam", "floor", "rer"]
    expect(picture.locator(".why-rows")).to_contain_text("score -2.500 → 1.000 × 0.5")
    expect(page.locator(".ranks").nth(1)).to_contain_text("Reranked#2")
    picture.get_by_label("Compare with").select_option(index=1)
    expect(picture.locator(".why-apart")).to_contain_text(
        "#2 has 0.125 more than #1; reranker adds"
    )
