"""Stored queries match what a strict search finds: each random item is asked for in an archive, and
the same items are percolated.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.items import Concept, Item, Shot
from core.media_words import Look, Utterance
from core.query_tree import (
    KEYWORD_FIELDS,
    TEXT_FIELDS,
    Bool,
    DateRange,
    Everything,
    Keyword,
    Node,
    Nothing,
    Phrase,
    Prefix,
    Word,
)
from core.writes import PutItem
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet
from storage.words.topics import Topics, read_topics
from tests.conftest import new_folder
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.world import (
    ENCODER,
    FIELD,
    NOW,
    SetClock,
    make_item,
    vector_of,
    vectors,
)

TREE = """\
# scheme: med http://example.org/t/
1\t\tSport
2\t1\tball games
3\t2\tfootball
4\t\tWeather
"""
WORDS = (
    "ferry", "ferries", "Fähre", "fahren", "sinks", "sank", "the", "time-sharing", "élan", "naïve",
    "port", "ports", "42", "x" * 50, "🌍", "don't",
)  # fmt: skip
LANGUAGES = ("en", "de", "pt-BR", "nb-NO", "el", "zz")
CODES = ("", "med:1", "MED:3", "http://example.org/t/2", "4", "foreign:3")
NAMES = ("Ana", "Sport", "ÉLAN", "football", "long name")
FIELDS = ("", *TEXT_FIELDS)
_text = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
_moments = st.integers(-3, 3).map(lambda n: NOW + timedelta(hours=n))
_concepts = st.lists(
    st.builds(Concept, st.sampled_from(NAMES), st.sampled_from(CODES)), max_size=2
).map(tuple)


@st.composite
def some_items(draw: st.DrawFn, least: int = 1) -> list[Item]:
    """Items with few words in several languages."""
    return [
        make_item(
            f"urn:{number}",
            language=draw(st.sampled_from(LANGUAGES)),
            headline=draw(_text),
            body=draw(_text),
            description=draw(_text),
            slugline=draw(_text),
            caption=draw(_text),
            shots=(Shot(0, 1, 0, 1, description=draw(_text), described_by=draw(_machines)),),
            speech=(Utterance(0, 1, draw(_text)),),
            speech_by=draw(_machines),
            looks=(Look(draw(_text), 0.5),),
            subject=draw(_concepts),
            person=draw(_concepts),
            place=draw(_concepts),
            urgency=draw(st.none() | st.integers(1, 3)),
            versioncreated=draw(_moments),
            products=draw(st.sampled_from([("wire",), ("wire", "Sport"), ()])),
            rights=draw(st.sampled_from([(), ("editorial",)])),
        )
        for number in range(draw(st.integers(least, 8)))
    ]


_machines = st.sampled_from(("", "a model"))
_one = st.sampled_from(WORDS)
_some = st.lists(_one, min_size=1, max_size=3).map(" ".join)
# No more than two terms: tantivy tests those of a distance in the order of their frequency, so with
# three of them other items of a batch can change what matches.
_singles = st.sampled_from([word for word in WORDS if word not in ("time-sharing", "don't")])
_pairs = st.lists(_singles, min_size=2, max_size=2, unique=True).map(" ".join)
_values = st.sampled_from((*NAMES, *CODES, "SPORT", "ball games", "text", "en", "DE", "wire", "2"))
LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.builds(Word, _one, st.sampled_from(FIELDS)),
    st.builds(Phrase, _some, st.sampled_from(FIELDS)),
    st.builds(Phrase, _pairs, st.sampled_from(FIELDS), st.sampled_from((1, 3))),
    st.builds(Prefix, _one.map(lambda word: word[:3]), st.sampled_from(FIELDS)),
    st.builds(
        Keyword,
        st.sampled_from(KEYWORD_FIELDS),
        st.lists(_values, min_size=1, max_size=2).map(tuple),
    ),
    st.builds(DateRange, st.just("versioncreated"), st.none() | _moments, st.none() | _moments),
    st.just(Everything()),
    st.just(Nothing()),
)


def _grown(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    few = st.lists(inner, max_size=3).map(tuple)
    return st.builds(Bool, few, few, st.lists(inner, max_size=1).map(tuple))


TREES = st.recursive(LEAVES, _grown, max_leaves=8)


def small_topics(folder: Path) -> Topics:
    """A vocabulary of four topics."""
    path = folder / "topics.tsv"
    path.write_text(TREE, "utf-8")
    return read_topics(path)


def strictly_found(engine: EmbeddedEngine, tree: Node) -> set[str]:
    """The uris that a strict search finds, whoever asks."""
    ids = engine.moments.lexical().matching(engine._topics.expanded(tree))
    return {item.uri for item in engine.record.reads.items_by_seq(ids.tolist()).values()}


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Topics:
    return small_topics(tmp_path_factory.mktemp("topics"))


@PROPERTY
@given(some_items(), st.lists(TREES, min_size=1, max_size=6))
def test_percolation_is_a_strict_search(items: list[Item], trees: list[Node]) -> None:
    folder = new_folder()
    vocabulary = small_topics(folder)
    try:
        wanted = EmbeddedSettings(folder, {FIELD: ENCODER}, topics=vocabulary, background=False)
        with closing(EmbeddedEngine(wanted, SetClock())) as engine:
            engine.put([PutItem(item, (vectors(vector_of(item.uri)),)) for item in items])
            engine.catch_up()
            items = [*engine.record.reads.all_items()]  # without names that a machine made up
            percolator = Percolator(vocabulary, engine.moments.languages)
            found = percolator.matches(items, trees)
            alone = np.array([percolator.matches([item], trees)[0] for item in items])
            for place, tree in enumerate(trees):
                matched = {items[n].uri for n in np.flatnonzero(found[:, place])}
                assert matched == strictly_found(engine, tree), tree
            assert (alone == found).all()
    finally:
        shutil.rmtree(folder)


def test_a_language_that_is_new_is_read_from_its_first_item_on(topics: Topics) -> None:
    percolator = Percolator(topics, lambda: ("en",))
    tree = Word("Häuser")
    english, german = make_item("a", body="houses"), make_item("b", body="Haus", language="de-AT")
    assert percolator.matches([english], [tree]).tolist() == [[False]]
    assert percolator.matches([english, german], [tree]).tolist() == [[False], [True]]


def test_a_beginning_is_one_of_words_as_they_are_written(topics: Topics) -> None:
    percolator = Percolator(topics, lambda: ("en",))
    items = [make_item("a", body="Ferries left"), make_item("b", headline="The quay")]
    left = Phrase("ferries left")  # which no item decides by its own words
    trees: list[Node] = [Prefix("ferrie"), Prefix("qu"), Prefix("left"), Prefix("ferrys")]
    trees += [Bool(must=(left, Prefix("ferrie"))), Bool(must=(left, Prefix("ferrys")))]
    assert percolator.matches(items, trees).T.tolist() == [
        [True, False], [False, True], [True, False], [False, False], [True, False], [False, False],
    ]  # fmt: skip


def test_nothing_is_asked_of_nothing(topics: Topics) -> None:
    percolator = Percolator(topics, lambda: ("en",))
    assert percolator.matches([], [Word("a")]).shape == (0, 1)
    assert percolator.matches([make_item("a")], []).shape == (1, 0)


@PROPERTY
@given(some_items(), st.lists(TREES, min_size=1, max_size=8), st.data())
def test_a_set_of_queries_misses_none(
    items: list[Item], trees: list[Node], data: st.DataObject
) -> None:
    """Also after changes, and when an item of a new language comes."""
    with TemporaryDirectory() as folder:
        percolator = Percolator(small_topics(Path(folder)), lambda: ("en",))
    topics = TopicSet(percolator)
    numbered: dict[int, Node | None] = dict(enumerate(trees))
    topics.change(numbered)
    first = data.draw(st.integers(0, len(items)))
    changed = data.draw(st.dictionaries(st.integers(0, 8), st.none() | TREES, max_size=3))
    topics.matching(items[:first])
    topics.change(changed)
    kept = {n: tree for n, tree in (numbered | changed).items() if tree is not None}
    for some in (items[:first], items[first:], items):
        wanted = percolator.matches(some, list(kept.values()))
        sets = [{n for n, hit in zip(kept, row, strict=True) if hit} for row in wanted]
        assert list(topics.matching(some)) == sets


def test_only_what_may_match_is_asked(topics: Topics) -> None:
    chosen = TopicSet(Percolator(topics, lambda: ("en",)))
    chosen.change(
        {
            1: Bool(must=(Word("the"), Word("ferries"))),
            2: Bool(must=(Keyword("language", ("en",)), Keyword("subject", ("sport",)))),
            3: Bool(must_not=(Word("ferry"),)),
            4: Prefix("fer"),
            5: Bool(should=(Word("ferry"), Word("port"))),
            6: Bool(should=(Word("storm"), DateRange("versioncreated", NOW, None))),
            7: Nothing(),
        }
    )
    assert chosen.candidates([make_item("a", body="the storm")]) == {3, 6}
    assert chosen.candidates([make_item("a", body="a Ferry")]) == {1, 3, 4, 5, 6}
    football = make_item("a", subject=(Concept("a game", "med:3"),))
    assert chosen.candidates([football]) == {2, 3, 6}


def test_what_an_item_matched_is_not_said_of_another_text_or_of_another_query(
    topics: Topics,
) -> None:
    chosen = TopicSet(Percolator(topics, lambda: ("en",)))
    chosen.change({1: Word("ferry"), 2: Keyword("product", ("wire",))})
    item = make_item("a", body="a ferry", products=("wire",))
    assert chosen.matching([item, item]) == (frozenset({1, 2}),) * 2
    assert chosen.matching([replace(item, body="a port")]) == (frozenset({2}),)
    assert chosen.matching([replace(item, products=("gold",))]) == (frozenset({1}),)
    chosen.change({1: Word("port"), 2: None})
    assert chosen.matching([item]) == (frozenset(),)
    assert chosen.matching([replace(item, body="a port")]) == (frozenset({1}),)
