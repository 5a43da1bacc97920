"""A name that the archive knows is never corrected; a misspelt one is corrected whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from core.callers import Caller
from core.entities import Entity, EntityLabel, NameMatch
from core.items import Concept
from core.query_tree import Bool, Word
from search import pipeline
from search.answers import FoundName, SearchRequest
from search.candidates import CandidateSet, has_enough
from search.understanding.spelling import Doubt, Speller
from storage.words.text_analysis import Analysis
from tests.conftest import new_folder
from tests.search.engines import Tried, every_engine  # noqa: F401 - a fixture
from tests.search.room import BOTH, PHOTOS, READER, START, Room, story
from tests.search.understanding.test_names import ListTagger


@pytest.fixture(scope="module")
def desk(tried: Tried) -> Iterator[Room]:
    """One archive for all tests; the one that changes it stands at the end."""
    room = Room(new_folder(), open_engine=tried.open)
    room.put(
        *(story(f"urn:solo:{n}", "Solo sailors land", body="A solo art.") for n in range(60)),
        story("oslo", "Fjord", place=(Concept("Oslo"),)),
        story("wave", "Vote", person=(Concept("Ingrid Solvane"), Concept("Arto Nimm"))),
        story("un", "Treaty", organisation=(Concept("United Harbours"),)),
        story("photo", "Port", person=(Concept("Quentin Farr"),), products=("photos",)),
        story("later", "Soon", person=(Concept("Wilma Trost"),), embargoed=START + timedelta(1)),
    )
    room.pipeline = type(room.pipeline)(replace(room.pipeline._parts, doubt=Doubt()))
    yield room
    room.engine.close()


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("Oslo", ""),
        ("oslo", ""),
        ("ferry oslo", ""),
        ("arto nimm", ""),
        ("Arto", ""),
        ("ingrd solvain", "Ingrid Solvane"),
        ("Ingrid Solvain", "Ingrid Solvane"),
        ("vote ingrd solvane today", "vote Ingrid Solvane today"),
        ("solvain", "solvane"),
        ("Solvain", "Solvane"),
        ("solvane", ""),
        ("unitd harbors", "United Harbours"),
        ('"ingrd solvain"', ""),
        ("ingrd NOT solvain", "ingrid NOT solvain"),
        ("soloo sailers", "solo sailors"),
        ("quentn farr", ""),
        ("wilme trosst", ""),
    ],
)
def test_what_is_suggested(desk: Room, typed: str, suggested: str) -> None:
    assert desk.ask(typed).suggestion == suggested


@pytest.mark.parametrize(("strong", "enough"), [(None, False), (9, False), (10, True)])
def test_no_name_is_looked_for_if_a_page_of_hits_is_strong(
    desk: Room, monkeypatch: pytest.MonkeyPatch, strong: int | None, *, enough: bool
) -> None:
    assert has_enough(cast("CandidateSet", SimpleNamespace(strong=strong))) is enough
    monkeypatch.setattr(pipeline, "has_enough", lambda _: enough)
    assert desk.ask("quentn farr", BOTH).suggestion == ("" if enough else "Quentin Farr")


@pytest.mark.parametrize(
    ("typed", "better"), [("ingrd solvain", "Ingrid Solvane"), ("solvane", "")]
)
def test_a_misspelt_name_of_strong_hits_is_corrected(
    desk: Room, monkeypatch: pytest.MonkeyPatch, typed: str, better: str
) -> None:
    """Where the tagger finds the name, its stories come up and are strong: no sign of a slip."""
    monkeypatch.setattr(pipeline, "has_enough", lambda _: True)
    tagged = desk.build(tagger=ListTagger({typed: EntityLabel.PER}))
    asking = type(tagged)(replace(tagged._parts, doubt=Doubt()))
    assert desk.ask(typed, pipeline=asking).suggestion == better


@pytest.mark.parametrize("typed", ["Ingrid Solvain", "soloo sailers", "arto nimm", "zzz"])
def test_the_same_is_suggested_while_the_answer_is_made(desk: Room, typed: str) -> None:
    beside = type(desk.pipeline)(replace(desk.pipeline._parts, asks_cluster=True))
    found = beside.search(SearchRequest(q=typed), READER)
    assert found.suggestion == desk.ask(typed).suggestion


def test_a_misspelt_name_keeps_its_kind(desk: Room) -> None:
    asked = Entity("ingrd solvain", EntityLabel.PER, 0, 13, 1.0)
    (known,) = desk.engine.known([asked], READER)
    assert (known.name, known.field, known.match) == ("Ingrid Solvane", "person", NameMatch.FUZZY)
    assert desk.engine.known([replace(asked, label=EntityLabel.LOC)], READER) == (None,)


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("ingrid solvan", "Ingrid Solvane"),
        ("ingrid solvanes", "Ingrid Solvane"),
        ("ingrid sölvane", ""),
    ],
)
def test_a_word_with_the_stem_of_the_right_one_is_corrected(
    desk: Room, typed: str, suggested: str
) -> None:
    asked = Entity(typed, EntityLabel.PER, 0, len(typed), 1.0)
    (known,) = desk.engine.known([asked], READER)
    found = FoundName(typed, EntityLabel.PER, 0, len(typed), 1.0, known)
    tree = Bool(should=tuple(map(Word, typed.split())))
    speller = Speller(desk.engine, Analysis(), names=desk.engine)
    assert speller.suggestion(typed, tree, READER, [found]) == suggested


def test_names_are_of_what_the_caller_may_see_now(desk: Room) -> None:
    assert desk.ask("quentn farr", PHOTOS).suggestion == "Quentin Farr"
    assert desk.ask("quentn farr", BOTH).suggestion == "Quentin Farr"
    assert desk.ask("quentn farr", Caller("nobody", frozenset())).suggestion == ""
    assert desk.ask("ingrd solvain", PHOTOS).suggestion == ""
    desk.kill("wave")
    assert desk.ask("ingrd solvain").suggestion == ""
    desk.kill("oslo")
    assert desk.ask("oslo").suggestion == "solo"
    assert desk.ask("Oslo").suggestion == desk.ask("ferry Oslo").suggestion == ""
    desk.now += timedelta(2)
    desk.engine.catch_up()
    assert desk.ask("wilme trosst").suggestion == "Wilma Trost"
