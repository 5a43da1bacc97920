"""One name for another: what a query with an alias finds, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from core.callers import Caller
from core.entities import EntityLabel
from core.items import Concept
from search.answers import EntityUse, SearchResponse
from tests.search.room import BOTH, READER, Room, story, uris
from tests.search.understanding.test_names import PROFILES, ListTagger

NAMES = {"un": EntityLabel.ORG, "united nations": EntityLabel.ORG}
CODE = "wd:Q1065"
NATIONS = {"full", "again", "short", "third"}


def named(name: str, code: str = CODE) -> dict[str, Any]:
    return {"organisation": (Concept(name, code),)}


@pytest.fixture
def wire(room: Room) -> Room:
    room.put(
        story("full", "Talks open", body="A port.", **named("United Nations")),
        story("again", "Talks go on", body="A port.", **named("United Nations")),
        story("short", "Aid arrives", body="A port.", **named("UN")),
        story("third", "Talks end", body="A port.", **named("United Nations")),
        story("other", "Harbour opens", body="A port of the UN.", **named("Port", "wd:Q2")),
    )
    return room


def ask(
    room: Room, q: str, use: EntityUse = EntityUse.BOOST, caller: Caller = READER, **members: Any
) -> SearchResponse:
    pipeline = room.build(tagger=ListTagger(NAMES), entity_boost=2.0)
    return room.ask(q, caller, pipeline=pipeline, entities=use, **members)


def told(answer: SearchResponse) -> list[tuple[str, tuple[str, ...]]]:
    names = [found.known for found in answer.understood.entities]
    return [(known.name, known.aliases) if known else ("", ()) for known in names]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("q", ["un port", "united nations port"])
def test_any_of_its_names_boosts(wire: Room, q: str, profile: str) -> None:
    answer = ask(wire, q, profile=profile)
    assert set(uris(answer)[:4]) == NATIONS
    assert told(answer) == [("United Nations", ("UN",))]


@pytest.mark.parametrize("q", ["un", "united nations"])
def test_any_of_its_names_filters(wire: Room, q: str) -> None:
    assert set(uris(ask(wire, f"{q} port", EntityUse.FILTER))) == NATIONS


def test_the_archives_name_is_searched_too(wire: Room) -> None:
    found = set(uris(ask(wire, "un", profile="lexical")))
    assert found == NATIONS | {"other"}
    off = set(uris(ask(wire, "un", EntityUse.OFF, profile="lexical")))
    assert off == {"short", "other"}


def test_what_links_two_names_is_looked_at_again_on_later_pages(wire: Room) -> None:
    wire.put(story("bare", "Aid again", body="A port.", **named("UN", "")))
    pipeline = wire.build(tagger=ListTagger(NAMES), entity_boost=2.0)
    first = wire.ask("un port", pipeline=pipeline, page_size=1)
    assert told(first) == [("United Nations", ("UN",))]
    wire.kill("short")  # "UN" is left, without its code
    later = wire.ask("un port", pipeline=pipeline, page_size=1, cursor=first.cursor)
    assert told(later) == [("UN", ())]
    assert "United" not in repr(later.understood)


def test_a_link_that_the_caller_may_not_see_is_none(wire: Room) -> None:
    hidden = named("The World Body") | {"products": ("photos",)}
    wire.put(story("hidden", "Aid", **hidden))
    assert told(ask(wire, "un port")) == [("United Nations", ("UN",))]
    assert told(ask(wire, "un port", caller=BOTH)) == [("United Nations", ("The World Body", "UN"))]
