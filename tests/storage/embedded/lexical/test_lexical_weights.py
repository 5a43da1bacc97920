"""What the weights of BM25 add, to whom, and what it could be at most."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.items import PubStatus
from core.query_tree import EVERYTHING, Bool, Keyword, Node, Phrase, Prefix, Word
from core.retrieval import FIELD_WEIGHTS, LexicalWeights, Retrieved
from core.writes import SetStatus
from storage.embedded.engine import EmbeddedEngine
from storage.words.query_readings import MOST_PAIRS, WordPair, word_pairs
from tests.conftest import new_folder
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.world import WIRE, SetClock, any_of, lexical, make_item, opened, versions, write

TEXTS: dict[str, Any] = {
    "headline": "zebra fence",
    "description": "a zebra behind its fence in the rain of May",
    "body": "the keepers mended a fence",
}
PHRASE = LexicalWeights(phrase=0.5)
NEAR = LexicalWeights(proximity=0.5, slop=4)
NOWHERE: Mapping[str, float] = dict.fromkeys(FIELD_WEIGHTS, 0.0)


def filled(engine: EmbeddedEngine, bodies: Mapping[str, str]) -> None:
    """One item per body, without another word; searched at once."""
    for uri, body in bodies.items():
        write(engine, make_item(uri, headline="", body=body))
    engine.catch_up()


def scores(
    engine: EmbeddedEngine, query: Node, weights: LexicalWeights, filters: Node = EVERYTHING
) -> dict[str, float]:
    """BM25 by uri, best first."""
    found = retrieved(engine, query, weights, filters)
    uris = [uri for uri, _ in versions(engine, found, WIRE)]
    return dict(zip(uris, found.bm25.tolist(), strict=True))


def retrieved(
    engine: EmbeddedEngine, query: Node, weights: LexicalWeights, filters: Node = EVERYTHING
) -> Retrieved:
    return engine.retrieve(replace(lexical(query, filters=filters), lexical=weights))


@pytest.mark.parametrize("field", list(FIELD_WEIGHTS))
def test_a_field_adds_its_weight_of_its_own_bm25(folder: Path, field: str) -> None:
    with opened(folder, SetClock()) as engine:
        write(engine, make_item("a", slugline="zebra", **TEXTS))
        write(engine, make_item("b", headline="fence", body="zebra"))
        engine.catch_up()
        plain = scores(engine, Word("zebra"), LexicalWeights(NOWHERE))
        alone = scores(engine, Word("zebra", field), LexicalWeights())
        weighed = scores(engine, Word("zebra"), LexicalWeights({**NOWHERE, field: 1.5}))
    assert alone
    wanted = {uri: score + 1.5 * alone.get(uri, 0.0) for uri, score in plain.items()}
    assert weighed == pytest.approx(wanted)


def test_by_default_it_is_the_whole_and_a_share_of_the_headline(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        write(engine, make_item("a", **TEXTS))
        write(engine, make_item("b", headline="rain", body="fence"))
        engine.catch_up()
        query = any_of("fence", "rain")
        explicit = scores(engine, query, LexicalWeights({"headline": 0.3}))
        assert scores(engine, query, LexicalWeights()) == explicit
        assert engine.retrieve(lexical(query)).bm25.tolist() == list(explicit.values())


ORDERS = {
    "apart": "red one two three four five six seven eight cross",
    "turned": "cross red one two three four five six seven eight",
    "near": "red one two cross three four five six seven eight",
    "side": "one two three four red cross five six seven eight",
}


def test_neighbours_that_stand_side_by_side_are_lifted(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        filled(engine, ORDERS)
        plain = scores(engine, any_of("red", "cross"), LexicalWeights())
        phrase = scores(engine, any_of("red", "cross"), PHRASE)
        near = scores(engine, any_of("red", "cross"), NEAR)
        both = scores(engine, any_of("red", "cross"), replace(NEAR, phrase=0.5))
        backwards = scores(engine, any_of("cross", "red"), PHRASE)
    assert len(set(plain.values())) == 1
    lifted = {uri for uri in ORDERS if phrase[uri] > plain[uri] * 1.01}
    assert lifted == {"side"}
    assert {uri for uri in ORDERS if near[uri] > plain[uri] * 1.01} == {"side", "near", "turned"}
    assert {uri for uri in ORDERS if backwards[uri] > plain[uri] * 1.01} == {"turned"}
    gains = {uri: phrase[uri] + near[uri] - 2 * plain[uri] for uri in ORDERS}
    assert {uri: both[uri] - plain[uri] for uri in ORDERS} == pytest.approx(gains)
    assert set(phrase) == set(near) == set(plain)


def test_stop_words_between_neighbours_keep_their_place(folder: Path) -> None:
    bodies = {"of": "secretary of state spoke", "apart": "secretary spoke of state"}
    with opened(folder, SetClock()) as engine:
        filled(engine, bodies)
        query = any_of("secretary", "of", "state")
        plain, lifted = scores(engine, query, LexicalWeights()), scores(engine, query, PHRASE)
        who = scores(engine, any_of("spoke", "of"), PHRASE)
    assert plain["of"] == plain["apart"] == lifted["apart"]
    assert lifted["of"] > plain["of"]
    assert who["of"] == who["apart"], "a stop word at the end is no neighbour"


def test_boosts_find_nothing_more_and_filters_change_none(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        filled(engine, {**ORDERS, "one": "red", "none": "blue"})
        weights = LexicalWeights(FIELD_WEIGHTS, 0.5, 0.5)
        query = Bool(must=(Word("red"),), should=(Word("red"), Word("cross")))
        plain = retrieved(engine, query, LexicalWeights())
        boosted = retrieved(engine, query, weights)
        assert plain.lexical_matches == boosted.lexical_matches == 5
        free = scores(engine, query, weights)
        held = scores(engine, query, weights, Bool(must=(Keyword("type", ("text",)),)))
    assert held == pytest.approx(free)


def pair(first: str, second: str, distance: int = 1) -> tuple[WordPair, ...]:
    return (WordPair(first, second, distance),)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (Word("red"), ()),
        (any_of("red"), ()),
        (any_of("red", "cross"), (pair("red", "cross"),)),
        (any_of("new", "york", "new", "york"), (pair("new", "york"), pair("york", "new"))),
        (any_of("time-sharing", "now"), (pair("time", "share"), pair("share", "now"))),
        (any_of("state", "of", "the", "union"), (pair("state", "union", 3),)),
        (any_of("to", "be"), (pair("to", "be"),)),
        (any_of("red", "---", "cross"), (pair("red", "cross"),)),
        (Bool(should=(Word("red"), Word("cross", "headline"), Word("aid"))), ()),
        (
            Bool(should=(Word("red"), Phrase("cross"), Word("aid"), Word("day"))),
            (pair("aid", "day"),),
        ),
        (Bool(must=(any_of("red", "cross"), Word("aid"))), (pair("red", "cross"),)),
        (Bool(must_not=(any_of("red", "cross"),)), ()),
    ],
    ids=str,
)
def test_which_words_are_neighbours(query: Node, wanted: tuple[tuple[WordPair, ...], ...]) -> None:
    assert word_pairs(query, ("en",), ("en",)) == wanted


def test_a_pair_has_its_reading_in_every_language() -> None:
    (found,) = word_pairs(any_of("running", "häuser"), ("en", "de"), ("en",))
    assert found == (WordPair("run", "hauser", 1), WordPair("running", "haus", 1))


def test_a_pasted_text_has_so_many_pairs_and_no_more() -> None:
    words = [f"w{number}" for number in range(200)]
    assert len(word_pairs(any_of(*words), ("en",), ("en",))) == MOST_PAIRS


# --- the bound

WORDS = ("ferry", "ferries", "accident", "the", "of", "time-sharing", "Häuser", "nobody", "x")
_telling = [word for word in WORDS if word not in ("the", "of")]
_texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
_boosts = st.sampled_from([1.0, 0.5, 3.0])
_fields = st.sampled_from(["", "", "headline", "body"])
_leaves = st.one_of(
    st.builds(Word, st.sampled_from(WORDS), _fields, _boosts),
    st.builds(Phrase, _texts, _fields, st.integers(0, 2), _boosts),
    st.builds(Prefix, st.sampled_from(["fer", "acc", "time-sha"]), _fields, _boosts),
)
_lists = st.lists(st.sampled_from(WORDS).map(Word), min_size=1, max_size=6).map(
    lambda words: Bool(should=tuple(words))
)
_queries = st.recursive(
    st.one_of(_leaves, _lists),
    lambda inner: st.builds(
        Bool,
        st.lists(inner, max_size=2).map(tuple),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=1).map(tuple),
    ),
    max_leaves=5,
)
_weights = st.builds(
    LexicalWeights,
    st.fixed_dictionaries({name: st.sampled_from([0.0, 0.3, 2.0]) for name in FIELD_WEIGHTS}),
    st.sampled_from([0.0, 0.2, 2.0]),
    st.sampled_from([0.0, 0.2, 2.0]),
    st.integers(0, 8),
)


@PROPERTY
@given(st.data())
def test_a_list_of_words_adds_up_what_each_gives_by_itself(data: st.DataObject) -> None:
    """Whatever the items, their languages and the weights of fields: a word of several terms is
    each of them, and one that two languages read otherwise gives what its best reading gives.
    """
    rows = data.draw(st.lists(st.tuples(_texts, _texts, st.sampled_from(["en", "de"]))))
    words = data.draw(st.lists(st.sampled_from(_telling), min_size=2, max_size=5, unique=True))
    folder = new_folder()
    try:
        with opened(folder, SetClock()) as engine:
            for number, (headline, body, language) in enumerate(rows):
                caption = f"a {body}" if number % 3 == 0 else ""
                texts = {"headline": headline, "body": body, "caption": caption}
                write(engine, make_item(str(number), language=language, **texts))
            engine.catch_up()
            weights = LexicalWeights(data.draw(st.sampled_from([FIELD_WEIGHTS, NOWHERE])))
            alone = [scores(engine, any_of(word), weights) for word in words]
            every = scores(engine, any_of(*words), weights)
            uris = {uri for one in alone for uri in one}
            assert every == pytest.approx({u: sum(one.get(u, 0) for one in alone) for u in uris})
            assert retrieved(engine, any_of(*words), weights).lexical_matches == len(uris)
    finally:
        shutil.rmtree(folder)


@PROPERTY
@given(st.data())
def test_no_score_is_above_the_bound(data: st.DataObject) -> None:
    """Whatever the tree, the items, their languages and the weights."""
    rows = data.draw(st.lists(st.tuples(_texts, _texts, st.sampled_from(["en", "de"]))))
    folder = new_folder()
    try:
        with opened(folder, SetClock()) as engine:
            for number, (headline, body, language) in enumerate(rows):
                item = make_item(str(number), headline=headline, body=body, language=language)
                write(engine, item)
            engine.catch_up()
            for _ in range(3):
                found = retrieved(engine, data.draw(_queries), data.draw(_weights))
                assert found.bm25.max(initial=0.0) <= found.lexical_bound * 1.0001 + 1e-6
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "weights",
    [LexicalWeights(), LexicalWeights(NOWHERE), PHRASE, NEAR, LexicalWeights({"body": 2.0}, 1.0)],
)
def test_an_item_that_has_every_word_without_end_reaches_the_bound(
    folder: Path, weights: LexicalWeights
) -> None:
    endless = "ferry accident " * 4000
    with opened(folder, SetClock()) as engine:
        write(engine, make_item("endless", headline=endless, body=endless))
        filled(engine, {"short": "a ferry", "other": "an accident"})
        found = retrieved(engine, any_of("ferry", "accident"), weights)
    assert found.bm25[0] == pytest.approx(found.lexical_bound, rel=0.01)


def test_the_rarest_reading_that_is_there_counts(folder: Path) -> None:
    """The word "running" is "run" in many English items, and itself in a single German one. One
    that is in English items alone is not taken for the German word that no item has.
    """
    with opened(folder, SetClock()) as engine:
        for number in range(8):
            body = "running and walking"
            write(engine, make_item(f"en{number}", headline="", body=body))
        write(engine, make_item("de", headline="", body="running " * 2000, language="de"))
        engine.catch_up()
        running = retrieved(engine, Word("running"), LexicalWeights())
        walking = retrieved(engine, Word("walking"), LexicalWeights())
        assert versions(engine, running, WIRE)[0] == ("de", 1)
    assert running.bm25[0] <= running.lexical_bound * 1.0001
    assert walking.lexical_bound < running.lexical_bound / 2


def test_more_weight_is_never_a_lower_bound(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        filled(engine, ORDERS)
        weights = [LexicalWeights(NOWHERE), LexicalWeights(), PHRASE, replace(PHRASE, proximity=1)]
        bounds = [retrieved(engine, any_of("red", "cross"), one).lexical_bound for one in weights]
    assert all(less < more for less, more in pairwise(bounds))


@pytest.mark.parametrize("killed", [False, True])
def test_the_bound_does_not_tell_of_a_rare_word_in_hidden_items(
    tmp_path: Path, killed: bool
) -> None:
    """The scores of what one may see are the same, whichever word is in what one may not."""
    bounds = []
    for word in ("codename", "another"):
        with opened(tmp_path / word, SetClock()) as engine:
            for number in range(40):
                write(engine, make_item(f"m{number}", headline="", body=f"market {number}"))
            products = ("wire",) if killed else ("secret",)
            write(engine, make_item("hidden", headline="", body=word, products=products))
            engine.catch_up()
            if killed:
                engine.set_status([SetStatus("hidden", PubStatus.CANCELED)])
            found = retrieved(engine, any_of("market", "codename"), LexicalWeights())
            bounds.append((found.lexical_bound, found.lexical_seen))
    assert bounds[0] == bounds[1]


def test_the_bound_says_how_much_is_of_words_that_an_item_has(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        filled(engine, ORDERS)
        both, red, none = (
            retrieved(engine, query, LexicalWeights())
            for query in (any_of("red", "xylophone"), Word("red"), Word("xylophone"))
        )
    assert both.lexical_seen == pytest.approx(red.lexical_bound)
    assert red.lexical_seen == red.lexical_bound
    assert (none.lexical_seen, none.lexical_bound > 0) == (0.0, True)
