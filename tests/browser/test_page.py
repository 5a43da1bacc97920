"""The page in a real browser, over the demo corpus."""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

pytestmark = [pytest.mark.service, pytest.mark.browser]

ELECTION = "urn:newsml:dateline.example:20261104:election-leader-4"
MEMO = "urn:newsml:dateline.example:20260729:halloran-memo"
PARAPHRASE = "cops nab crooks who burgled art gallery"


def hits(page: Page) -> list[str]:
    """The uris of the hits, once there are any."""
    page.locator("#results article.hit").first.wait_for()
    found = page.locator("#results article.hit").evaluate_all(
        "nodes => nodes.map(node => node.dataset.uri)"
    )
    return [str(uri) for uri in found]


def ask(page: Page, query: str) -> None:
    page.locator("#q").fill(query)
    with page.expect_response(lambda answer: "/content/search" in answer.url):
        page.locator("#q").press("Enter")
    expect(page.locator("#progress")).to_be_hidden()


def test_opens_on_an_answered_query(page: Page) -> None:
    page.goto("/")
    assert hits(page)
    expect(page.locator("#q")).to_have_value(PARAPHRASE)
    expect(page.locator("#total")).to_have_text(
        re.compile(r"([a-z ]+ )?[\d,]+ (nearest )?stor(y|ies) · best · [\d.]+ ms")
    )
    expect(page.locator(".timing-legend li").first).to_contain_text("ms")
    expect(page.locator("#example-why")).to_be_visible()
    ranks = page.locator("article.hit").first.locator(".rank")
    expect(ranks.nth(0)).to_contain_text("BM25")
    expect(ranks.nth(1)).to_contain_text("Vectors")
    expect(ranks.nth(2)).to_contain_text("#1")


def test_meaning_alone_finds_the_first_examples_story(page: Page) -> None:
    page.goto("/")
    assert "urn:newsml:dateline.example:20251126:stolen-canvases" in hits(page)[:3]
    story = page.locator('article.hit[data-uri$="stolen-canvases"]')
    expect(story.locator(".rank").nth(0)).to_contain_text("–")
    assert story.locator("mark").count() == 0


def test_every_example_answers(page: Page) -> None:
    page.goto("/")
    hits(page)
    buttons = page.locator("#examples button")
    for number in range(buttons.count()):
        with page.expect_response(lambda answer: "/content/search" in answer.url) as answered:
            buttons.nth(number).click()
        assert answered.value.ok
        expect(buttons.nth(number)).to_have_attribute("aria-pressed", "true")
        assert hits(page)


def test_keys_walk_open_and_close(page: Page) -> None:
    page.goto("/?q=varland")
    found = hits(page)
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(f'a.headline[data-uri="{found[1]}"]')).to_be_focused()
    page.keyboard.press("k")
    first = page.locator(f'a.headline[data-uri="{found[0]}"]')
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_be_visible()
    assert quote(found[0], safe="") in page.url
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    expect(first).to_be_focused()
    page.keyboard.press("c")
    expect(page.locator("#compare")).to_have_attribute("aria-checked", "true")
    expect(page.locator(".comparison")).to_be_visible()


def test_words_of_the_query_are_marked(page: Page) -> None:
    page.goto("/?q=ferry")
    hits(page)
    marks = page.locator("#results mark").all_inner_texts()
    assert marks
    assert all("ferr" in mark.casefold() for mark in marks)
    assert not re.search("[\ue000\ue001]", page.locator("body").inner_text())


def test_filters_narrow_stay_in_the_address_and_go_back(page: Page) -> None:
    page.goto("/?q=solvane")
    hits(page)
    page.get_by_role("button", name=re.compile(r"^Picture \d+$")).click()
    expect(page.locator("#chips .chip")).to_have_count(1)
    assert set(page.locator("#results .badge").all_inner_texts()) == {"Picture"}
    assert "type=picture" in page.url
    page.reload()
    expect(page.locator("#chips .chip")).to_contain_text("Picture")
    page.go_back()
    expect(page.locator("#chips .chip")).to_have_count(0)
    page.go_forward()
    page.locator("#chips .chip").click()
    expect(page.locator("#chips .chip")).to_have_count(0)


