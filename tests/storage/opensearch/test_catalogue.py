"""What the cluster engine tells of items beside retrieval is what the embedded one tells, which is
held against plain Python in tests of its own: names, completions, words, facets, and the rest.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.callers import NOBODY, Caller
from core.entities import Entity, EntityLabel, KnownName, NameMatch
from core.items import Concept, Item, ItemType, PubStatus
from core.ports.engine import Engine
from core.query_fields import ID
from core.query_tree import EVERYTHING, DateRange, Keyword, Word
from core.retrieval import (
    Beside,
    DateBuckets,
    DateInterval,
    Ids,
    Retrieval,
    Suggestion,
    SuggestionKind,
)
from core.writes import PutItem, SetStatus
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.opensearch.query import names, suggestions
from storage.words.topics import MEDIA_TOPICS, Topics, read_topics
from tests.conftest import new_folder
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import (
    ENCODER,
    FIELD,
    HOUR,
    NOW,
    WIRE,
    SetClock,
    lexical,
    make_item,
    vector_of,
    vectors,
    write,
)

PHOTOS = Caller("photos", frozenset({"photos"}))
CALLERS = (WIRE, PHOTOS, Caller("both", frozenset({"wire", "photos"})), NOBODY)
PER, ORG, LOC, MISC = EntityLabel
FACETS = ("type", "subject", "person", "organisation", "place", "language", "product", "rights")


@pytest.fixture(scope="module", autouse=True)
def _on_the_node(opensearch: str) -> Iterator[None]:
    with lending(opensearch, shards=2):
        yield


@pytest.fixture(scope="module")
def topics() -> Topics:
    return read_topics(MEDIA_TOPICS)


class Pair:
    """The same archive in both engines."""

    def __init__(self, topics: Topics | None = None) -> None:
        self.clock = SetClock()
        self.folders = new_folder(), new_folder()
        named = topics or Topics()
        plain = EmbeddedSettings(self.folders[0], {FIELD: ENCODER}, background=False, topics=named)
        self.embedded = EmbeddedEngine(plain, self.clock)
        self.cluster = open_opensearch(self.folders[1], self.clock, topics=named)
        self.engines: tuple[Engine, Engine] = (self.embedded, self.cluster)

    def put(self, items: Sequence[Item], killed: Sequence[str] = ()) -> Ids:
        """Writes to both; gives the ids of what everybody together sees, which are the same."""
        for engine in self.engines:
            engine.put([PutItem(item, (vectors(vector_of(item.uri)),)) for item in items])
            engine.set_status([SetStatus(uri, PubStatus.CANCELED) for uri in killed])
        self.embedded.catch_up()
        self.cluster.catch_up()
        found = [e.retrieve(lexical(EVERYTHING, CALLERS[2])).ids for e in self.engines]
        assert sorted(found[0].tolist()) == sorted(found[1].tolist())
        return found[0]

    def close(self) -> None:
        for engine, folder in zip(self.engines, self.folders, strict=True):
            engine.close()
            shutil.rmtree(folder)


@pytest.fixture
def pair(topics: Topics) -> Iterator[Pair]:
    pair = Pair(topics)
    yield pair
    pair.close()


PEOPLE = (
    "Angela Merkel",
    "ANGELA MERKEL",
    "Ángela Merkel",
    "Angela Markel",
    "Una Merkel",
    "Angela Dorothea Merkel",
    "Angela M.-Erkel",
    "Christopher Longbottom",
    "Kristopher Longbotom",
    "Christofer Longbottom",
    "X",
    "?!",
    "Łódź (Poland)",
    "a.b*c|d",
)
CODES = ("", "", "q1", "Q1", "q2")
TYPED = (
    *PEOPLE,
    "angela merkle",
    "merkel",
    "merkle",
    "a. merkel",
    "a merkel",
    "cristopher longbotom",
    "christofr longbotm",
    "longbottom",
    "longbotton",
    "The Angela Merkel's",
    "lodz",
    "",
    "nobody",
)
HEADLINES = ("Merkel opens", "merkel OPENS", "Port strike", "O'Hara's port", "", "Angela Merkel")
BEGUN = (
    "m",
    "me",
    "merkel o",
    "angela",
    "angela m",
    "merkel's",
    "port",
    "o'h",
    "strike p",
    "?",
    "",
)


@st.composite
def _items(draw: st.DrawFn) -> list[Item]:
    concepts = st.lists(
        st.builds(Concept, st.sampled_from(PEOPLE), st.sampled_from(CODES)), max_size=3
    ).map(tuple)
    return [
        make_item(
            f"{number}",
            headline=draw(st.sampled_from(HEADLINES)),
            person=draw(concepts),
            place=draw(concepts),
            organisation=draw(concepts),
            subject=draw(concepts),
            products=draw(st.sampled_from((("wire",), ("photos",), ("wire", "photos"), ()))),
        )
        for number in range(draw(st.integers(1, 10)))
    ]


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)
@given(_items(), st.sets(st.sampled_from("0123456"), max_size=3))
def test_names_and_completions_are_the_same(items: list[Item], killed: set[str]) -> None:
    pair = Pair()
    try:
        pair.put(items, sorted(killed))
        asked = [Entity(text, label, 0, len(text), 0.9) for text in TYPED for label in (PER, LOC)]
        for caller in CALLERS:
            ours, theirs = (engine.known(asked, caller) for engine in pair.engines)
            for entity, one, other in zip(asked, ours, theirs, strict=True):
                assert _told(one) == _told(other), (entity.text, entity.label)
            for text in BEGUN:
                ours, theirs = (engine.suggest(text, 10, caller) for engine in pair.engines)
                assert [_typed(one) for one in ours] == [_typed(one) for one in theirs], text
    finally:
        pair.close()


def _told(name: KnownName | None) -> object:
    """A spelling's case is the column's first in one engine, the commonest in the other."""
    if name is None:
        return None
    match = NameMatch.FOLDED if name.match is NameMatch.EXACT else name.match
    spellings = [spelling.casefold() for spelling in name.spellings]
    aliases = {alias.casefold() for alias in name.aliases}
    return name.field, name.name.casefold(), match, spellings, aliases, name.read_as.casefold()


def _typed(found: Suggestion) -> object:
    return found.text.casefold(), found.kind, found.count


def test_a_name_of_fifteen_letters_may_have_three_edits(pair: Pair) -> None:
    pair.put([make_item("a", person=(Concept("Christopher Longbottom"),))])
    for text in ("kristofer longbottom", "cristofer longbotom", "christpoher lnogbottmo"):
        entity = Entity(text, PER, 0, len(text), 0.9)
        found = [engine.known([entity], WIRE)[0] for engine in pair.engines]
        assert found[0] == found[1], text


def test_a_code_of_very_many_names_is_none(pair: Pair) -> None:
    names = [f"Team {chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(40)]
    few = [make_item(f"f{n}", person=(Concept(names[n], "few"),)) for n in range(16)]
    many = [make_item(f"m{n}", place=(Concept(names[n], "many"),)) for n in range(17)]
    pair.put([*few, *many])
    person, place = (
        pair.cluster.known([Entity(names[0], label, 0, 7, 0.9)], WIRE)[0] for label in (PER, LOC)
    )
    assert person is not None
    assert place is not None
    assert len(person.aliases) == 15
    assert place.aliases == ()
    assert _told(person) == _told(pair.embedded.known([Entity(names[0], PER, 0, 7, 0.9)], WIRE)[0])


def test_a_common_surname_is_doubtful_whoever_has_it_most(pair: Pair) -> None:
    people = [make_item(f"{n}", person=(Concept(f"P{n:03} Smith"),)) for n in range(300)]
    pair.put([*people, make_item("x", person=(Concept("Quentin Smith"),))])
    for text, known in (("smith", None), ("q. smith", "Quentin Smith"), ("p. smith", None)):
        found = pair.cluster.known([Entity(text, PER, 0, len(text), 0.9)], WIRE)[0]
        assert (found and found.name) == known, text


def test_words_are_the_same(pair: Pair) -> None:
    texts = ("The election results", "An erection", "elections held", "selection", "electron beam")
    pair.put(
        [
            make_item(f"{n}", headline=text, products=(("wire",), ("photos",))[n == 1])
            for n, text in enumerate((*texts, *texts[:2], "ellipse", "Élection déjà vu"))
        ],
        ["2"],
    )
    for caller in CALLERS:
        words = ("election", "elections", "the", "beam", "missing", "Élection", "x y", "")
        ours, theirs = (engine.seen_counts(words, 2, caller) for engine in pair.engines)
        assert [min(n, 3) for n in ours] == [min(n, 3) for n in theirs]
        wrong = ("eletion", "electoin", "lection", "elecction", "the", "xelection", "e", "")
        asked = [(word, most) for word in wrong for most in (1, 2)]
        every = [engine.similar_words(asked, caller) for engine in pair.engines]
        for each, *found in zip(asked, *every, strict=True):
            folded = [[(s.text.casefold(), s.count, s.distance) for s in f] for f in found]
            assert folded[0] == folded[1], each
        ours, theirs = (engine.rarities(words, "en", caller).values for engine in pair.engines)
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_facets_dates_and_names_of_candidates_are_the_same(pair: Pair) -> None:
    football, sport = "medtop:20001065", "http://cv.iptc.org/newscodes/mediatopic/15000000"
    pair.put(
        [
            make_item(
                f"{n}",
                type=(ItemType.TEXT, ItemType.PICTURE)[n % 2],
                versioncreated=NOW - n * 7 * HOUR,
                place=(Concept(("Rome", "ROME", "Oslo")[n % 3]), Concept("rome")),
                subject=(
                    Concept("football", football),
                    Concept(f"own {n % 2}", sport if n % 3 else ""),
                ),
                rights=("editorial",) * (n % 2),
                products=("wire",) if n % 4 else ("photos", "wire"),
            )
            for n in range(30)
        ]
    )
    berlin = DateBuckets(DateInterval.DAY, ZoneInfo("Europe/Berlin"))
    for ids in (pair.put([]), pair.put([])[:7], pair.put([])[:0]):
        for broader in (False, True):
            for buckets in (DateBuckets(), berlin, replace(berlin, interval=DateInterval.HOUR)):
                fields = (*FACETS, "versioncreated")
                ours, theirs = (
                    engine.facets(ids, fields, 9, buckets, broader=broader)
                    for engine in pair.engines
                )
                assert _counts(ours) == _counts(theirs)
        ours, theirs = (engine.created(ids) for engine in pair.engines)
        assert ours.tolist() == theirs.tolist()
        ours, theirs = (list(engine.languages_of(ids)) for engine in pair.engines)
        assert ours == theirs
        names = [
            KnownName("Rome", "place", NameMatch.EXACT, ("Rome", "Oslo")),
            KnownName("x", "person", NameMatch.EXACT, ("x",)),
        ]
        ours, theirs = (engine.holding(ids, names) for engine in pair.engines)
        assert ours.tolist() == theirs.tolist()


def _counts(facets: object) -> object:
    assert isinstance(facets, dict)
    return {
        name: [(entry.value.casefold(), entry.count) for entry in counts]
        for name, counts in facets.items()
    }


def test_a_topic_stands_for_those_below_it_however_codes_are_written(pair: Pair) -> None:
    codes = (
        "medtop:20001065",
        "MEDTOP:20001065",
        "20001065",
        "http://cv.iptc.org/newscodes/mediatopic/20001065",
        "https://cv.iptc.org/newscodes/mediatopic/20001065",
        "other:1",
    )
    pair.put([make_item(f"{n}", subject=(Concept(f"s{n}", code),)) for n, code in enumerate(codes)])
    uris = [f"{n}" for n in range(len(codes))]
    for value in ("sport", "medtop:15000000", "20001065", "other:1", "s3"):
        asked = Keyword("subject", (value,))
        found = [
            (
                sorted(engine.retrieve(lexical(EVERYTHING, filters=asked)).ids.tolist()),
                engine.shown(uris, WIRE, asked).tolist(),
                engine.satisfies(engine.standing("0").id, [asked]),
            )
            for engine in pair.engines
        ]
        assert found[0] == found[1], value
    assert len(pair.cluster.shown(uris, WIRE, Keyword("subject", ("sport",)))) == 5


def test_undescribed_media_are_the_same(pair: Pair) -> None:
    kinds = (ItemType.PICTURE, ItemType.VIDEO, ItemType.TEXT)
    items = [
        make_item(f"{n}", type=kinds[n % 3], headline="told" * (n % 4 == 0), caption="c" * (n == 1))
        for n in range(24)
    ]
    pair.put(items, ["2", "5", "7"])
    for limit in (0, 1, 3, 100):
        ours, theirs = (engine.undescribed(limit) for engine in pair.engines)
        assert ours == theirs
    newest = [engine.newest(["2", "x", "3"]) for engine in pair.engines]
    assert newest[0] == newest[1]


def test_stories_signatures_and_exemplars_are_the_same(pair: Pair) -> None:
    body = "the harbour was closed by a storm that nobody had seen coming " * 3
    ids = pair.put(
        [
            make_item("a", 1, chain="s", body=body),
            make_item("b", 1, chain="s", body=body + " today", versioncreated=NOW),
            make_item("c", body=body + "at all"),
            make_item("d", type=ItemType.PICTURE, body=body),
        ]
    )
    numbers = [engine.chains(ids).tolist() for engine in pair.engines]
    assert numbers[0] == numbers[1]
    signatures = [engine.signatures(ids) for engine in pair.engines]
    assert (signatures[0].rows == signatures[1].rows).all()
    assert signatures[0].comparable.tolist() == signatures[1].comparable.tolist()
    for uri in ("a", "b", "c", "x"):
        for caller in (WIRE, NOBODY):
            ours, theirs = (engine.exemplar(uri, caller) for engine in pair.engines)
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                assert (ours.item, ours.story) == (theirs.item, theirs.story)
                assert ours.passages == theirs.passages
                assert np.array_equal(ours.vectors[FIELD], theirs.vectors[FIELD])
    sizes = [list(engine.chain_sizes(ids, WIRE)) for engine in pair.engines]
    assert sizes[0] == sizes[1]


def test_the_commonest_headline_comes_first_then_the_newest(pair: Pair) -> None:
    lines = ("Market report", "Market opens", "market report", "Market closes")
    pair.put([make_item(f"{n}", headline=line) for n, line in enumerate(lines)])
    found = [engine.suggest("market", 9, WIRE) for engine in pair.engines]
    assert [_typed(one) for one in found[1]] == [
        ("market report", SuggestionKind.HEADLINE, 2),
        ("market closes", SuggestionKind.HEADLINE, 1),
        ("market opens", SuggestionKind.HEADLINE, 1),
    ]
    assert [_typed(one) for one in found[0]] == [_typed(one) for one in found[1]]


def test_what_very_many_items_have_is_counted_over_all_of_them(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though only the newest few of each shard are looked at for which labels there are."""
    for module in (suggestions, names):
        monkeypatch.setattr(module, "_SAMPLED", 6)
    porto = [
        make_item(f"{n}", place=(Concept("Porto Alto", "c"),), headline="Porto") for n in range(40)
    ]
    pair.put([*porto, *(make_item(f"n{n}", place=(Concept("Porto Novo"),)) for n in range(3))])
    for text in ("p", "porto", "porto a", "alto p"):
        found = [[_typed(s) for s in e.suggest(text, 5, WIRE)] for e in pair.engines]
        assert found[0] == found[1], text
    entity = Entity("porto alto", LOC, 0, 10, 0.9)
    told = [engine.known([entity], WIRE)[0] for engine in pair.engines]
    assert told[0] == told[1]


