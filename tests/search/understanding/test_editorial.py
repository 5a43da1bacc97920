"""The editors' file: what it may say, when it is read, and what it does to an answer."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.items import Concept, PubStatus
from core.query_tree import Bool, Keyword, Node, Phrase, Word
from core.retrieval import SortOrder, TotalRelation
from core.writes import SetStatus
from search.pipeline import SearchPipeline
from search.understanding.editorial import (
    SYNONYM_BOOST,
    Editorial,
    EditorsFile,
    expanded,
    read_editorial,
)
from search.understanding.understand import Understanding, describe
from tests.search.room import BOTH, PHOTOS, Room, story, uris

RULES = """
[[synonyms]]
words = ["eu", "European Union"]

[[synonyms]]
from = ["covid"]
to = ["coronavirus", "sars cov 2"]

[[pins]]
query = "World  Cup"
uris = ["urn:b", "urn:a"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "editors.toml"
    path.write_text(text, "utf-8")
    return path


# --- reading


def test_a_file_is_read_into_rules(folder: Path) -> None:
    rules = read_editorial(written(folder, RULES))
    assert dict(rules.synonyms) == {
        ("eu",): ("European Union",),
        ("european", "union"): ("eu",),
        ("covid",): ("coronavirus", "sars cov 2"),
    }
    assert rules.pinned("world cup") == ("urn:b", "urn:a")
    assert rules.pinned(" WORLD\tCUP ") == ("urn:b", "urn:a")
    assert rules.pinned("world cup final") == ()
    assert rules.pinned("") == ()


def test_an_empty_file_rules_nothing(folder: Path) -> None:
    assert read_editorial(written(folder, "")) == Editorial({}, {})


@pytest.mark.parametrize(
    ("text", "says", "where"),
    [
        ("[[synonyms]\nwords", "not TOML", "editors.toml"),
        ("[[synonyms]]\n", "either words, or from and to", "synonyms[0]"),
        ('[[synonyms]]\nwords = ["a", "b"]\nfrom = ["c"]', "either words", "synonyms[0]"),
        ('[[synonyms]]\nfrom = ["c"]', "either words", "synonyms[0]"),
        ('[[synonyms]]\nwords = ["alone"]', "only one entry", "synonyms[0]"),
        ('[[synonyms]]\nwords = ["a", "  "]', "no word", "synonyms[0]"),
        ('[[synonyms]]\nwords = ["a", "b c d e f g"]', "no synonym", "synonyms[0]"),
        ('[[synonyms]]\nwords = "eu"', "tuple", "synonyms.0.words"),
        ('[[synonym]]\nwords = ["a", "b"]', "unknown member synonym", "editors.toml"),
        ('[[pins]]\nquery = " "\nuris = ["a"]', "query is empty", "pins[0]"),
        ('[[pins]]\nquery = "a"\nuris = []', "at least 1", "pins.0.uris"),
        ('[[pins]]\nquery = "a"', "required", "pins.0.uris"),
        ('[[pins]]\nquery = "a"\nuris = ["x", "x"]', "twice", "pins[0]"),
        (
            '[[pins]]\nquery = "a"\nuris = ["x"]\n[[pins]]\nquery = "A"\nuris = ["y"]',
            "pinned twice",
            "pins[1]",
        ),
        ('[[pins]]\nquery = "a"\nuri = ["x"]', "unknown member pins.0.uri", "editors.toml"),
    ],
)
def test_a_mistake_says_what_where_and_how_to_mend_it(
    folder: Path, text: str, says: str, where: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_editorial(written(folder, text))
    assert says.casefold() in caught.value.what.casefold()
    assert where in caught.value.where
    assert caught.value.mend


def test_a_file_that_is_not_there_is_an_error_at_the_start(folder: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        EditorsFile(folder / "none.toml")


class Watch:
    """A monotonic clock to turn."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_change_is_seen_once_a_second_has_passed(folder: Path) -> None:
    watch = Watch()
    rules = EditorsFile(written(folder, RULES), watch)
    written(folder, "")
    watch.now = 0.9
    assert rules().pinned("world cup")
    watch.now = 1.0
    assert not rules().pinned("world cup")


def test_a_broken_version_leaves_the_old_one_in_force_and_says_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch()
    rules = EditorsFile(written(folder, RULES), watch)
    assert rules.status() == {
        "file": str(folder / "editors.toml"),
        "synonyms": 3,
        "pins": 1,
        "problem": "",
    }
    written(folder, "[[pins]]\nquery = 3")
    watch.now = 2.0
    with caplog.at_level(logging.WARNING):
        assert rules().pinned("world cup")
    assert "stays in force" in str(rules.status()["problem"])
    assert "pins.0" in rules.problem
    assert "stays in force" in caplog.text
    watch.now = 4.0
    rules()
    assert caplog.text.count("stays in force") == 1  # said once, not each second
    written(folder, RULES.replace("World  Cup", "Olympics"))
    watch.now = 6.0
    assert rules().pinned("olympics")
    assert rules.problem == ""


def test_a_file_that_is_taken_away_leaves_its_rules(folder: Path) -> None:
    watch = Watch()
    rules = EditorsFile(written(folder, RULES), watch)
    os.remove(folder / "editors.toml")  # noqa: PTH107 - as an editor's program does
    watch.now = 2.0
    assert rules().pinned("world cup")
    assert "can't be read" in rules.problem


# --- synonyms


def tree_of(query: str) -> Node:
    return Understanding(None).understand(query).tree


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("eu", '(eu "European Union")'),
        ("EU", '(EU "European Union")'),
        ("eu budget", '(eu budget "European Union")'),
        ("european union budget", "(european union budget eu)"),
        ("european budget union", "(european budget union)"),
        ("eu AND budget", '(+(eu "European Union") +budget)'),
        ("budget NOT eu", "(budget -eu)"),
        ('"eu"', '"eu"'),
        ('"european union"', '"european union"'),
        ("headline:eu", "headline:eu"),
        ("eu*", "eu*"),
        ("coronavirus", "coronavirus"),
        ("covid", '(covid coronavirus "sars cov 2")'),
        ("(eu OR covid) budget", '((eu covid "European Union" coronavirus "sars cov 2") budget)'),
    ],
)
def test_bare_words_get_their_synonyms(folder: Path, query: str, expected: str) -> None:
    tree, notes = expanded(tree_of(query), read_editorial(written(folder, RULES)))
    assert describe(tree) == expected
    assert bool(notes) == (tree != tree_of(query))


def test_a_synonym_weighs_less_than_what_was_typed(folder: Path) -> None:
    tree, notes = expanded(Word("eu"), read_editorial(written(folder, RULES)))
    assert tree == Bool(should=(Word("eu"), Phrase("European Union", boost=SYNONYM_BOOST / 2)))
    assert notes == ("eu also finds European Union (editors' synonym)",)


@pytest.fixture
def desk(room: Room) -> Room:
    room.put(
        story("union", "European Union agrees", body="The European Union agreed on a budget."),
        story("eu", "EU agrees on fish", body="The EU agreed on fish.", place=(Concept("Oslo"),)),
        story("cup", "World Cup draw", body="The World Cup draw.", place=(Concept("Oslo"),)),
        story("fan", "World Cup tickets", body="World Cup tickets sell.", when=1),
        story("photo", "A trophy", description="A trophy.", products=("photos",)),
        story("guide", "How to watch", body="Times and channels.", place=(Concept("Rome"),)),
    )
    return room


def ruled(room: Room, rules: Editorial) -> SearchPipeline:
    return SearchPipeline(replace(room.pipeline._parts, editorial=lambda: rules))


def pins(*found: str) -> Editorial:
    return Editorial({}, {"world cup": found})


def test_synonyms_widen_the_words_and_not_the_vectors(desk: Room, folder: Path) -> None:
    rules = read_editorial(written(folder, RULES))
    plain = desk.ask("eu", profile="lexical")
    wide = desk.ask("eu", profile="lexical", pipeline=ruled(desk, rules))
    assert uris(plain) == ["eu"]
    assert uris(wide) == ["eu", "union"]
    assert wide.understood.vector_text == plain.understood.vector_text == "eu"
    assert wide.understood.notes == ("eu also finds European Union (editors' synonym)",)
    nearest = desk.ask("eu", profile="vector", pipeline=ruled(desk, rules))
    assert [hit.score for hit in nearest.hits] == [
        hit.score for hit in desk.ask("eu", profile="vector").hits
    ]


def test_a_synonym_satisfies_what_must_be_there(desk: Room, folder: Path) -> None:
    rules = read_editorial(written(folder, RULES))
    for profile in ("lexical", "hybrid"):
        assert uris(desk.ask("eu AND budget", profile=profile)) == []
        found = desk.ask("eu AND budget", profile=profile, pipeline=ruled(desk, rules))
        assert uris(found) == ["union"]


def test_without_rules_nothing_changes(desk: Room) -> None:
    for query in ("eu", "world cup", "", "place:oslo"):
        for profile in ("lexical", "hybrid", "hybrid-rrf"):
            plain = desk.ask(query, profile=profile, explain=True)
            ruled_ = desk.ask(
                query, profile=profile, explain=True, pipeline=ruled(desk, Editorial())
            )
            assert plain.hits == ruled_.hits
            assert plain.understood == ruled_.understood
            assert plain.total == ruled_.total


# --- pins


@pytest.mark.parametrize("profile", ["lexical", "hybrid", "vector", "hybrid-rrf"])
def test_pinned_items_come_first_and_once(desk: Room, profile: str) -> None:
    plain = desk.ask("world cup", profile=profile, page_size=50)
    pipeline = ruled(desk, pins("guide", "fan"))
    answer = desk.ask("World  Cup", profile=profile, pipeline=pipeline, page_size=50, explain=True)
    assert uris(answer)[:2] == ["guide", "fan"]
    assert [hit.pinned for hit in answer.hits] == [True, True] + [False] * (len(answer.hits) - 2)
    assert [hit.rank for hit in answer.hits] == list(range(1, len(answer.hits) + 1))
    rest = [uri for uri in uris(plain) if uri not in ("guide", "fan")]
    assert uris(answer)[2:] == rest
    assert len(set(uris(answer))) == len(answer.hits) == answer.total.value


def test_a_pin_that_matches_no_word_counts_in_the_total(desk: Room) -> None:
    plain = desk.ask("world cup", profile="lexical", facets=("place",))
    answer = desk.ask(
        "world cup", profile="lexical", pipeline=ruled(desk, pins("guide")), facets=("place",)
    )
    assert (plain.total.value, answer.total.value) == (2, 3)
    assert answer.total.relation is TotalRelation.EXACT
    assert {count.value: count.count for count in answer.facets["place"]} == {"Oslo": 1, "Rome": 1}


def test_pages_and_cursors_walk_each_once(desk: Room) -> None:
    pipeline = ruled(desk, pins("guide", "union"))
    answer = desk.ask("world cup", pipeline=pipeline, page_size=1)
    walked, total = uris(answer), answer.total
    while answer.cursor:
        answer = desk.ask("world cup", pipeline=pipeline, page_size=1, cursor=answer.cursor)
        walked += uris(answer)
        assert answer.total == total
    assert walked[:2] == ["guide", "union"]
    assert len(walked) == len(set(walked)) == total.value
    second = desk.ask("world cup", pipeline=pipeline, page_size=1, page=2)
    assert uris(second) == ["union"]
    assert second.hits[0].pinned


def test_a_pin_shows_nobody_what_they_may_not_see(desk: Room) -> None:
    pipeline = ruled(desk, pins("photo", "nowhere", "guide"))
    assert uris(desk.ask("world cup", pipeline=pipeline))[0] == "guide"
    assert uris(desk.ask("world cup", PHOTOS, pipeline=pipeline)) == ["photo"]
    assert uris(desk.ask("world cup", BOTH, pipeline=pipeline))[:2] == ["photo", "guide"]


def test_a_killed_pin_is_gone_even_within_a_walk(desk: Room) -> None:
    pipeline = ruled(desk, pins("guide", "fan"))
    first = desk.ask("world cup", pipeline=pipeline, page_size=1)
    assert uris(first) == ["guide"]
    desk.engine.set_status([SetStatus("fan", PubStatus.CANCELED)])
    rest = desk.ask("world cup", pipeline=pipeline, page_size=20, cursor=first.cursor)
    assert "fan" not in uris(rest)
    assert not any(hit.pinned for hit in rest.hits)


def test_pins_pass_the_filters_or_stay_away(desk: Room) -> None:
    pipeline = ruled(desk, pins("guide", "cup"))
    answer = desk.ask("world cup", pipeline=pipeline, filters=Keyword("place", ("oslo",)))
    assert uris(answer)[0] == "cup"
    assert "guide" not in uris(answer)


def test_an_order_by_date_has_no_pins(desk: Room) -> None:
    answer = desk.ask("world cup", pipeline=ruled(desk, pins("guide")), order=SortOrder.NEWEST)
    assert uris(answer) == ["fan", "cup"]
    assert not any(hit.pinned for hit in answer.hits)


def test_two_items_of_one_story_are_one_pin(desk: Room) -> None:
    desk.put(
        story("old", "Draw delayed", chain="draw"),
        story("new", "Draw held", chain="draw", when=5),
    )
    answer = desk.ask("world cup", pipeline=ruled(desk, pins("old", "new", "guide")))
    assert uris(answer)[:2] == ["new", "guide"]
    assert [hit.pinned for hit in answer.hits][:3] == [True, True, False]