def test_months_and_dates_filter(page: Page) -> None:
    page.goto("/?q=ferry")
    hits(page)
    dates = page.locator(".facet", has=page.get_by_role("heading", name="Date"))
    if dates.get_by_role("button", name="more").count():
        dates.get_by_role("button", name="more").click()
    dates.get_by_role("button", name=re.compile(r"^Mar 2026 \d+$")).click()
    expect(page.locator("#since")).to_have_value("2026-03-01")
    expect(page.locator("#until")).to_have_value("2026-03-31")
    expect(page.locator("#chips .chip")).to_have_count(1)  # the new answer is shown
    hits(page)
    times = page.locator("#results .dateline time").evaluate_all("all => all.map(t => t.dateTime)")
    assert times
    assert all(time.startswith("2026-03") for time in times)


def test_folded_story_shows_its_versions(page: Page) -> None:
    page.goto("/?q=solvane+wins+varland+election")
    assert ELECTION in hits(page)
    page.locator(f'article.hit[data-uri="{ELECTION}"]').get_by_role(
        "button", name="4 versions"
    ).click()
    expect(page.locator("#chain li")).to_have_count(4)
    expect(page.locator("#chain li").first).to_contain_text("3rd Lead")


def test_deep_link_opens_the_story_with_its_explanation(page: Page) -> None:
    page.goto(f"/?q=solvane+wins+varland+election&open={quote(ELECTION, safe='')}")
    expect(page.locator("#panel-title")).to_contain_text("Solvane wins Varland election")
    expect(page.locator("#panel .why-row")).not_to_have_count(0)
    expect(page.locator("#panel .story-text p").first).to_be_visible()
    expect(page.locator("#panel .facts")).to_contain_text(ELECTION)


def test_comparison_shows_what_meaning_adds(page: Page) -> None:
    page.goto(f"/?q={quote(PARAPHRASE)}&compare=1")
    expect(page.locator(".side-hybrid .move-only.move").first).to_have_text("only by meaning")
    expect(page.locator(".verdict")).to_contain_text(
        "meaning" if not page.locator(".card-lexical").count() else "no word of the query leads to"
    )
    page.goto("/?q=ferry+accident&compare=1")
    page.locator(".card-lexical").first.wait_for()
    assert page.locator(".lines path").count() > 0


def test_kill_makes_a_story_vanish_and_undo_brings_it_back(page: Page, service: str) -> None:
    config = httpx.get(f"{service}/page/config", timeout=120).json()
    key = {"x-api-key": config["demo_key"]}
    page.goto('/?q="cold furnaces by easter"')
    assert MEMO in hits(page)
    story = page.locator(f'article.hit[data-uri="{MEMO}"]')
    story.get_by_role("button", name=re.compile("^Kill")).click()
    expect(story).to_have_count(0)
    expect(page.locator("#toast")).to_contain_text("Killed")
    assert (
        httpx.get(f"{service}/content/{quote(MEMO, safe='')}", headers=key, timeout=120).status_code
        == 404
    )
    page.get_by_role("button", name="Undo").click()
    expect(story).to_have_count(1)
    assert (
        httpx.get(f"{service}/content/{quote(MEMO, safe='')}", headers=key, timeout=120).status_code
        == 200
    )


def test_markup_in_a_story_is_text(page: Page, service: str) -> None:
    config = httpx.get(f"{service}/page/config", timeout=120).json()
    headers = {"x-api-key": config["demo_ingest_key"]}
    uri = "urn:test:markup"
    document = {
        "uri": uri,
        "headline": '<img src=x onerror="document.title=1"> quokkamarkup & <b>bold</b>',
        "body_text": "<script>document.title=2</script> quokkamarkup",
    }
    made = httpx.post(
        f"{service}/content",
        json=document,
        headers=headers,
        params={"products": "demo"},
        timeout=120,
    )
    assert made.status_code in (200, 201)
    page.goto("/?q=quokkamarkup")
    assert uri in hits(page)
    headline = page.locator(f'a.headline[data-uri="{uri}"]')
    expect(headline).to_contain_text("<img src=x onerror=")
    assert page.locator("#results img, #results script, #results b").count() == 0
    expect(page).to_have_title("quokkamarkup – Dateline")
    killed = httpx.patch(
        f"{service}/content/{quote(uri, safe='')}/status",
        json={"pubstatus": "canceled"},
        headers=headers,
        timeout=120,
    )
    assert killed.status_code == 200


