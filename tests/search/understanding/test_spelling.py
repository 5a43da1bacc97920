"""Spelling over the demo corpus: a table to be read, and who may see what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.callers import Caller
from core.entities import EntityLabel
from core.standing import SeenWord
from indexing.ninjs import read_tree
from search.answers import FoundName
from search.pipeline import SearchPipeline
from search.understanding.spelling import Doubt, Speller
from search.understanding.understand import Understanding
from storage.words.text_analysis import Analysis
from tests.conftest import new_folder
from tests.search.room import BOTH, PHOTOS, READER, START, Room, story, uris

ROOT = Path(__file__).parents[3]
DEMO = Caller("demo", frozenset({"demo"}))


def cases() -> list[tuple[str, str]]:
    lines = (ROOT / "tests/search/understanding/spelling_cases.tsv").read_text("utf-8").splitlines()
    pairs = (line.partition("\t") for line in lines if line and not line.startswith("#"))
    return [(typed, suggested) for typed, _, suggested in pairs]


@pytest.fixture(scope="module")
def demo() -> Iterator[Room]:
    """The demo corpus, words only."""
    room = Room(new_folder())
    stories = (ROOT / "datasets/demo/stories.jsonl").read_text("utf-8").splitlines()
    items = [read_tree(json.loads(line), lambda: START).item for line in stories]
    room.now = max(item.versioncreated for item in items) + timedelta(days=1)
    room.put(*items, vectors=False)
    yield room
    room.engine.close()


def suggested(room: Room, query: str, caller: Caller = READER, doubt: Doubt | None = None) -> str:
    tree = Understanding(None).understand(query).tree
    return Speller(room.engine, Analysis(), doubt).suggestion(query, tree, caller)


@pytest.mark.parametrize(("typed", "expected"), cases())
def test_the_table(demo: Room, typed: str, expected: str) -> None:
    assert suggested(demo, typed, DEMO) == expected


WIRE = {
    "es": (
        "Inundaciones en Valencia dejan a miles de personas sin electricidad",
        "El Gobierno aprueba una reforma de las pensiones tras la huelga general",
        "La manifestación contra el cierre de la fábrica reúne a veinte mil trabajadores",
        "El presidente convoca elecciones anticipadas para el próximo otoño",
        "Un incendio forestal obliga a evacuar tres pueblos de Galicia",
    ),
    "fr": (
        "Les cheminots en grève contre la réforme des retraites",
        "Inondations dans le Finistère : des centaines de sinistrés hébergés dans un gymnase",
        "Le gouvernement annonce une augmentation du salaire minimum",
        "Un incendie ravage une forêt près de Marseille",
        "Élections législatives anticipées après la démission du Premier ministre",
    ),
    "de": (
        "Überschwemmung in Bayern: Tausende Haushalte ohne Strom",
        "Gewerkschaft kündigt Streik der Lokführer an",
        "Bundesregierung beschließt höheren Mindestlohn",
        "Zehntausende bei Demonstration gegen die Schließung des Krankenhauses",
        "Vorgezogene Wahlen nach dem Rücktritt des Ministerpräsidenten",
    ),
}


@pytest.fixture(scope="module")
def wire() -> Iterator[Room]:
    """Stories in three languages."""
    room = Room(new_folder())
    told = [(code, n, text) for code, texts in WIRE.items() for n, text in enumerate(texts)]
    items = [replace(story(f"{code}-{n}", text), language=code) for code, n, text in told]
    room.put(*items, vectors=False)
    yield room
    room.engine.close()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("inundasiones", "inundaciones"),
        ("innundaciones", "inundaciones"),
        ("inundacion", ""),
        ("manifestacion", ""),
        ("manifestasion", "manifestación"),
        ("huelga general", ""),
        ("eleciones anticipadas", "elecciones anticipadas"),
        ("gobiernno", "gobierno"),
        ("presidentte", "presidente"),
        ("electrisidad", "electricidad"),
        ("trabajdores", "trabajadores"),
        ("inondatoins", "inondations"),
        ("innondations", "inondations"),
        ("gouvernment", "gouvernement"),
        ("gouvernement", ""),
        ("greve", ""),
        ("manifestation", ""),
        ("rettraites", "retraites"),
        ("retraite", ""),
        ("démision", "démission"),
        ("demission", ""),
        ("legislatives", ""),
        ("cheminos", "cheminots"),
        ("Uberschwemmung", ""),
        ("Ueberschwemmung", ""),
        ("Überschwemung", "Überschwemmung"),
        ("Gewerkschft", "Gewerkschaft"),
        ("Bundesregirung", "Bundesregierung"),
        ("Mindestlon", "Mindestlohn"),
        ("Demonstraton", "Demonstration"),
        ("Lokfuehrer", ""),
        ("Lokführer", ""),
        ("Ministerpräsidenten", ""),
        ("Streik", ""),
        ("Wahlen Rücktrit", "Wahlen Rücktritt"),
    ],
)
def test_a_word_of_another_language(wire: Room, typed: str, expected: str) -> None:
    assert suggested(wire, typed) == expected


@pytest.mark.parametrize(
    ("typed", "expected"), [("Oslo", ""), ("Sotrm", "Storm"), ("Stenhavn", "Stenhaven")]
)
def test_a_capital_with_the_letters_of_a_common_word_is_a_name(
    demo: Room, typed: str, expected: str
) -> None:
    assert suggested(demo, typed, DEMO) == expected


@pytest.mark.parametrize(
    ("typed", "label", "expected"),
    [
        ("oslo", EntityLabel.LOC, ""),
        ("oslo", EntityLabel.ORG, "solo"),
        ("minster", EntityLabel.PER, ""),
        ("stenhavn", EntityLabel.LOC, "stenhaven"),
    ],
)
def test_a_tagged_person_or_place_becomes_no_common_word(
    demo: Room, typed: str, label: EntityLabel, expected: str
) -> None:
    tree = Understanding(None).understand(typed).tree
    found = FoundName(typed, label, 0, len(typed), 0.9)
    assert Speller(demo.engine, Analysis()).suggestion(typed, tree, DEMO, [found]) == expected


def test_the_table_is_large_enough() -> None:
    assert sum(bool(expected) for _, expected in cases()) >= 40


def test_no_headline_that_is_found_is_doubted(demo: Room) -> None:
    """Every word of it is right: a visible item has it."""
    answer = demo.ask("", DEMO, page_size=200)
    assert len(answer.hits) > 90
    for hit in answer.hits:
        assert suggested(demo, hit.item.headline, DEMO) == ""


@pytest.fixture
def desk(room: Room) -> Room:
    room.put(
        story("ferry", "Ferry aground", body="The ferry is aground off München."),
        story("photo", "Regatta at Kalymira", body="The regatta.", products=("photos",)),
        story("secret", "Zeppelin over the port", body="A zeppelin."),
    )
    return room


def test_only_what_the_caller_may_see_is_suggested(desk: Room) -> None:
    assert suggested(desk, "regata", READER) == ""
    assert suggested(desk, "regata", PHOTOS) == "regatta"
    assert suggested(desk, "fery", PHOTOS) == ""
    assert suggested(desk, "fery regata", BOTH) == "ferry regatta"
    assert suggested(desk, "fery", Caller("nobody", frozenset())) == ""


def test_whether_hidden_items_hold_a_word_makes_no_difference(desk: Room) -> None:
    """Else a missing suggestion would tell that someone wrote "fery"."""
    desk.put(*(story(f"p-{n}", "fery", products=("photos",)) for n in range(8)))
    assert suggested(desk, "fery", READER) == "ferry"
    assert suggested(desk, "fery", BOTH) == ""


def test_accents_come_from_the_archive(desk: Room) -> None:
    assert suggested(desk, "munchenn") == "münchen"
    assert suggested(desk, "Munchenn") == "München"
    assert suggested(desk, "munchen") == ""  # found as it is


def test_a_common_error_is_doubted_where_it_is_rare(room: Room) -> None:
    room.put(*(story(f"g-{n}", "government") for n in range(8)), story("one", "goverment"))
    assert suggested(room, "goverment") == ""
    assert suggested(room, "goverment", doubt=Doubt(few=3, times=8)) == "government"
    assert suggested(room, "goverment", doubt=Doubt(few=0, times=8)) == ""


class Fixed:
    """A vocabulary of one answer that says what it was asked."""

    def __init__(self, *words: SeenWord) -> None:
        self.words = words
        self.asked: list[str] = []

    def seen_counts(
        self, words: Sequence[str], few: int, caller: Caller, field: str = ""
    ) -> tuple[int, ...]:
        return (0,) * len(words)

    def similar_words(
        self, words: Sequence[tuple[str, int]], caller: Caller
    ) -> tuple[tuple[SeenWord, ...], ...]:
        self.asked += [f"{word} {most}" for word, most in words]
        return (self.words,) * len(words)


def test_longer_words_may_have_two_errors() -> None:
    archive = Fixed()
    tree = Understanding(None).understand("fery elektrizity").tree
    assert Speller(archive, Analysis()).suggestion("fery elektrizity", tree, READER) == ""
    assert archive.asked == ["fery 1", "elektrizity 2"]


def test_prose_is_not_looked_at() -> None:
    archive, query = Fixed(), " ".join(f"word{'abcdefghijklmnop'[n]}" for n in range(13))
    assert (
        Speller(archive, Analysis()).suggestion(
            query, Understanding(None).understand(query).tree, READER
        )
        == ""
    )
    assert archive.asked == []


def doubting(room: Room) -> SearchPipeline:
    return SearchPipeline(replace(room.pipeline._parts, doubt=Doubt()))


def test_the_answer_is_that_of_the_query_as_typed(desk: Room) -> None:
    plain = desk.ask("fery aground")
    answer = desk.ask("fery aground", pipeline=doubting(desk))
    assert (plain.suggestion, answer.suggestion) == ("", "ferry aground")
    assert uris(answer) == uris(plain)
    assert answer.understood == plain.understood
    assert desk.ask(answer.suggestion, pipeline=doubting(desk)).suggestion == ""


def test_a_cursor_s_page_suggests_nothing_more(desk: Room) -> None:
    pipeline = doubting(desk)
    first = desk.ask("fery aground", pipeline=pipeline, page_size=1)
    rest = desk.ask("fery aground", pipeline=pipeline, page_size=1, cursor=first.cursor)
    assert (first.suggestion, rest.suggestion) == ("ferry aground", "")


def test_words_are_the_analysis_s_own() -> None:
    """The table above leans on stemming: "governments" is found where "government" stands."""
    assert Analysis().terms("governments", "en") == Analysis().terms("government", "en")


def test_items_that_were_killed_a_moment_ago_are_not_counted(desk: Room) -> None:
    """Their words are in the index until its next commit, and as many others not yet."""
    desk.put(*(story(f"k-{n}", "fery") for n in range(6)))
    assert suggested(desk, "fery") == ""
    for number in range(6):
        desk.kill(f"k-{number}")
    desk.put(*(story(f"n-{n}", "Bank") for n in range(6)), index=False)
    assert suggested(desk, "fery") == "ferry"