def test_texts_longer_than_anyone_types_are_indexed_without_completions(pair: Pair) -> None:
    long = "Zebra " * 200_000
    names = (Concept("n" * 30_000, "c" * 40_000), Concept("Ana Reyes", "q" * 40_000))
    write(pair.cluster, make_item("a", headline=long, person=names))
    assert [found.text for found in pair.cluster.suggest("a", 5, WIRE)] == ["Ana Reyes"]
    words = " ".join(f"w{number}" for number in range(1000))
    for text in (long, words, "\ufdfa" * 400, "x" * 5000):
        assert pair.cluster.suggest(text, 5, WIRE) == ()
    asked = [Entity(text, PER, 0, 9, 0.9) for text in ("n" * 30_000, "ana reyes", "." * 900)]
    assert [found and found.name for found in pair.cluster.known(asked, WIRE)] == [
        None,
        "Ana Reyes",
        None,
    ]


def test_no_sign_of_a_text_is_read_as_a_pattern(pair: Pair) -> None:
    name = 'a.?+*|{}[]()"\\#@&<>~^$-b\u2028c'
    pair.put([make_item("a", person=(Concept(name),), place=(Concept("axb Other"),))])
    for text in (name, ".*", "a.?+*|", "~a", "<1-9>", "@", "#", "&b", '"', "axb ot.*", "[a-z]"):
        entity = Entity(text, PER, 0, len(text), 0.9)
        found = pair.cluster.known([entity], WIRE)[0]
        assert _told(found) == _told(pair.embedded.known([entity], WIRE)[0])
        pair.cluster.suggest(text, 5, WIRE)
        pair.cluster.similar_words([(text, 2)], WIRE)
        pair.cluster.seen_counts([text], 5, WIRE)
    assert pair.cluster.known([Entity(name, PER, 0, 9, 0.9)], WIRE)[0] is not None


def test_what_is_wanted_beside_candidates_is_what_the_index_says_when_it_is_asked(
    pair: Pair,
) -> None:
    pair.put([make_item(f"{n}", headline=f"ferry {'sinks' * (n % 5 == 0)}") for n in range(12)])
    engine = pair.cluster
    named = Keyword(ID, ("uri:3", "uri:7"))
    within = DateRange("versioncreated", None, datetime(2100, 1, 1, tzinfo=UTC))
    for caller in (WIRE, NOBODY):
        beside = Beside(named, within, 100)
        found = engine.retrieve(Retrieval(Word("ferry"), caller, beside=beside))
        assert found.named is not None
        assert found.named.tolist() == engine.having(named, caller, within, 100).tolist()
    plain = engine.retrieve(Retrieval(Word("ferry"), WIRE))
    assert plain.named is None
