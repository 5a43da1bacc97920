"""Facets: over the answer, without their own filter, and by the calendar of the caller."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import QueryError
from core.items import Concept, Item, ItemType
from core.query_tree import EVERYTHING, Bool, DateRange, Keyword, Node, all_of, without_field
from core.retrieval import DateInterval, Retrieval, Retrieved, TotalRelation
from search.answers import Fold, SearchResponse
from search.kept_candidates import CandidateStore, SharedCandidateStore
from tests.search.cursors.test_candidate_stores import Shelf
from tests.search.engines import Tried, every_engine  # noqa: F401 - a fixture
from tests.search.room import BOTH, READER, START, Room, story

OSLO, ROME = Keyword("place", ("Oslo",)), Keyword("place", ("Rome",))
TEXTS, PICTURES = Keyword("type", ("text",)), Keyword("type", ("picture",))
MARCH = DateRange("versioncreated", datetime(2024, 3, 1, tzinfo=UTC), None)
_SLOW = list(HealthCheck)


def counts(answer: SearchResponse, name: str) -> dict[str, int]:
    return {count.value: count.count for count in answer.facets[name]}


def at(place: str, kind: str = "text", **members: Any) -> dict[str, Any]:
    return {"place": (Concept(place),), "type": ItemType(kind), **members}


@pytest.fixture
def wire(room: Room) -> Room:
    """Oslo: two stories and a picture. Rome: a story and two pictures. Bern: a story."""
    places = [("Oslo", "text"), ("Oslo", "text"), ("Oslo", "picture"), ("Rome", "text"),
              ("Rome", "picture"), ("Rome", "picture"), ("Bern", "text")]  # fmt: skip
    room.put(
        *(story(f"urn:{n}", "ferry quay", **at(*where), body="x") for n, where in enumerate(places))
    )
    return room


# --- which filter is a facet's own


@pytest.mark.parametrize(
    ("filters", "name", "left"),
    [
        (EVERYTHING, "place", EVERYTHING),
        (OSLO, "place", EVERYTHING),
        (OSLO, "type", OSLO),
        (all_of(OSLO, TEXTS), "place", TEXTS),
        (all_of(OSLO, TEXTS, MARCH), "type", all_of(OSLO, MARCH)),
        (all_of(OSLO, MARCH), "versioncreated", OSLO),
        (all_of(all_of(OSLO, TEXTS), all_of(MARCH, ROME)), "place", all_of(TEXTS, MARCH)),
        (Bool(must=(OSLO,), must_not=(ROME,)), "place", Bool(must=(OSLO,), must_not=(ROME,))),
        (Bool(should=(OSLO, ROME)), "place", Bool(should=(OSLO, ROME))),
    ],
)
def test_without_its_own_filter(filters: Node, name: str, left: Node) -> None:
    found = without_field(filters, name)
    assert found == left
    assert (found is filters) == (left == filters)


# --- open facets


@pytest.mark.parametrize("profile", ["lexical", "vector", "hybrid"])
@pytest.mark.parametrize("query", ["", "ferry", "ferry AND quay"])
def test_an_open_facet_ignores_its_own_filter_and_no_other(
    wire: Room, profile: str, query: str
) -> None:
    answer = wire.ask(
        query,
        profile=profile,
        filters=all_of(OSLO, TEXTS),
        facets=("place", "type"),
        open_facets=("place", "type"),
    )
    assert counts(answer, "place") == {"Oslo": 2, "Rome": 1, "Bern": 1}  # texts anywhere
    assert counts(answer, "type") == {"text": 2, "picture": 1}  # anything in Oslo
    assert answer.total.value == len(answer.hits) == 2
    closed = wire.ask(query, profile=profile, filters=all_of(OSLO, TEXTS), facets=("place", "type"))
    assert counts(closed, "place") == {"Oslo": 2}
    assert counts(closed, "type") == {"text": 2}


def test_an_open_facet_without_a_filter_costs_no_retrieval(wire: Room) -> None:
    answer = wire.ask("ferry", filters=OSLO, open_facets=("type",))
    assert counts(answer, "type") == {"text": 2, "picture": 1}
    assert "open facets" not in answer.milliseconds
    assert "open facets" in wire.ask("ferry", filters=OSLO, open_facets=("place",)).milliseconds


def test_what_the_query_itself_asks_for_stays(wire: Room) -> None:
    """Only chosen filters are left out: a place that was typed is what was asked for."""
    answer = wire.ask("ferry place:oslo", filters=TEXTS, open_facets=("place", "type"))
    assert counts(answer, "place") == {"Oslo": 2}
    assert counts(answer, "type") == {"text": 2, "picture": 1}


def test_a_query_is_embedded_once(wire: Room) -> None:
    class Counting(type(wire.encoder)):  # type: ignore[misc]
        asked = 0

        def encode_queries(self, texts: Any) -> Any:
            type(self).asked += 1
            return super().encode_queries(texts)

    pipeline = wire.build(encoders={"text": Counting()})
    wire.ask("ferry", pipeline=pipeline, filters=all_of(OSLO, TEXTS), open_facets=("place", "type"))
    assert Counting.asked == 1


def test_what_is_hidden_is_in_no_open_facet(wire: Room) -> None:
    """Not what is killed later, at the next page; not what another caller may see."""
    wire.put(story("urn:photo", "ferry", **at("Rome"), products=("photos",)))
    asked: dict[str, Any] = {"filters": OSLO, "open_facets": ("place",), "page_size": 1}
    first = wire.ask("ferry", **asked)
    assert counts(first, "place") == {"Oslo": 3, "Rome": 3, "Bern": 1}
    assert counts(wire.ask("ferry", BOTH, **asked), "place")["Rome"] == 4
    wire.kill("urn:3")
    wire.kill("urn:6")
    second = wire.ask("ferry", cursor=first.cursor, **asked)
    assert counts(second, "place") == {"Oslo": 3, "Rome": 2}


def test_open_facets_are_frozen_with_the_answer(wire: Room) -> None:
    """Here and in another process."""
    shelf = Shelf()
    one, other = (wire.build(candidates=SharedCandidateStore(shelf)) for _ in range(2))
    asked: dict[str, Any] = {"filters": OSLO, "open_facets": ("place",), "page_size": 1}
    first = wire.ask("ferry", pipeline=one, **asked)
    wire.put(story("urn:late", "ferry", **at("Rome")))
    for pipeline in (one, other):
        later = wire.ask("ferry", pipeline=pipeline, cursor=first.cursor, **asked)
        assert later.facets == first.facets
        assert later.degraded == ()


def test_what_an_open_facet_could_not_be_counted_over_is_flagged(
    wire: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = type(wire.engine).retrieve

    def partly(engine: Any, request: Retrieval) -> Retrieved:
        found = whole(engine, request)
        if request.filters == OSLO:
            return found
        return replace(found, degraded=("1 of 3 parts of the index do not answer",))

    monkeypatch.setattr(type(wire.engine), "retrieve", partly)
    answer = wire.ask("ferry", filters=OSLO, open_facets=("place", "type"))
    assert answer.degraded == ("facet place: 1 of 3 parts of the index do not answer",)


def test_a_facet_that_is_opened_on_a_later_page_is_flagged(wire: Room) -> None:
    pipeline = wire.build(candidates=CandidateStore())
    first = wire.ask("ferry", pipeline=pipeline, filters=OSLO, page_size=1)
    later = wire.ask(
        "ferry",
        pipeline=pipeline,
        filters=OSLO,
        page_size=1,
        cursor=first.cursor,
        open_facets=("place", "type"),
    )
    assert counts(later, "place") == {"Oslo": 3}
    assert [flag for flag in later.degraded if "place" in flag and "first page" in flag]
    assert not [flag for flag in later.degraded if "type" in flag]


def test_open_facets_of_what_is_like_an_item(wire: Room) -> None:
    """Its own story is in none of them."""
    answer = wire.ask("", similar_to="urn:0", filters=OSLO, open_facets=("place",))
    assert counts(answer, "place") == {"Oslo": 2, "Rome": 3, "Bern": 1}
    assert answer.total.relation is TotalRelation.WINDOW


def test_open_facets_count_groups_where_these_are_folded(room: Room) -> None:
    text = "The ferry left the quay at noon with two hundred people and came back at night. " * 5
    room.put(*(story(f"urn:{n}", "ferry", body=text, **at("Rome")) for n in range(3)))
    room.put(story("urn:other", "ferry", body="Nothing alike at all here", **at("Oslo")))
    answer = room.ask("ferry", filters=OSLO, open_facets=("place",), fold=Fold.NEAR_DUPLICATES)
    assert counts(answer, "place") == {"Rome": 1, "Oslo": 1}
    assert counts(room.ask("ferry", filters=OSLO, open_facets=("place",)), "place")["Rome"] == 3


def test_an_unknown_open_facet(wire: Room) -> None:
    with pytest.raises(QueryError, match="no facet 'mood'"):
        wire.ask("ferry", open_facets=("mood",))


# --- the same as a property

PLACES, KINDS, SUBJECTS = ("Oslo", "Rome", "Bern"), ("text", "picture"), ("sea", "sport")
ITEMS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(PLACES), max_size=2, unique=True),
        st.sampled_from(KINDS),
        st.lists(st.sampled_from(SUBJECTS), max_size=2, unique=True),
        st.integers(-40, 40),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
CHOSEN = st.fixed_dictionaries(
    {},
    optional={
        "place": st.lists(st.sampled_from(PLACES), min_size=1, max_size=2, unique=True),
        "type": st.lists(st.sampled_from(KINDS), min_size=1, max_size=2, unique=True),
        "subject": st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=1),
        "versioncreated": st.integers(-40, 40),
    },
)
FACETS = ("place", "type", "subject", "versioncreated")


def values_of(item: Item, name: str) -> set[str]:
    if name == "type":
        return {str(item.type)}
    if name == "versioncreated":
        return {f"{item.versioncreated:%Y-%m}"}
    return {concept.name for concept in getattr(item, name)}


def is_chosen(item: Item, name: str, wanted: Any) -> bool:
    if name == "versioncreated":
        return item.versioncreated >= START + timedelta(days=wanted)
    return bool(values_of(item, name) & set(wanted))


def counted(items: Iterable[Item], name: str) -> dict[str, int]:
    return dict(Counter(value for item in items for value in values_of(item, name)))


def test_facets_are_those_of_a_dict(tried: Tried) -> None:
    """Open ones without their own filter, others with every one; totals with every one."""

    @settings(max_examples=tried.examples(25), deadline=None, suppress_health_check=_SLOW)
    @given(ITEMS, st.lists(CHOSEN, min_size=1, max_size=4), st.sampled_from(["lexical", "hybrid"]))
    def check(drawn: list[Any], choices: list[dict[str, Any]], profile: str) -> None:
        agree(tried, drawn, choices, profile)

    check()


def agree(tried: Tried, drawn: list[Any], choices: list[dict[str, Any]], profile: str) -> None:
    items = [
        story(
            f"urn:{n}",
            "ferry",
            place=tuple(map(Concept, places)),
            type=ItemType(kind),
            subject=tuple(map(Concept, subjects)),
            when=24 * days,
            products=("wire",) if seen else ("photos",),
        )
        for n, (places, kind, subjects, days, seen) in enumerate(drawn)
    ]
    folder = Path(tempfile.mkdtemp())
    room = Room(folder, open_engine=tried.open)
    try:
        room.put(*items)
        mine = [item for item in items if item.products == ("wire",)]
        for chosen in choices:
            nodes: list[Node] = [
                DateRange(name, START + timedelta(days=wanted), None)
                if name == "versioncreated"
                else Keyword(name, tuple(wanted))
                for name, wanted in chosen.items()
            ]
            for query in ("", "ferry"):
                asked: dict[str, Any] = {"filters": all_of(*nodes), "profile": profile}
                closed = room.ask(query, READER, facets=FACETS, **asked)
                opened = room.ask(query, READER, open_facets=FACETS, **asked)
                kept = [i for i in mine if all(is_chosen(i, *one) for one in chosen.items())]
                assert closed.total.value == opened.total.value == len(kept)
                for name in FACETS:
                    others = {key: value for key, value in chosen.items() if key != name}
                    wider = [i for i in mine if all(is_chosen(i, *one) for one in others.items())]
                    assert counts(closed, name) == counted(kept, name)
                    assert counts(opened, name) == counted(wider, name)
    finally:
        room.engine.close()
        shutil.rmtree(folder)


# --- dates

BERLIN = "Europe/Berlin"


def dated(room: Room, *moments: str) -> None:
    room.put(
        *(
            story(f"urn:{n}", "ferry", versioncreated=datetime.fromisoformat(moment))
            for n, moment in enumerate(moments)
        )
    )


def histogram(room: Room, interval: str, tz: str = "") -> list[tuple[str, int]]:
    answer = room.ask("", facets=("versioncreated",), facet_interval=DateInterval(interval), tz=tz)
    return [(count.value, count.count) for count in answer.facets["versioncreated"]]


@pytest.mark.parametrize(
    ("interval", "utc", "berlin"),
    [
        ("year", [("2024", 2), ("2023", 1)], [("2024", 3)]),
        ("month", [("2024-03", 2), ("2023-12", 1)], [("2024-04", 1), ("2024-03", 1),
                                                    ("2024-01", 1)]),
        ("week", [("2024-03-25", 2), ("2023-12-25", 1)], [("2024-04-01", 1), ("2024-03-25", 1),
                                                          ("2024-01-01", 1)]),
        ("day", [("2024-03-31", 2), ("2023-12-31", 1)], [("2024-04-01", 1), ("2024-03-31", 1),
                                                         ("2024-01-01", 1)]),
        ("hour", [("2024-03-31T22:00Z", 1), ("2024-03-31T09:00Z", 1), ("2023-12-31T23:00Z", 1)],
         [("2024-04-01T00:00+02:00", 1), ("2024-03-31T11:00+02:00", 1),
          ("2024-01-01T00:00+01:00", 1)]),
    ],
)  # fmt: skip
def test_stretches_are_of_the_caller_s_calendar(
    room: Room, interval: str, utc: list[tuple[str, int]], berlin: list[tuple[str, int]]
) -> None:
    dated(
        room,
        "2024-03-31T22:15:00+00:00",
        "2024-03-31T09:00:00+00:00",
        "2023-12-31T23:30:00+00:00",
    )
    assert histogram(room, interval) == utc
    assert histogram(room, interval, BERLIN) == berlin


def test_an_hour_that_the_clocks_go_through_twice_is_two(room: Room) -> None:
    dated(
        room,
        "2024-10-27T00:30:00+00:00",
        "2024-10-27T01:10:00+00:00",
        "2024-10-27T01:50:00+00:00",
    )
    assert histogram(room, "hour", BERLIN) == [
        ("2024-10-27T02:00+01:00", 2),
        ("2024-10-27T02:00+02:00", 1),
    ]


def test_zones_off_the_hour(room: Room) -> None:
    dated(room, "2024-03-05T18:20:00+00:00", "1969-12-31T23:00:00+00:00")
    assert histogram(room, "hour", "Asia/Kathmandu") == [
        ("2024-03-06T00:00+05:45", 1),
        ("1970-01-01T04:00+05:30", 1),
    ]


def test_the_ends_of_the_calendar(room: Room) -> None:
    dated(room, "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00")
    for zone in ("Pacific/Apia", "Pacific/Pago_Pago"):
        for interval in DateInterval:
            assert [count for _, count in histogram(room, interval, zone)] == [1, 1]


MOMENTS = st.lists(
    st.datetimes(datetime(2023, 9, 1), datetime(2024, 5, 1)), min_size=1, max_size=15
)
ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Asia/Kathmandu", "Pacific/Apia"])


def test_days_and_months_are_those_of_a_dict(tried: Tried) -> None:
    @settings(max_examples=tried.examples(15), deadline=None, suppress_health_check=_SLOW)
    @given(MOMENTS, ZONES)
    def check(moments: list[datetime], zone: str) -> None:
        agree_on_dates(tried, moments, zone)

    check()


def agree_on_dates(tried: Tried, moments: list[datetime], zone: str) -> None:
    folder = Path(tempfile.mkdtemp())
    room = Room(folder, open_engine=tried.open)
    try:
        aware = [moment.replace(tzinfo=UTC) for moment in moments]
        dated(room, *(moment.isoformat() for moment in aware))
        local = [moment.astimezone(ZoneInfo(zone)) for moment in aware]
        for interval, form in (("day", "%Y-%m-%d"), ("month", "%Y-%m"), ("year", "%Y")):
            wanted = Counter(f"{moment:{form}}" for moment in local)
            assert histogram(room, interval, zone) == sorted(wanted.items(), reverse=True)
    finally:
        room.engine.close()
        shutil.rmtree(folder)


def test_a_facet_that_is_asked_for_many_times_is_retrieved_once_more(
    wire: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    retrieve = wire.engine.retrieve

    def counted(retrieval: Any) -> Any:
        asked.append(retrieval)
        return retrieve(retrieval)

    monkeypatch.setattr(wire.engine, "retrieve", counted)
    wire.ask("ferry", filters=OSLO, open_facets=("place",) * 100)
    assert len(asked) == 2
