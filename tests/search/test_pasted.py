"""Coverage like this: a pasted text in place of a query."""

from __future__ import annotations

from typing import Any

import pytest

from core.callers import NOBODY
from core.errors import QueryError
from core.items import ItemType
from core.query_tree import Bool, Keyword
from core.retrieval import SortOrder, TotalRelation
from search.similar import (
    MOST_PASSAGES,
    MOST_WORDS,
    meaning_of_text,
    passages_of_text,
)
from search.understanding.accidental_operators import is_text
from storage.words.text_analysis import Analysis
from tests.search.room import BOTH, PHOTOS, READER, Room, story, uris
from tests.search.test_similar import FERRY, quay  # noqa: F401 - a fixture

LONG = " ".join(
    f'The ferry "Solvane" AND the harbour: NOT here, (part {n}) of type:video*.' for n in range(99)
)


@pytest.mark.parametrize("profile", ["hybrid", "lexical", "vector", "hybrid-rrf"])
def test_a_text_finds_what_is_like_it(quay: Room, profile: str) -> None:  # noqa: F811
    answer = quay.ask(text=FERRY, profile=profile, explain=True)
    assert uris(answer)[0] == "ferry"
    assert answer.total.relation is TotalRelation.WINDOW
    assert len(answer.understood.notes) == 1
    assert (answer.suggestion, answer.degraded) == ("", ())
    assert [hit.exact for hit in answer.hits] == [False] * len(answer.hits)


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        "(" * 5000,
        'NOT "ferry',
        "type:video date:2026-13",
        "\x00\x01",
        " ",
        "ferry " * 30_000,
        "é" * 5000,
        "x" * 999_999,
        "1 2 3",
        "the of",
    ],
)
def test_no_text_is_refused(quay: Room, text: str) -> None:  # noqa: F811
    for members in ({}, {"order": SortOrder.NEWEST}, {"profile": "lexical"}):
        answer = quay.ask(text=text, **members)
        assert set(uris(answer)) <= {"ferry", "storm", "photo", "fares", "bank", "match"}
        assert answer.understood.vector_text == ""


def test_it_is_reduced_to_a_few_words_and_passages(room: Room) -> None:
    room.put(*(story(f"s{n}", " ".join(f"word{n}x{m}" for m in range(40))) for n in range(3)))
    room.put(*(story(f"t{n}", " ".join(f"word{n}x{m}" for m in range(40))) for n in range(3)))
    text = " ".join(f"word{n % 3}x{m} filler" for n in range(60) for m in range(40))
    meaning = meaning_of_text(text, room.engine, Analysis(), READER)
    assert isinstance(meaning.tree, Bool)
    assert len(meaning.tree.should) == MOST_WORDS
    assert len(meaning.passages) == MOST_PASSAGES
    assert all(passage in text for passage in meaning.passages)


def test_passages_are_those_with_the_most_telling_words() -> None:
    pages = [f"{'filler ' * 140}{'ferry' if n == 11 else 'x'} quay {'y ' * 8}" for n in range(30)]
    found = passages_of_text(" ".join(pages), ("ferry", "quay"))
    assert len(found) == MOST_PASSAGES
    assert any("ferry" in passage for passage in found)
    assert passages_of_text("one two", ()) == ("one two",)
    assert passages_of_text(" ", ()) == ()


def test_filters_callers_and_cursors_hold(quay: Room) -> None:  # noqa: F811
    quay.put(story("secret", "Ferry", body=FERRY, products=("photos",)))
    assert "secret" not in uris(quay.ask(text=FERRY))
    assert uris(quay.ask("", PHOTOS, text=FERRY)) == ["secret"]
    assert "secret" in uris(quay.ask("", BOTH, text=FERRY))
    assert uris(quay.ask("", NOBODY, text=FERRY)) == []
    pictures = Keyword("type", (ItemType.PICTURE,))
    assert uris(quay.ask(text=FERRY, filters=pictures)) == ["photo"]
    whole = uris(quay.ask(text=FERRY, page_size=50))
    assert quay.walk("", 2, text=FERRY) == whole
    quay.kill("ferry")
    assert "ferry" not in uris(quay.ask(text=FERRY))


def test_a_hidden_item_has_no_say_in_the_words(room: Room) -> None:
    room.put(*(story(f"u{n}", "zebra quagga", body=f"okapi {n}") for n in range(3)))

    def words(*products: str) -> tuple[Any, str]:
        meaning = meaning_of_text("zebra quagga okapi gnu", room.engine, Analysis(), READER)
        return meaning.tree, meaning.said.lexical

    before = words()
    room.put(*(story(f"h{n}", "gnu gnu zebra", products=("photos",)) for n in range(3)))
    assert words() == before


@pytest.mark.parametrize(
    ("query", "taken"),
    [
        ("ferry", False),
        ("ferry OR " * 300 + "quay", False),
        ("a, " * 400, True),
        (LONG.replace("type:video*", ""), True),
        ("x" * 4096, False),
        ("x" * 4097, True),
    ],
)
def test_a_long_query_is_a_text(query: str, taken: bool) -> None:
    assert is_text(query) is taken


def test_a_long_query_is_answered_and_that_is_said(quay: Room) -> None:  # noqa: F811
    answer = quay.ask(FERRY + " Nothing else is said of it here." * 200)
    assert uris(answer)[0] == "ferry"
    assert len(answer.understood.notes) == 1
    assert answer.understood.vector_text == ""


def test_a_text_and_a_query_are_one_too_many(quay: Room) -> None:  # noqa: F811
    for members in ({"q": "ferry"}, {"similar_to": "ferry"}):
        with pytest.raises(QueryError):
            quay.ask(**members, text=FERRY)