def test_errors_are_in_words_with_the_mend(page: Page) -> None:
    page.goto("/?q=ferry&since=2026-03-05&until=2026-03-01")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("nothing could match")
    expect(problem).to_contain_text("Swap the two")
    page.locator("#until").fill("2026-03-31")
    expect(problem).to_be_hidden()


def used_up(route: Route) -> None:
    error = {"status": 429, "code": "too_many_requests", "message": "?", "mend": "Retry-After"}
    route.fulfill(status=429, headers={"retry-after": "7"}, json={"id": "1", "error": error})


def test_a_share_that_is_used_up_is_told_in_seconds(page: Page) -> None:
    page.route("**/content/search?*", used_up)
    page.goto("/?q=ferry")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("Search again in 7 seconds")
    expect(problem).not_to_contain_text("Retry-After")  # a reader sees no header
    page.unroute("**/content/search?*")
    problem.get_by_role("button", name="Search again").click()
    expect(problem).to_be_hidden()
    assert hits(page)


def test_empty_answer_says_what_to_try(page: Page) -> None:
    page.goto('/?q="no such phrase anywhere"&type=graphic')
    expect(page.locator(".nothing h2")).to_contain_text("No story found")
    page.get_by_role("button", name="Search without the filters").click()
    expect(page.locator("#chips .chip")).to_have_count(0)


def test_more_stories_go_on_in_order(page: Page) -> None:
    page.goto("/?q=varland")
    before = hits(page)
    page.get_by_role("button", name="More stories").click()
    expect(page.locator("#results article.hit").nth(len(before))).to_be_visible()
    after = hits(page)
    assert after[: len(before)] == before
    assert len(set(after)) == len(after)


def test_the_lightbox_goes_on_to_the_next_page(page: Page) -> None:
    page.goto("/?q=&type=picture&type=video&type=graphic")
    first = hits(page)
    page.keyboard.press("v")
    head = page.locator("#lightbox .look-head")
    expect(head).to_contain_text(f"1 of {len(first)}+")
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    expect(head).to_contain_text(f"{len(first) + 1} of ")
    page.keyboard.press("Escape")
    assert len(hits(page)) > len(first)


def test_phone_fits(phone: Page) -> None:
    for address in (
        "/",
        "/?q=ferry+accident&compare=1",
        f"/?q=election&open={quote(ELECTION, safe='')}",
        "/docs",
    ):
        phone.goto(address)
        phone.wait_for_load_state("networkidle")
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    phone.goto("/")
    hits(phone)
    expect(phone.locator("#facets")).to_be_hidden()
    phone.get_by_text("Filters", exact=True).click()
    expect(phone.locator("#facets")).to_be_visible()


def test_every_control_has_a_name(page: Page) -> None:
    page.goto("/?q=solvane")
    hits(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, a[href], input, select")]
            .filter(node => !(node.textContent.trim() || node.getAttribute("aria-label")
                || (node.labels && node.labels.length)))
            .map(node => node.outerHTML)"""
    )
    assert nameless == []
    ask(page, "ferry")
    expect(page.locator("#total")).to_have_attribute("aria-live", "polite")


def test_docs_describe_every_operation(page: Page, service: str) -> None:
    document = httpx.get(f"{service}/openapi.json", timeout=120).json()
    count = sum(len(methods) for methods in document["paths"].values())
    page.goto("/docs")
    expect(page.locator(".operation")).to_have_count(count)
    expect(page.locator(".operation").first).to_contain_text("page_size")


def test_one_date_alone_filters(page: Page) -> None:
    page.goto("/?q=ferry&since=2026-03-01")
    hits(page)
    times = page.locator("#results .dateline time").evaluate_all("all => all.map(t => t.dateTime)")
    assert min(times) >= "2026-03-01"
    page.goto("/?q=ferry&until=2025-12-31")
    hits(page)
    times = page.locator("#results .dateline time").evaluate_all("all => all.map(t => t.dateTime)")
    assert max(times) < "2026-01-01"
