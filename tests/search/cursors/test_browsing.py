"""Lists by date page through everything, with a cursor that is a place and no kept list."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import ExpiredError, QueryError
from core.query_tree import Keyword
from core.retrieval import Place, SortOrder, TotalRelation
from search.answers import Fold, MissingStage, SearchRequest
from search.cursors import Start, read_start, write_start
from tests.search.room import BOTH, READER, START, Room, story, uris

COUNT = 60
OLDEST, NEWEST = SortOrder.OLDEST, SortOrder.NEWEST


@pytest.fixture
def full(room: Room) -> Room:
    """Sixty stories, five of each time; every third is a picture."""
    stories = [
        story(f"urn:{number:02}", "ferry quay", versioncreated=START - timedelta(hours=number // 5))
        for number in range(COUNT)
    ]
    room.put(
        *(
            replace(each, type="picture" if number % 3 == 0 else "text")
            for number, each in enumerate(stories)
        )
    )
    return room


@pytest.mark.parametrize(
    "asked",
    [
        {"q": ""},
        {"q": "type:picture"},
        {"q": "", "filters": Keyword("type", ("text",)), "order": OLDEST},
        {"q": "ferry", "order": NEWEST},
        {"q": "ferry", "order": OLDEST, "profile": "vector"},
        {"q": "versioncreated:>now-9000d", "dates": "off"},
    ],
)
def test_every_list_by_date_is_whole(full: Room, asked: dict[str, Any]) -> None:
    pipeline = full.build(lexical_depth=10)
    whole = full.ask(**asked, pipeline=pipeline, page_size=200)
    assert (whole.total.relation, whole.cursor) == (TotalRelation.EXACT, "")
    assert len(whole.hits) == whole.total.value == whole.depth > 10
    found, ranks, answer = (
        list[str](),
        list[int](),
        full.ask(**asked, pipeline=pipeline, page_size=7),
    )
    while True:
        found += uris(answer)
        ranks += [hit.rank for hit in answer.hits]
        if not answer.cursor:
            break
        answer = full.ask(**asked, pipeline=pipeline, page_size=7, cursor=answer.cursor)
    assert found == uris(whole)
    assert ranks == list(range(1, len(found) + 1))
    pages = [full.ask(**asked, pipeline=pipeline, page_size=7, page=n + 1) for n in range(10)]
    assert [uri for page in pages for uri in uris(page)] == found
    assert answer.page == -(-len(found) // 7)


def test_the_order_is_that_of_times_and_of_nothing_that_a_write_changes(full: Room) -> None:
    whole = uris(full.ask("", page_size=200))
    times = [hit.item.versioncreated for hit in full.ask("", page_size=200).hits]
    assert times == sorted(times, reverse=True)
    assert uris(full.ask("", page_size=200, order=OLDEST)) == whole[::-1]
    item = full.ask("", page_size=200).hits[7].item
    full.put(replace(item, products=(*item.products, "other")))  # recorded anew, under a new number
    full.reopen()
    assert uris(full.ask("", page_size=200)) == whole


def test_items_that_come_and_go_move_no_other_to_another_page(full: Room) -> None:
    whole = uris(full.ask("", page_size=200))
    first = full.ask("", page_size=10)
    full.kill(whole[3])
    full.kill(whole[9])  # the one after which the next page begins
    full.kill(whole[12])
    full.put(story("urn:new", "breaking", versioncreated=START + timedelta(hours=1)))
    full.put(story("urn:old", "backdated", versioncreated=START - timedelta(days=1)))
    full.reopen()
    answer, rest = full.ask("", page_size=10, cursor=first.cursor), list[str]()
    assert answer.total.value == COUNT - 1
    while True:
        rest += uris(answer)
        if not answer.cursor:
            break
        answer = full.ask("", page_size=10, cursor=answer.cursor)
    assert rest == [*(uri for uri in whole[10:] if uri != whole[12]), "urn:old"]


def test_a_cursor_holds_the_place_and_the_time_of_the_first_page() -> None:
    start = Start(Place(-5, 2**62), datetime(2026, 3, 18, 10, 0, 0, 7, UTC), 70, 8)
    request = SearchRequest("versioncreated:>now-2d")
    cursor = write_start(start, request, READER)
    assert read_start(replace(request, cursor=cursor, page_size=7), READER) == start
    assert read_start(replace(request, cursor="0123456789abcdef.5.2"), READER) is None


def test_facets_count_everything_that_matches(full: Room) -> None:
    pipeline = full.build(lexical_depth=10)
    asked: dict[str, Any] = {"pipeline": pipeline, "page_size": 3, "facets": ("type",)}
    first = full.ask("", **asked)
    for answer in (first, full.ask("", **asked, cursor=first.cursor)):
        assert {one.value: one.count for one in answer.facets["type"]} == {
            "text": 40,
            "picture": 20,
        }
    pictures = Keyword("type", ("picture",))
    narrow = full.ask("", filters=pictures, open_facets=("type",), **asked)
    assert {one.value: one.count for one in narrow.facets["type"]} == {"text": 40, "picture": 20}
    assert narrow.total.value == 20
    assert {
        one.value: one.count for one in full.ask("", filters=pictures, **asked).facets["type"]
    } == {"picture": 20}


def test_a_cursor_is_of_one_query_and_one_caller(full: Room) -> None:
    cursor = full.ask("", page_size=5).cursor
    for asked in ({"q": "type:text"}, {"q": "", "order": OLDEST}, {"q": "", "tz": "Asia/Tokyo"}):
        with pytest.raises(QueryError):
            full.ask(**asked, page_size=5, cursor=cursor)  # type: ignore[arg-type]
    for stranger in (replace(READER, name="other"), BOTH):
        with pytest.raises(ExpiredError):
            full.ask("", stranger, page_size=5, cursor=cursor)
    assert len(full.ask("", page_size=9, cursor=cursor).hits) == 9


def test_a_cursor_that_no_answer_gave_is_refused(full: Room) -> None:
    cursor = full.ask("", page_size=5).cursor
    body = cursor.removeprefix("b.")
    flipped = "A" if body[20] != "A" else "B"
    for forged in (
        "b.",
        "b.AAAA",
        "b.é",
        cursor[:-1],
        f"{cursor}A",
        f"b.{body[:20]}{flipped}{body[21:]}",
    ):
        with pytest.raises(QueryError):
            full.ask("", page_size=5, cursor=forged)


def test_no_field_tells_of_products_of_others(room: Room) -> None:
    room.put(
        replace(story("urn:1", "ferry quay"), products=("wire", "secret")),
        replace(story("urn:2", "ferry quay"), products=("wire",)),
    )
    both = ["urn:1", "urn:2"]
    for query, wanted in {
        "product:secret": [],
        "product:Wire": both,
        "productid:(secret OR wire)": both,
        "NOT product:secret": both,
        "ferry AND product:secret": [],
        "ferry AND NOT product:secret": both,
    }.items():
        assert sorted(uris(room.ask(query))) == wanted, query
    assert room.ask("", filters=Keyword("product", ("secret",))).total.value == 0


def test_a_ranked_answer_says_how_deep_it_goes(full: Room) -> None:
    pipeline = full.build(lexical_depth=10, vector_depth=5)
    answer = full.ask("ferry", pipeline=pipeline, profile="lexical", page_size=200)
    assert (answer.depth, answer.total.relation) == (10, TotalRelation.LOWER_BOUND)
    assert len(answer.hits) == answer.depth


@pytest.mark.parametrize("order", [SortOrder.NEWEST, SortOrder.OLDEST])
@pytest.mark.parametrize("q", ["ferry", "type:text", ""])
def test_why_an_item_is_missing_from_a_list_by_date(full: Room, order: SortOrder, q: str) -> None:
    pipeline = full.build(lexical_depth=10)
    every = [hit.item.uri for hit in full.ask(q, order=order, page_size=200).hits]
    for place, uri in enumerate(every):
        answer = full.ask(q, pipeline=pipeline, order=order, page_size=7, why_missing=uri)
        assert answer.total.value == len(every)
        assert answer.cursor.startswith("b.")
        missing = answer.missing
        assert missing is not None
        assert (missing.stage, missing.rank) == (MissingStage.NONE, place + 1)
        assert missing.page == place // 7 + 1


def test_what_does_not_match_is_not_in_a_list_by_date(full: Room) -> None:
    full.put(story("urn:bank", "bank rates", versioncreated=START))
    excluded = full.ask("type:picture", why_missing="urn:01").missing
    assert excluded is not None
    assert (excluded.stage, len(excluded.excluded_by)) == (MissingStage.FILTERS, 1)
    wordless = full.ask("ferry quay", order=SortOrder.NEWEST, why_missing="urn:bank").missing
    assert wordless is not None
    assert wordless.stage is MissingStage.QUERY
    assert wordless.words_missing == ("ferry", "quay")
    filtered = full.ask("", filters=Keyword("type", ("text",)), why_missing="urn:00").missing
    assert filtered is not None
    assert filtered.stage is MissingStage.FILTERS
    unknown = full.ask("", why_missing="urn:never").missing
    assert unknown is not None
    assert unknown.stage is MissingStage.ARCHIVE


@pytest.mark.parametrize("order", [SortOrder.NEWEST, SortOrder.OLDEST])
def test_an_order_by_date_is_not_folded(full: Room, order: SortOrder) -> None:
    with pytest.raises(QueryError) as raised:
        full.ask("ferry", fold=Fold.NEAR_DUPLICATES, order=order)
    assert raised.value.where == "fold"


def test_folding_compares_within_a_list_of_candidates(full: Room) -> None:
    answer = full.ask("", fold=Fold.NEAR_DUPLICATES, page_size=5)
    assert answer.fold is Fold.NEAR_DUPLICATES
    assert not answer.cursor.startswith("b.")
