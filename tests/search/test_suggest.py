"""What is suggested to whom as one types: golden cases. The guard has the random histories."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.callers import NOBODY, Caller
from core.errors import QueryError
from core.items import Concept, PubStatus
from core.retrieval import Suggestion, SuggestionKind
from core.writes import SetStatus
from search.suggest import MAX_SUGGESTIONS, MAX_TYPED_CHARACTERS, Suggester
from tests.search.room import BOTH, PHOTOS, READER, Room, story

PERSON, ORGANISATION, PLACE, SUBJECT, HEADLINE = SuggestionKind
MERKEL = (Concept("Angela Merkel"),)


def ask(room: Room, text: str, caller: Caller = READER, limit: int = 10) -> list[str]:
    return [found.text for found in Suggester(room.engine).suggest(text, limit, caller)]


@pytest.fixture
def newsroom(room: Room) -> Room:
    room.put(
        story("a", "Merkel opens the harbour", person=MERKEL, place=(Concept("Porto Alto"),)),
        story("b", "Harbour strike ends", person=MERKEL, organisation=(Concept("Port Union"),)),
        story("c", "Storm over Porto Alto", subject=(Concept("ports"),), when=1),
        story("d", "A strike at the harbour", when=2, place=(Concept("Porto Alto"),)),
        index=False,
    )
    return room


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        # the commonest first, then those that begin so, then by kind
        ("port", ["Porto Alto", "Port Union", "ports", "Storm over Porto Alto"]),
        ("Ports", ["ports"]),
        ("port union", ["Port Union"]),
        ("porto", ["Porto Alto", "Storm over Porto Alto"]),
        ("alto porto", ["Porto Alto", "Storm over Porto Alto"]),  # in any order
        ("MERK", ["Angela Merkel", "Merkel opens the harbour"]),
        ("merkel's", ["Angela Merkel", "Merkel opens the harbour"]),
        ("ángela m", ["Angela Merkel"]),
        ("angela merkel opens", []),
        # of equal headlines those that begin so, then the newest
        ("har", ["Harbour strike ends", "A strike at the harbour", "Merkel opens the harbour"]),
        ("m", ["Angela Merkel"]),  # one letter finds names, but no headline
        ("ort", []),  # no word begins so
        ("", []),
        (" ,;- ", []),
    ],
)
def test_what_is_suggested(newsroom: Room, typed: str, found: list[str]) -> None:
    assert ask(newsroom, typed) == found


def test_a_suggestion_says_its_kind_and_how_many_stories(newsroom: Room) -> None:
    found = Suggester(newsroom.engine).suggest("porto", 10, READER)
    assert found[0] == Suggestion("Porto Alto", PLACE, 2)
    assert found[1] == Suggestion("Storm over Porto Alto", HEADLINE, 1)


def test_what_is_typed_whole_comes_before_what_is_common(room: Room) -> None:
    room.put(
        story("a", place=(Concept("Iran"),)),
        *(story(f"n{number}", place=(Concept("Iranian Gulf"),)) for number in range(3)),
    )
    assert ask(room, "ira") == ["Iranian Gulf", "Iran"]
    assert ask(room, "iran") == ["Iran", "Iranian Gulf"]


def test_the_limit_keeps_the_best(newsroom: Room) -> None:
    assert ask(newsroom, "port", limit=2) == ["Porto Alto", "Port Union"]
    assert ask(newsroom, "har", limit=2) == ["Harbour strike ends", "A strike at the harbour"]


def test_only_what_the_caller_sees_at_this_moment_counts(newsroom: Room) -> None:
    newsroom.put(
        story("p", "Porto regatta", products=("photos",), place=(Concept("Porto Alto"),)),
        story("e", "Porto embargo", embargoed=newsroom.now + timedelta(hours=1)),
        story("x", "Porto expiry", expires=newsroom.now + timedelta(hours=2)),
    )
    assert ask(newsroom, "porto", NOBODY) == []
    assert ask(newsroom, "porto", PHOTOS) == ["Porto Alto", "Porto regatta"]
    assert Suggester(newsroom.engine).suggest("porto", 1, BOTH)[0].count == 3
    assert ask(newsroom, "porto e") == ["Porto expiry"]
    newsroom.now += timedelta(hours=1, seconds=1)
    assert ask(newsroom, "porto e") == ["Porto expiry", "Porto embargo"]
    newsroom.now += timedelta(hours=1)
    assert ask(newsroom, "porto e") == ["Porto embargo"]
    newsroom.kill("e")
    assert ask(newsroom, "porto e") == []
    assert ask(newsroom, "angela") == ["Angela Merkel"]
    newsroom.kill("a")
    newsroom.kill("b")
    assert ask(newsroom, "angela") == []
    newsroom.put(story("b", "Harbour strike begins again", version=2))
    newsroom.engine.set_status([SetStatus("b", PubStatus.USABLE)])
    assert ask(newsroom, "harbour s") == ["Harbour strike begins again", "A strike at the harbour"]


def test_another_process_sees_the_same(newsroom: Room) -> None:
    other = Room(newsroom.folder)
    try:
        assert ask(other, "porto") == ["Porto Alto", "Storm over Porto Alto"]
        newsroom.kill("c")
        newsroom.put(story("f", "Porto fair"))
        assert ask(other, "porto") == ["Porto Alto", "Porto fair"]
    finally:
        other.engine.close()


@pytest.mark.parametrize(
    ("text", "limit"), [("a", 0), ("a", MAX_SUGGESTIONS + 1), ("a" * (MAX_TYPED_CHARACTERS + 1), 5)]
)
def test_what_can_t_be_asked(room: Room, text: str, limit: int) -> None:
    with pytest.raises(QueryError):
        Suggester(room.engine).suggest(text, limit, READER)
