"""Names in queries: what they are read as, what they do to the answer, what is told of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.callers import Caller
from core.entities import Entity, EntityLabel, NameMatch
from core.items import Concept
from core.query_tree import Keyword
from core.retrieval import SortOrder
from search.answers import EntityUse, FoundName, SearchResponse
from search.understanding.names import NameFinder
from search.understanding.understand import Understanding
from tests.conftest import new_folder
from tests.search.room import BOTH, PHOTOS, READER, Room, story, uris

PER, ORG, LOC, _ = EntityLabel
NAMES = {
    "angela merkel": PER,
    "angela merkle": PER,
    "merkle": PER,
    "solvane": PER,
    "obrien": PER,
    "varland": LOC,
    "nowhere": LOC,
    "island lines": ORG,
}
PROFILES = ["lexical", "vector", "hybrid", "hybrid-rrf"]


class ListTagger:
    """A tagger of listed names, in any case, that counts how often it is asked."""

    def __init__(self, names: Mapping[str, EntityLabel] = NAMES) -> None:
        self._names = names
        self._pattern = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b", re.IGNORECASE)
        self.asked: list[str] = []

    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
        self.asked.extend(texts)
        return tuple(
            tuple(
                Entity(m[0], self._names[m[0].lower()], m.start(), m.end(), 0.9)
                for m in self._pattern.finditer(text)
            )
            for text in texts
        )


class FailingTagger:
    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
        raise ValueError("bad input ids")


def filled(room: Room) -> Room:
    merkel = (Concept("Angela Merkel"),)
    varland = (Concept("Varland"),)
    room.put(
        story("visit", "Chancellor visits", body="A visit to the port.", person=merkel),
        story("talks", "Talks go on", body="Coal and trains.", person=merkel, place=varland),
        story("town", "Storm in Varland", body="A storm closed the port.", place=varland),
        story("aside", "Angela Merkel Angela Merkel", body="Merkel, Merkel and Merkel again."),
        story("lines", "Ferry aground", body="Angela.", organisation=(Concept("Island Lines"),)),
        story("book", "A novel", body="Of a port.", person=(Concept("Edna O'Brien"),)),
        story(
            "photo",
            "At the quay",
            person=(Concept("Ingrid Solvane"),),
            products=("photos",),
        ),
        story("plain", "Port opens", body="The port of Varland opened. Angela Merkel spoke."),
    )
    return room


@pytest.fixture
def wire(room: Room) -> Room:
    return filled(room)


@pytest.fixture(scope="module")
def kept() -> Iterator[Room]:
    """One archive for tests that only read."""
    folder = new_folder()
    room = filled(Room(folder))
    yield room
    room.engine.close()
    shutil.rmtree(folder)


def ask(room: Room, q: str, use: EntityUse = EntityUse.BOOST, **members: Any) -> SearchResponse:
    pipeline = room.build(tagger=ListTagger(), entity_boost=members.pop("boost", 0.2))
    return room.ask(q, pipeline=pipeline, entities=use, **members)


def told(answer: SearchResponse) -> list[tuple[str, str, str, str]]:
    """Each name: as typed, as the archive writes it, how they match and what was done."""
    return [
        (
            found.text,
            found.known.name if found.known else "",
            found.known.match.value if found.known else "none",
            found.use.value,
        )
        for found in answer.understood.entities
    ]


# --- other languages than the tagger's


@pytest.mark.parametrize(
    ("query", "language", "wanted"),
    [
        ("Rede von Angela Merkel", "de", [("Angela Merkel", "Angela Merkel", PER)]),
        ("discours d'Angela Merkel", "fr", [("Angela Merkel", "Angela Merkel", PER)]),
        ("declaraciones de angela merkel", "", [("angela merkel", "Angela Merkel", PER)]),
        ("Unglück vor Varland", "de", [("Varland", "Varland", LOC)]),
        ("el libro de Edna O'Brien", "es", [("Edna O'Brien", "Edna O'Brien", PER)]),
        (
            "Island Lines y Angela Merkel en Varland",
            "es",
            [
                ("Island Lines", "Island Lines", ORG),
                ("Angela Merkel", "Angela Merkel", PER),
                ("Varland", "Varland", LOC),
            ],
        ),
        ("Rede von Ingrid Solvane", "de", [("Rede von Ingrid Solvane", "", ORG)]),  # of the photos
        ("unglück vor varland", "", [("unglück vor varland", "", ORG)]),  # one word may be any
    ],
)
def test_the_archive_s_own_names_are_read_in_every_language(
    kept: Room, query: str, language: str, wanted: list[tuple[str, str, EntityLabel]]
) -> None:
    tagger = ListTagger({query.casefold(): ORG})  # takes the whole query for a name
    finder = NameFinder(tagger, kept.engine)
    places = range(len(query))
    found = finder.find(query, places, READER, EntityUse.BOOST, language=language).names
    assert [(one.text, one.known.name if one.known else "", one.label) for one in found] == wanted
    assert all(query[one.start : one.end] == one.text for one in found)
    (english,) = finder.find(query, places, READER, EntityUse.BOOST, language="en").names
    assert english.text == query


# --- boost


@pytest.mark.parametrize("profile", PROFILES)
def test_a_known_name_boosts_who_is_about_it(kept: Room, profile: str) -> None:
    plain = ask(kept, "angela merkel", EntityUse.OFF, profile=profile)
    boosted = ask(kept, "angela merkel", profile=profile, boost=2.0)
    assert set(uris(boosted)[:2]) == {"visit", "talks"}
    assert set(uris(plain)[:2]) != {"visit", "talks"}
    assert set(uris(boosted)) == set(uris(plain))
    assert told(boosted) == [("angela merkel", "Angela Merkel", "folded", "boost")]


def test_an_item_with_more_of_the_names_is_boosted_more(kept: Room) -> None:
    answer = ask(kept, "angela merkel varland", boost=5.0, explain=True)
    assert uris(answer)[0] == "talks"
    shares = {hit.item.uri: hit.explanation.names for hit in answer.hits if hit.explanation}
    assert shares["talks"] == 1.0
    assert shares["visit"] == shares["town"] == 0.5
    assert shares["aside"] == shares["plain"] == 0.0


def test_the_explanation_adds_up(kept: Room) -> None:
    for profile in PROFILES:
        answer = ask(kept, "port angela merkel", boost=0.5, profile=profile, explain=True)
        for hit in answer.hits:
            why = hit.explanation
            assert why is not None
            parts = why.bm25_normalized * why.lexical_weight + why.names * why.names_weight
            parts += sum(share.normalized * share.weight for share in why.vectors)
            assert parts == pytest.approx(why.fused, abs=1e-5)
            weights = why.lexical_weight + why.names_weight + sum(s.weight for s in why.vectors)
            assert weights == pytest.approx(1.0)
            assert why.names_weight == pytest.approx(1 / 3)


@pytest.mark.parametrize("q", ["nowhere port", "port", "island lines coal"])
def test_where_no_candidate_has_a_name_no_score_changes(kept: Room, q: str) -> None:
    kept_filter = Keyword("place", ("Varland",))  # leaves Island Lines' only story out
    off = ask(kept, q, EntityUse.OFF, filters=kept_filter)
    on = ask(kept, q, boost=3.0, filters=kept_filter)
    assert [(h.item.uri, h.score) for h in on.hits] == [(h.item.uri, h.score) for h in off.hits]


def test_without_a_boost_names_are_only_told(kept: Room) -> None:
    answer = ask(kept, "angela merkel", boost=0.0)
    assert told(answer) == [("angela merkel", "Angela Merkel", "folded", "off")]
    off = ask(kept, "angela merkel", EntityUse.OFF)
    assert [(h.item.uri, h.score) for h in answer.hits] == [(h.item.uri, h.score) for h in off.hits]


def test_a_date_order_is_not_boosted(kept: Room) -> None:
    answer = ask(kept, "merkle port", order=SortOrder.NEWEST)
    assert told(answer) == [("merkle", "Angela Merkel", "fuzzy", "off")]
    off = ask(kept, "merkle port", EntityUse.OFF, order=SortOrder.NEWEST)
    assert uris(answer) == uris(off)


@pytest.mark.parametrize(
    ("q", "wanted"),
    [("merkle", {"visit", "talks"}), ("angela merkle", {"visit", "talks"}), ("obrien", {"book"})],
)
def test_another_spelling_finds_what_the_archives_would(
    kept: Room, q: str, wanted: set[str]
) -> None:
    answer = ask(kept, q, profile="lexical")
    assert set(uris(answer)[: len(wanted)]) == wanted
    plain = ask(kept, q, EntityUse.OFF, profile="lexical")
    assert set(uris(plain)[: len(wanted)]) != wanted


def test_another_spelling_opens_no_condition(kept: Room) -> None:
    assert uris(ask(kept, '"merkle"', profile="lexical")) == []
    assert uris(ask(kept, "+merkle port", profile="lexical")) == []
    assert uris(ask(kept, "headline:storm merkle", profile="lexical")) == ["town"]


# --- filter


@given(
    name=st.sampled_from([*NAMES, "Angela Merkel", "ISLAND LINES", "Solvane"]),
    rest=st.sampled_from(["", "port", "storm ferry", "+port"]),
    profile=st.sampled_from(PROFILES),
    caller=st.sampled_from([READER, PHOTOS, BOTH]),
)
def test_a_filter_by_name_is_the_filter_by_its_field(
    kept: Room, name: str, rest: str, profile: str, caller: Caller
) -> None:
    q = f"{rest} {name}".strip()
    answer = ask(kept, q, EntityUse.FILTER, profile=profile, caller=caller)
    (found,) = answer.understood.entities
    if found.known is None:
        assert answer.understood.notes == (
            f"{found.text}: the archive knows no such name, so it ranks and does not filter",
        )
        expected = ask(kept, q, EntityUse.OFF, profile=profile, caller=caller)
        assert uris(answer) == uris(expected)
    else:
        assert found.use is EntityUse.FILTER
        by_field = Keyword(found.known.field, found.known.spellings)
        expected = ask(kept, q, EntityUse.OFF, profile=profile, caller=caller, filters=by_field)
        every = ask(kept, "", EntityUse.OFF, caller=caller, filters=by_field)
        assert set(uris(answer)) <= set(uris(every))
        assert set(uris(expected)) <= set(uris(answer))
        if found.known.match is not NameMatch.FUZZY and found.text.lower() != "obrien":
            assert [(h.item.uri, h.score) for h in answer.hits] == [
                (h.item.uri, h.score) for h in expected.hits
            ]
            assert answer.total == expected.total


def test_all_known_names_filter(kept: Room) -> None:
    answer = ask(kept, "angela merkel varland nowhere", EntityUse.FILTER)
    assert uris(answer) == ["talks"]
    assert [use for *_, use in told(answer)] == ["filter", "filter", "off"]
    assert answer.understood.notes == (
        "nowhere: the archive knows no such name, so it ranks and does not filter",
    )


def test_a_filter_that_can_not_be_is_said(kept: Room) -> None:
    assert ask(kept, "port", EntityUse.FILTER).understood.notes == (
        "no name was recognised, so none filters",
    )
    for tagger, reason in ((None, "there is no tagger"), (FailingTagger(), "ValueError")):
        answer = kept.ask(
            "angela merkel", pipeline=kept.build(tagger=tagger), entities=EntityUse.FILTER
        )
        said = f"names were not looked for: {reason}, so none filters"
        assert answer.understood.notes == (said,)
        assert answer.degraded == (f"names: skipped, {reason}",)
        assert uris(answer)


UNLOADED = "the tagger could not be loaded"


@pytest.mark.parametrize(
    ("members", "flagged"),
    [
        ({}, True),
        ({"entities": EntityUse.FILTER}, True),
        ({"entities": EntityUse.FILTER, "order": SortOrder.NEWEST}, True),
        ({"entities": EntityUse.OFF}, False),
        ({"order": SortOrder.NEWEST}, False),  # names rank nothing there
    ],
)
def test_a_tagger_that_is_wanted_and_not_there_is_flagged_where_names_have_a_say(
    kept: Room, members: dict[str, Any], flagged: bool
) -> None:
    pipeline = kept.build(tagger_missing=UNLOADED, entity_boost=0.2)
    answer = kept.ask("angela merkel", pipeline=pipeline, **members)
    assert answer.degraded == ((f"names: skipped, {UNLOADED}",) if flagged else ())
    noted = any(f"names were not looked for: {UNLOADED}" in n for n in answer.understood.notes)
    assert noted == (members.get("entities") is not EntityUse.OFF)


def test_a_tagger_that_is_not_there_is_missed_by_no_query_without_words_or_boost(
    kept: Room,
) -> None:
    wanted = kept.build(tagger_missing=UNLOADED, entity_boost=0.2)
    assert kept.ask("place:varland", pipeline=wanted).degraded == ()
    plain = kept.build(tagger_missing=UNLOADED, entity_boost=0.0)
    assert kept.ask("angela merkel", pipeline=plain).degraded == ()
    none_named = kept.ask("angela merkel", pipeline=kept.build(entity_boost=0.2))
    assert (none_named.degraded, none_named.understood.notes) == ((), ())


def test_facts_alone_have_no_names_to_look_for(kept: Room) -> None:
    answer = ask(kept, "place:varland", EntityUse.FILTER)
    assert (answer.understood.entities, answer.understood.notes) == ((), ())


# --- off


def test_off_asks_no_tagger(kept: Room) -> None:
    tagger = ListTagger()
    pipeline = kept.build(tagger=tagger, entity_boost=1.0)
    answer = kept.ask("angela merkel", pipeline=pipeline, entities=EntityUse.OFF)
    assert tagger.asked == []
    assert answer.understood.entities == ()
    kept.ask("angela merkel", pipeline=pipeline)
    assert tagger.asked == ["angela merkel"]


# --- who may know


@pytest.mark.parametrize("use", [EntityUse.BOOST, EntityUse.FILTER])
def test_a_killed_name_is_gone_at_once_and_from_later_pages(wire: Room, use: EntityUse) -> None:
    wire.put(story("visit-2", "A visit", person=(Concept("Angela Merkel"),)))
    pipeline = wire.build(tagger=ListTagger(), entity_boost=1.0)
    first = wire.ask("merkle", pipeline=pipeline, entities=use, page_size=1)
    assert told(first) == [("merkle", "Angela Merkel", "fuzzy", use.value)]
    assert first.cursor
    for uri in ("visit", "visit-2", "talks"):
        wire.kill(uri)
    later = wire.ask("merkle", pipeline=pipeline, cursor=first.cursor, page_size=1)
    again = wire.ask("merkle", pipeline=pipeline, entities=use)
    for answer in (later, again):
        assert [found.known for found in answer.understood.entities] == [None]
        assert "angela" not in repr(answer.understood).lower()


def test_a_killed_name_is_not_replaced_by_one_that_is_like_it(wire: Room) -> None:
    wire.put(story("other", "Talks", body="Of coal.", person=(Concept("Angelo Merkel"),)))
    pipeline = wire.build(tagger=ListTagger(), entity_boost=1.0)
    first = wire.ask("angela merkel", pipeline=pipeline, page_size=1)
    assert told(first) == [("angela merkel", "Angela Merkel", "folded", "boost")]
    wire.kill("visit")
    wire.kill("talks")
    later = wire.ask("angela merkel", pipeline=pipeline, cursor=first.cursor, page_size=1)
    assert [found.known for found in later.understood.entities] == [None]


# --- where a name was typed


NEIGHBOURS = (
    *("storm", "AND", "-x", '"', "(", ")", "march 2024", "^2", "title:"),
    *("~", "\\", "  ", "--", "ü", "?"),
)


def places(query: str) -> list[str]:
    """What stands in the query where each name is said to be."""
    found = Understanding(ListTagger()).understand(query).told().entities
    return [query[entity.start : entity.end] for entity in found]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("angela merkel", ["angela merkel"]),
        ("  port\tof Varland", ["Varland"]),
        ("storm march 2024 varland", ["varland"]),
        ("varland storm march 2024", ["varland"]),
        ("in march 2024 angela merkel Varland", ["angela merkel", "Varland"]),
        ("storm AND varland NOT nowhere", ["varland"]),
        ("varland OR (storm AND nowhere)", ["varland", "nowhere"]),
        ("-varland varland", ["varland"]),
        ('place:varland "angela merkel"', ["angela merkel"]),
        ('"port of varland"~3 headline:nowhere', ["varland", "nowhere"]),
        ("+varland storm^2 nowhere^3", ["varland", "nowhere"]),
        ("var\\land storm", ["var\\land"]),
        ("storm -- varland!! nowhere??", ["varland", "nowhere"]),
        ("date:2024 varland", ["varland"]),
        ("a \x01 varland", ["varland"]),
        ("(varland", ["varland"]),
        ("🌍 varland 🌍", ["varland"]),
        ("angela AND merkel", ["angela AND merkel"]),
    ],
)
def test_places_are_those_of_the_query_as_typed(query: str, wanted: list[str]) -> None:
    assert places(query) == wanted


def test_a_negated_name_is_not_taken_for_the_one_that_is_meant() -> None:
    query = "-varland varland"
    (found,) = Understanding(ListTagger()).understand(query).told().entities
    assert (found.start, found.end) == (9, 16)


@given(
    st.lists(
        st.sampled_from([*NEIGHBOURS, "varland", "Angela Merkel"]),
        max_size=9,
    )
)
def test_a_place_has_the_name_whatever_is_around(parts: list[str]) -> None:
    query = " ".join(parts)
    found: tuple[FoundName, ...] = Understanding(ListTagger()).understand(query).told().entities
    for entity in found:
        assert 0 <= entity.start < entity.end <= len(query)
        said = query[entity.start : entity.end]
        assert entity.text.split()[0] in said
        assert entity.text.split()[-1] in said
