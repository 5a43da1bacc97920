"""A query that is the whole of an item's slugline, byline, credit, source, uri or id."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.query_fields import ID
from core.query_tree import Bool, Keyword
from core.retrieval import SortOrder
from search.question import MOST_EXACT
from search.understanding.understand import exact_value
from tests.conftest import new_folder
from tests.search.engines import Tried, every_engine  # noqa: F401 - a fixture
from tests.search.room import BOTH, PHOTOS, Room, story, uris

WANTED = "urn:newsml:wanted.example:7"


@pytest.fixture(scope="module")
def desk(tried: Tried) -> Iterator[Room]:
    """One archive for all tests; those that change it stand at the end."""
    room = Room(new_folder(), open_engine=tried.open)
    room.put(
        story(
            WANTED,
            "Kettles recalled",
            body="A maker of kettles takes them back.",
            slugline="BC-Oslo--Storm",
            byline="By Ingrid Solvane",
            source={
                "altids": {"itemid": "9f8e7d6c"},
                "source": "North Wire",
                "creditline": "Lens & Co",
                "infosources": [{"name": "Fiona O’Neil’s Day"}],
            },
        ),
        *(
            story(
                f"urn:other:{number}",
                f"Storm Oslo wire north lens {number}",
                body="BC Oslo storm. By Ingrid Solvane, North Wire, Lens and Co. 9f8e7d6c.",
                when=number,
                slugline="BC-Oslo--Storm-Update",
                byline="By Ingrid Solvane and others",
                source={"source": "North Wires", "creditline": "Lens"},
            )
            for number in range(3)
        ),
        story("photo", "Kettle", slugline="Kettle-Photo", products=("photos",)),
    )
    yield room
    room.engine.close()


@pytest.mark.parametrize(
    "query",
    [
        "BC-Oslo--Storm",
        " bc-oslo--storm ",
        "By Ingrid Solvane",
        "ingrid  solvane",
        "North Wire",
        "Lens & Co",
        "9F8E7D6C",
        WANTED,
        WANTED.upper(),
        "Byline: Ingrid Solvane",
        "credit: Lens & Co",
        "(Lens & Co)",
        "“North Wire”",
        f'"{WANTED}"',
        "ItemID: 9f8e7d6c",
        "fiona o’neil's day",
        "Fiona O'Neil's Day",
    ],
)
@pytest.mark.parametrize("profile", ["hybrid", "lexical"])
def test_a_whole_value_puts_its_item_first(desk: Room, query: str, profile: str) -> None:
    answer = desk.ask(query, profile=profile, explain=True)
    assert uris(answer)[0] == WANTED
    assert [hit.exact for hit in answer.hits] == [True] + [False] * (len(answer.hits) - 1)
    assert len(set(uris(answer))) == len(answer.hits) == answer.total.value


@pytest.mark.parametrize("query", ["slug:BC-Oslo--Storm", 'creditline:"Lens & Co"'])
def test_a_field_of_one_of_them_filters(desk: Room, query: str) -> None:
    answer = desk.ask(query)
    assert WANTED in uris(answer)
    assert not any(hit.exact for hit in answer.hits)


@pytest.mark.parametrize("query", ["BC-Oslo--Storm x", "Oslo", "BC-Oslo", ""])
def test_a_part_of_a_value_does_not(desk: Room, query: str) -> None:
    assert not any(hit.exact for hit in desk.ask(query).hits)


@pytest.mark.parametrize(
    "slugline", ["Oslo friday", "Oslo-Week march 2019", "Oslo photos", "photos of Oslo"]
)
def test_a_date_or_a_kind_in_a_value_does_not_hide_its_item(desk: Room, slugline: str) -> None:
    uri = f"urn:dated:{slugline.replace(' ', '-')}"
    desk.put(story(uri, "Tram", slugline=slugline))
    answer = desk.ask(slugline, facets=("type",), open_facets=("place",))
    assert uris(answer)[0] == uri
    assert answer.hits[0].exact
    assert answer.understood.dates or answer.understood.kinds
    assert sum(one.count for one in answer.facets["type"]) == answer.total.value
    assert uris(desk.ask(slugline, filters=Keyword("type", ("video",)))) == []


def test_filters_and_orders_by_date_hold(desk: Room) -> None:
    elsewhere = desk.ask("BC-Oslo--Storm", filters=Keyword("type", ("video",)))
    assert uris(elsewhere) == []
    newest = desk.ask("BC-Oslo--Storm", order=SortOrder.NEWEST)
    assert not any(hit.exact for hit in newest.hits)


def test_of_many_the_most_relevant_comes_first(desk: Room) -> None:
    desk.put(
        *(story(f"urn:s:{n}", f"Harbour {'storm' * (n == 2)}", slugline="storm") for n in range(4))
    )
    answer = desk.ask("storm", profile="lexical", page_size=50)
    assert [hit.exact for hit in answer.hits][:4] == [True] * 4
    assert uris(answer)[0] == "urn:s:2"
    assert len(answer.hits) > 4


def test_who_may_not_see_an_item_does_not_find_its_values(desk: Room) -> None:
    assert not any(hit.exact for hit in desk.ask("Kettle-Photo").hits)
    assert [hit.exact for hit in desk.ask("Kettle-Photo", PHOTOS).hits] == [True]
    assert desk.ask("Kettle-Photo", BOTH).hits[0].exact
    desk.kill("photo")
    assert not any(hit.exact for hit in desk.ask("Kettle-Photo", BOTH).hits)


def test_what_can_be_no_value_is_not_looked_up() -> None:
    assert exact_value("") is None
    assert exact_value("x" * 257) is None
    named = (Keyword("source", ("By A",)), Keyword("credit", ("By A",)))
    ids = ("uri:By A", "itemid:By A", "slugline:By A", "byline:By A", "byline:A")
    assert exact_value("it's") != exact_value("its")
    assert exact_value(" By  A ") == Bool(should=(Keyword(ID, ids), *named))
    assert MOST_EXACT >= 20
