"""In a long question repeated words count less than each time, and the headline's own score is left
out.
"""

from __future__ import annotations

from math import log

import pytest

from core.query_tree import EVERYTHING, Bool, Keyword, Node, Phrase, Word, all_of, scored_words
from core.retrieval import LexicalWeights
from search.answers import SearchRequest
from search.understanding.editorial import Editorial
from search.understanding.language import parse
from search.understanding.long_questions import damped, field_share, of_length
from search.understanding.understand import Understanding
from storage.words.text_analysis import Analysis
from tests.conftest import new_folder
from tests.search.engines import Tried, every_engine  # noqa: F401 - a fixture
from tests.search.room import READER, Room, story, uris


def words(count: int) -> str:
    return " ".join(f"word{number}" for number in range(count))


@pytest.mark.parametrize("query", ["", "ferry", "ferry rescue", '"ferry ferry"', "ferry AND ferry"])
def test_a_query_without_repeated_words_stays(query: str) -> None:
    tree = parse(query).tree
    assert damped(tree) is tree


def test_a_repeated_word_counts_as_its_logarithm() -> None:
    fact = Keyword("type", ("text",))
    tree = Bool(
        must=(fact,),
        should=(Word("Oslo"), Word("port", boost=2.0), Word("oslo"), Phrase("a b"), Word("OSLO")),
    )
    found = damped(tree)
    assert isinstance(found, Bool)
    assert (found.must, found.should[1], found.should[3]) == (
        (fact,),
        tree.should[1],
        Phrase("a b"),
    )
    boosts = [child.boost for child in found.should if isinstance(child, Word)]
    assert boosts[0] == boosts[2] == boosts[3]
    assert boosts[0] + boosts[2] + boosts[3] == pytest.approx(1 + log(3))


@pytest.mark.parametrize(
    ("others", "counts"), [(0, 2.0), (18, 2.0), (24, 1.5 + log(2) / 2), (30, 1 + log(2))]
)
def test_only_a_long_question_counts_a_repeated_word_less(others: int, counts: float) -> None:
    tree = parse(f"ferry {words(others)} ferry").tree
    found, _ = of_length(tree, scored_words(tree))
    assert isinstance(found, Bool)
    boosts = [one.boost for one in scored_words(found) if one.text == "ferry"]
    assert sum(boosts) == pytest.approx(counts)
    assert {one.boost for one in scored_words(found) if one.text != "ferry"} <= {1.0}


@pytest.mark.parametrize(
    ("count", "share"),
    [(1, 1.0), (20, 1.0), (23, 0.75), (26, 0.5), (29, 0.25), (32, 0.0), (90, 0.0)],
)
def test_the_share_of_single_fields(count: int, share: float) -> None:
    assert field_share(scored_words(parse(words(count)).tree)) == share
    assert field_share(scored_words(parse(words(count) + " " + words(count)).tree)) == share


def test_a_fact_is_no_word() -> None:
    facts: Node = all_of(*(Keyword("type", (str(number),)) for number in range(40)))
    assert field_share(scored_words(facts)) == field_share(scored_words(EVERYTHING)) == 1.0
    weights = LexicalWeights()
    assert weights.with_fields(1.0) is weights
    assert set(weights.with_fields(0.0).fields.values()) == {0.0}


def test_stop_words_count_for_the_length_of_a_question(room: Room) -> None:
    query = f"the ferry and the port of {words(12)} is where the {words(12)} was with the ferry"
    request = SearchRequest(q=query)
    told = Understanding(None, told_by=lambda _: "en")
    meaning = told.meaning(request, READER, Editorial(), told.calendar(), None, Analysis())
    assert len(meaning.typed) == len(query.split())
    assert len([*scored_words(meaning.tree)]) < len(meaning.typed)


def test_every_engine_ranks_by_it(tried: Tried) -> None:
    """Of a long question that repeats one word, an item with all other words is the best answer."""
    room = Room(new_folder(), open_engine=tried.open)
    others = [story(f"urn:{n}", f"Filler {n}", body="nothing of it") for n in range(12)]
    room.put(
        story("one", "Report", body="harbour stands there now"),
        story("all", "Report", body="quay crane tug berth"),
        *others,
    )
    question = "harbour quay harbour crane harbour tug harbour berth harbour"
    found = uris(room.ask(f"{question} {words(32)}", profile="lexical"))
    room.engine.close()
    assert found[0] == "all"
