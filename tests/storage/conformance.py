"""What every storage engine promises, as tests. An engine's own tests subclass `EngineConformance`
and say how it is opened; nothing here knows how it works.

    class TestMine(EngineConformance):
        def open(self, folder, clock): ...
        def settle(self, engine): ...
        def open_live(self, folder, clock): ...
"""

from __future__ import annotations

import shutil
import time
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.callers import NOBODY, Caller
from core.errors import DatelineError, QueryError, StorageError
from core.items import Concept, Item, ItemType, MediaFile, Passage, PubStatus, Shot
from core.ports import Clock, Engine
from core.query_tree import (
    EVERYTHING,
    Bool,
    DateRange,
    Keyword,
    Node,
    Nothing,
    Phrase,
    Prefix,
    Word,
)
from core.retrieval import Retrieval, SortOrder
from core.writes import Outcome, PutItem, SetStatus
from tests.conftest import new_folder
from tests.storage import model
from tests.storage.name_conformance import NameConformance
from tests.storage.world import (
    ALL,
    ENCODER,
    FIELD,
    HOUR,
    NOW,
    WIRE,
    SetClock,
    any_of,
    ask,
    by_vector,
    change,
    lexical,
    make_item,
    nearest,
    unit,
    uris,
    vector_of,
    vectors,
    versions,
    write,
)

PROPERTY = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)
FULL_ITEM = Item(
    uri="http://example.org/ütf/1?a=b&c",
    version=7,
    type=ItemType.PICTURE,
    versioncreated=datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    firstcreated=datetime(2024, 2, 29, 1, 2, 3, 4, UTC),
    chain="story 9",
    language="pt-BR",
    pubstatus=PubStatus.USABLE,
    embargoed=datetime(2026, 1, 1, tzinfo=UTC),
    expires=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    urgency=4,
    headline="Head\u00a0line",
    description="A caption",
    body="Body\n\nwith lines\x00and controls\x1f",
    byline="By A. Writer",
    slugline="SLUG-1",
    located="PORTO",
    ednote="note",
    copyrightnotice="© 2026",
    usageterms="editorial",
    subject=(Concept("transport", "medtop:1"), Concept("no code")),
    person=(Concept("Ana Reyes", "p:1"),),
    organisation=(Concept("Lines"),),
    place=(Concept("Porto", "wd:1"),),
    products=("wire", "photos"),
    source={"deep": [1, 2.5, None, True, {"x": "🌍"}], "uri": "as it came"},
    media=MediaFile(
        "s3://bucket/a ü.mp4",
        "ab" * 32,
        "video/mp4",
        2**40,
        1920,
        1080,
        12.5,
        "t.jpg",
        "p.jpg",
        "f0",
    ),
    caption="Ein Hund läuft",
    caption_by="model 1, prompt ab12",
    shots=(
        Shot(0.0, 4.04, 0, 100, "start", "A dog runs", "", 2.0, "k1.jpg", "0f"),
        Shot(4.04, 12.5, 101, 312, "gradual", "Людина", "model 1, prompt ab12", 8.0, "k2.jpg"),
        Shot(12.5, 12.54, 313, 313),
    ),
    rights=("editorial", "Level 1"),
)


class EngineConformance(NameConformance):
    """The tests; see the top of this file."""

    @abstractmethod
    def open(self, folder: Path, clock: Clock) -> Engine:
        """An engine in `folder` with vector field FIELD under ENCODER, the same data each time."""

    @abstractmethod
    def settle(self, engine: Engine) -> None:
        """Makes what was written findable by words now."""

    @abstractmethod
    def open_live(self, folder: Path, clock: Clock) -> Engine:
        """An engine that keeps its indexes up to date by itself."""

    @pytest.fixture
    def clock(self) -> SetClock:
        return SetClock()

    @pytest.fixture
    def engine(self, folder: Path, clock: SetClock) -> Iterator[Engine]:
        engine = self.open(folder, clock)
        yield engine
        engine.close()

    def stories(self, engine: Engine, *items: Item) -> None:
        """Writes items and makes them findable."""
        for item in items:
            assert write(engine, item) in {Outcome.CREATED, Outcome.SUPERSEDED}
        self.settle(engine)

    # --- writes

    def test_outcomes_of_a_put(self, engine: Engine) -> None:
        first = make_item("a", 2, headline="One")
        assert write(engine, first) is Outcome.CREATED
        assert write(engine, first) is Outcome.UNCHANGED
        assert write(engine, make_item("a", 3, headline="Two")) is Outcome.SUPERSEDED
        assert write(engine, first) is Outcome.STALE
        assert write(engine, make_item("a", 1)) is Outcome.STALE
        assert write(engine, make_item("a", 3, headline="Other")) is Outcome.CONFLICT
        assert [item.headline for item in engine.chain("a", WIRE)] == ["Two", "One"]

    def test_a_conflict_and_a_stale_version_change_nothing(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", 2, headline="zebra"))
        write(engine, make_item("a", 2, headline="crocodile"))
        write(engine, make_item("a", 1, headline="crocodile"))
        self.settle(engine)
        assert uris(engine, Word("zebra")) == {"a"}
        assert uris(engine, Word("crocodile")) == set()

    def test_other_products_update_the_same_version(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", headline="zebra"))
        photos = Caller("photos", frozenset({"photos"}))
        moved = make_item("a", headline="zebra", products=("photos",))
        assert write(engine, moved) is Outcome.UPDATED
        assert ask(engine, nearest(vector_of("a/1"), WIRE)) == []
        assert ask(engine, nearest(vector_of("a/1"), photos)) == [("a", 1)]
        self.settle(engine)
        assert uris(engine, Word("zebra"), WIRE) == set()
        assert uris(engine, Word("zebra"), photos) == {"a"}

    def test_an_update_keeps_the_state_that_was_set(self, engine: Engine) -> None:
        write(engine, make_item("a"))
        change(engine, "a", pubstatus=PubStatus.CANCELED)
        assert write(engine, make_item("a", products=("wire", "more"))) is Outcome.UPDATED
        assert write(engine, make_item("a", products=("wire", "more"))) is Outcome.UNCHANGED
        assert engine.item("a", WIRE) is None

    def test_vectors_that_were_missing_are_added(self, engine: Engine) -> None:
        assert engine.put([PutItem(make_item("a"))])[0].outcome is Outcome.CREATED
        assert engine.unknown([make_item("a")]) == (True,)
        assert ask(engine, nearest(unit(1))) == []
        assert write(engine, make_item("a"), unit(1)) is Outcome.UPDATED
        assert engine.unknown([make_item("a")]) == (False,)
        assert ask(engine, nearest(unit(1))) == [("a", 1)]
        assert write(engine, make_item("a"), unit(0, 1)) is Outcome.UNCHANGED

    def test_vectors_of_another_encoder_are_not_searched(self, engine: Engine) -> None:
        strange = PutItem(make_item("a"), (vectors(unit(1), encoder="another"),))
        engine.put([strange])
        assert engine.unknown([make_item("a")]) == (True,)
        assert ask(engine, nearest(unit(1))) == []
        assert write(engine, make_item("a"), unit(0, 1)) is Outcome.UPDATED
        assert ask(engine, nearest(unit(0, 1))) == [("a", 1)]

    def test_unknown_asks_what_a_put_would_do(self, engine: Engine) -> None:
        write(engine, make_item("a", 2))
        asked = [
            make_item("b"),
            make_item("a", 2),
            make_item("a", 1),
            make_item("a", 3),
            make_item("a", 2, headline="conflict"),
            make_item("a", 2, products=("other",)),
        ]
        assert engine.unknown(asked) == (True, False, False, True, False, True)
        assert engine.unknown([]) == ()

    def test_a_batch_sees_its_own_writes(self, engine: Engine) -> None:
        batch = [make_item("a"), make_item("a"), make_item("a", 2), make_item("a", 1)]
        written = engine.put([PutItem(item) for item in batch])
        assert [entry.outcome for entry in written] == [
            Outcome.CREATED,
            Outcome.UNCHANGED,
            Outcome.SUPERSEDED,
            Outcome.STALE,
        ]

    def test_an_empty_batch(self, engine: Engine) -> None:
        assert engine.put([]) == ()
        assert engine.set_status([]) == ()

    def test_outcomes_of_a_status_change(self, engine: Engine) -> None:
        assert change(engine, "a", pubstatus=PubStatus.CANCELED) is Outcome.MISSING
        write(engine, make_item("a"))
        assert change(engine, "a") is Outcome.UNCHANGED
        assert change(engine, "a", pubstatus=PubStatus.USABLE) is Outcome.UNCHANGED
        assert change(engine, "a", pubstatus=PubStatus.WITHHELD) is Outcome.UPDATED
        assert change(engine, "a", embargoed=NOW + HOUR) is Outcome.UPDATED
        assert change(engine, "a", embargoed=NOW + HOUR) is Outcome.UNCHANGED
        assert change(engine, "a", lift_embargo=True) is Outcome.UPDATED
        assert change(engine, "a", lift_embargo=True) is Outcome.UNCHANGED

    def test_a_status_change_names_the_newest_version(self, engine: Engine) -> None:
        write(engine, make_item("a", 1))
        write(engine, make_item("a", 5))
        (written,) = engine.set_status([SetStatus("a", PubStatus.CANCELED)])
        assert written.version == 5
        (missing,) = engine.set_status([SetStatus("b", PubStatus.CANCELED)])
        assert (missing.uri, missing.outcome) == ("b", Outcome.MISSING)

    def test_what_is_set_is_read_back(self, engine: Engine) -> None:
        write(engine, make_item("a"))
        change(engine, "a", embargoed=NOW - HOUR)
        read = engine.item("a", WIRE)
        assert read is not None
        assert read.embargoed == NOW - HOUR

    def test_every_member_is_read_back(self, engine: Engine) -> None:
        assert {entry.name for entry in fields(Item)} == set(FULL_ITEM.__slots__)
        default = make_item("plain")
        unset = {"uri", "version", "products", "pubstatus", "firstcreated", "language"}
        same = [
            entry.name
            for entry in fields(Item)
            if entry.name not in unset
            and getattr(FULL_ITEM, entry.name) == getattr(default, entry.name)
        ]
        assert same == [], "the full item must differ from a plain one in every member"
        write(engine, FULL_ITEM)
        assert engine.item(FULL_ITEM.uri, WIRE) == FULL_ITEM
        found = engine.retrieve(nearest(vector_of(f"{FULL_ITEM.uri}/7")))
        assert engine.items(found.ids, WIRE) == (FULL_ITEM,)

    def test_all_of_it_is_there_after_a_restart(self, folder: Path, clock: SetClock) -> None:
        engine = self.open(folder, clock)
        self.stories(engine, FULL_ITEM, make_item("a", headline="zebra"), make_item("b"))
        change(engine, "b", pubstatus=PubStatus.CANCELED)
        engine.close()
        engine = self.open(folder, clock)
        try:
            self.settle(engine)
            assert engine.item(FULL_ITEM.uri, WIRE) == FULL_ITEM
            assert engine.item("b", WIRE) is None
            assert uris(engine, Word("zebra")) == {"a"}
            assert ask(engine, nearest(vector_of("a/1")))[0] == ("a", 1)
            assert {uri for uri, _ in ask(engine, nearest(unit(1)))} == {"a", FULL_ITEM.uri}
        finally:
            engine.close()

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_a_vector_that_is_not_finite_is_refused_with_its_batch(
        self, engine: Engine, bad: float
    ) -> None:
        row = unit(1)
        row[0, 3] = bad
        batch = [
            PutItem(make_item("good"), (vectors(unit(1)),)),
            PutItem(make_item("bad"), (vectors(unit(1), row),)),
        ]
        with pytest.raises(StorageError, match="not finite"):
            engine.put(batch)
        assert engine.item("good", WIRE) is None
        assert engine.item("bad", WIRE) is None
        assert ask(engine, nearest(unit(1))) == []
        assert write(engine, make_item("good"), unit(1)) is Outcome.CREATED

    def test_a_vector_without_its_passage_is_refused(self, engine: Engine) -> None:
        odd = replace(vectors(unit(1), unit(0, 1)), passages=(Passage("body", 0, 1),))
        with pytest.raises(StorageError, match="1 passages have 2 vectors"):
            engine.put([PutItem(make_item("a"), (odd,))])
        assert write(engine, make_item("a"), unit(1)) is Outcome.CREATED
        assert ask(engine, nearest(unit(1))) == [("a", 1)]

    # --- words

    def test_bare_words_find_any_and_rank_by_rarity_and_number(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("both", body="ferry storm"),
            make_item("often", body="ferry ferry ferry cargo"),
            make_item("once", body="ferry cargo cargo cargo"),
            make_item("other", body="cargo cargo"),
        )
        ranked = [uri for uri, _ in ask(engine, lexical(any_of("ferry", "storm")))]
        assert ranked == ["both", "often", "once"]

    def test_stems(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", body="Floods are flooding the flooded plain."))
        for word in ("flood", "floods", "FLOODING", "flooded"):
            assert uris(engine, Word(word)) == {"a"}, word
        assert uris(engine, Word("floor")) == set()

    def test_each_language_has_its_stems(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("de", language="de-AT", body="Die Zeitungen schreiben"),
            make_item("es", language="es", body="las elecciones municipales"),
            make_item("xx", language="xx", body="Kodeksit"),
        )
        assert uris(engine, Word("Zeitung")) == {"de"}
        assert uris(engine, Word("elección")) == {"es"}
        assert uris(engine, Word("kodeksit")) == {"xx"}
        assert uris(engine, Word("kodeks")) == set()

    def test_accents_and_case_fold(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", headline="CAFÉ Öresund"))
        for word in ("cafe", "café", "oresund", "ÖRESUND"):
            assert uris(engine, Word(word)) == {"a"}, word

    def test_phrases(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("a", body="The prime minister resigned"),
            make_item("b", body="The minister of prime rate"),
            make_item("c", body="Prime time for the minister"),
        )
        assert uris(engine, Phrase("prime minister")) == {"a"}
        assert uris(engine, Phrase("prime ministers")) == {"a"}
        assert uris(engine, Phrase("minister prime")) == set()
        assert uris(engine, Phrase("prime minister", slop=3)) >= {"a", "c"}
        assert uris(engine, Phrase("minister")) == {"a", "b", "c"}

    def test_trees(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("fs", body="ferry storm"),
            make_item("f", body="ferry"),
            make_item("s", body="storm"),
            make_item("c", body="cargo"),
        )
        f, s, c = Word("ferry"), Word("storm"), Word("cargo")
        cases: list[tuple[Node, set[str]]] = [
            (Bool(must=(f, s)), {"fs"}),
            (Bool(should=(f, s)), {"fs", "f", "s"}),
            (Bool(must=(f,), must_not=(s,)), {"f"}),
            (Bool(should=(f, c), must_not=(s,)), {"f", "c"}),
            (Bool(must_not=(f,)), {"s", "c"}),
            (Bool(must=(f,), should=(s,)), {"fs", "f"}),
            (Bool(must=(Bool(should=(f, c)), Bool(should=(s, c)))), {"fs", "c"}),
            (Bool(must=(f, Bool(must_not=(s,)))), {"f"}),
            (Bool(must_not=(Bool(must=(f, s)),)), {"f", "s", "c"}),
            (Bool(), {"fs", "f", "s", "c"}),
            (Nothing(), set()),
            (Bool(must=(f, Nothing())), set()),
            (Bool(must=(f,), must_not=(Nothing(),)), {"fs", "f"}),
        ]
        for tree, wanted in cases:
            assert uris(engine, tree) == wanted, tree
            assert engine.retrieve(lexical(tree)).lexical_matches == len(wanted), tree

    def test_words_in_one_field(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("h", headline="zebra"),
            make_item("d", description="zebra"),
            make_item("b", body="zebra"),
            make_item("n", person=(Concept("Zebra Jones"),)),
        )
        assert uris(engine, Word("zebra")) == {"h", "d", "b", "n"}
        assert uris(engine, Word("zebra", "headline")) == {"h"}
        assert uris(engine, Word("zebra", "description")) == {"d"}
        assert uris(engine, Word("zebra", "body")) == {"b"}
        assert uris(engine, Phrase("zebra jones", "names")) == {"n"}
        assert uris(engine, Prefix("zeb", "body")) == {"b"}

    def test_a_headline_counts_for_more(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("body", headline="quiet morning", body="zebra seen"),
            make_item("head", headline="zebra seen", body="quiet morning"),
        )
        assert [uri for uri, _ in ask(engine, lexical(Word("zebra")))] == ["head", "body"]

    def test_a_boost_moves_a_word_up(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", body="ferry"), make_item("b", body="storm"))
        for word, first in (("ferry", "a"), ("storm", "b")):
            tree = Bool(
                should=tuple(Word(w, boost=9 if w == word else 1) for w in ("ferry", "storm"))
            )
            assert ask(engine, lexical(tree))[0] == (first, 1)

    def test_prefixes_are_of_words_not_of_stems(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", body="The ferry was running a re-election shuttle"))
        for prefix in ("ferry", "ferr", "fe", "runn", "RUNNING", "re-elect", "shuttl"):
            assert uris(engine, Prefix(prefix)) == {"a"}, prefix
        for prefix in ("ferries", "unning", "runnings", "co-elect"):
            assert uris(engine, Prefix(prefix)) == set(), prefix

    def test_a_prefix_is_no_pattern(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", body="ferry"))
        for prefix in (
            ".*",
            "f.*",
            "fe|xx",
            "[a-z]+",
            "(",
            "fe\\",
            "🌍",
            "⑴⒜",
            "\U00018d80x",
            "a_b",
        ):
            assert uris(engine, Prefix(prefix)) in (set(), {"a"}), prefix
        assert uris(engine, Prefix("fxx.*")) == set()

    def test_keywords_are_whole_and_casefolded(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("a", place=(Concept("Straße 1", "wd:9"),), urgency=3),
            make_item("b", place=(Concept("Straße"),)),
        )
        assert uris(engine, Keyword("place", ("STRASSE 1",))) == {"a"}
        assert uris(engine, Keyword("place", ("WD:9",))) == {"a"}
        assert uris(engine, Keyword("place", ("straße", "nowhere"))) == {"b"}
        assert uris(engine, Keyword("place", ("Stra",))) == set()
        assert uris(engine, Keyword("urgency", ("3",))) == {"a"}
        assert uris(engine, Keyword("type", ("TEXT",))) == {"a", "b"}

    def test_date_ranges_are_half_open(self, engine: Engine) -> None:
        tick = timedelta(microseconds=1)
        for n, moment in enumerate((NOW - tick, NOW, NOW + tick)):
            write(engine, make_item(f"{n}", versioncreated=moment, body="zebra"))
        self.settle(engine)
        for query in (Word("zebra"), EVERYTHING):

            def found(since: datetime | None, until: datetime | None) -> set[str]:
                dates = DateRange("versioncreated", since, until)
                narrowed = Bool(must=(query, dates))  # noqa: B023 - called in this turn only
                as_query = uris(engine, narrowed)
                as_filter = uris(engine, query, filters=dates)  # noqa: B023
                near = {uri for uri, _ in ask(engine, nearest(unit(1), filters=dates))}
                assert as_query == as_filter == near
                return as_query

            assert found(NOW, None) == {"1", "2"}
            assert found(None, NOW) == {"0"}
            assert found(NOW, NOW + tick) == {"1"}
            assert found(NOW, NOW) == set()
            assert found(None, None) == {"0", "1", "2"}
            assert found(NOW + HOUR, NOW - HOUR) == set()

    def test_filters_change_no_score(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("a", body="zebra zebra", urgency=1),
            make_item("b", body="zebra crossing", urgency=1),
            make_item("c", body="crossing", urgency=2),
        )
        plain = engine.retrieve(lexical(Word("zebra")))
        held = engine.retrieve(lexical(Word("zebra"), filters=Keyword("urgency", ("1",))))
        both = engine.retrieve(lexical(Bool(must=(Word("zebra"), Keyword("urgency", ("1",))))))
        assert plain.ids.tolist() == held.ids.tolist() == both.ids.tolist()
        assert np.allclose(plain.bm25, held.bm25)
        assert np.allclose(plain.bm25, both.bm25)
        assert (np.diff(plain.bm25) < 0).all()
        assert plain.lexical_ranks.tolist() == [1, 2]

    def test_the_count_goes_beyond_the_depth(self, engine: Engine) -> None:
        self.stories(engine, *(make_item(f"{n}", body="zebra") for n in range(7)))
        found = engine.retrieve(lexical(Word("zebra"), depth=3))
        assert len(found.ids) == 3
        assert found.lexical_matches == 7

    def test_facts_alone_come_newest_first(self, engine: Engine) -> None:
        ages = {"b": 2, "a": 3, "d": 0, "c": 1}
        self.stories(
            engine, *(make_item(u, versioncreated=NOW - age * HOUR) for u, age in ages.items())
        )
        assert [uri for uri, _ in ask(engine, lexical(EVERYTHING))] == ["d", "c", "b", "a"]

    @pytest.mark.parametrize("query", [Word("zebra"), EVERYTHING])
    def test_sort_by_date(self, engine: Engine, query: Node) -> None:
        ages = {"b": 2, "a": 3, "d": 0, "c": 1}
        self.stories(
            engine,
            *(
                make_item(uri, versioncreated=NOW - age * HOUR, body="zebra " * (age + 1))
                for uri, age in ages.items()
            ),
        )
        for order, wanted in ((SortOrder.NEWEST, "dcba"), (SortOrder.OLDEST, "abcd")):
            found = [uri for uri, _ in ask(engine, lexical(query, order=order))]
            assert "".join(found) == wanted
            top = [uri for uri, _ in ask(engine, lexical(query, order=order, depth=2))]
            assert "".join(top) == wanted[:2]

    # --- facts, as a property

    @PROPERTY
    @given(st.data())
    def test_filters_mean_the_same_everywhere(self, data: st.DataObject) -> None:
        """Words, vectors and counts agree with plain Python, whatever the items and the filter."""
        items = data.draw(model.items_with_facts())
        held = data.draw(st.sets(st.sampled_from(model.PRODUCTS)).map(frozenset))
        caller = Caller("drawn", held)
        folder = new_folder()
        engine = self.open(folder, SetClock())
        try:
            engine.put([PutItem(item, (vectors(vector_of(item.uri)),)) for item in items])
            self.settle(engine)
            for _ in range(3):
                filters = data.draw(model.FILTERS)
                self._agrees(engine, items, caller, filters)
        finally:
            engine.close()
            shutil.rmtree(folder)

    def _agrees(self, engine: Engine, items: list[Item], caller: Caller, filters: Node) -> None:
        kept = [
            item
            for item in items
            if caller.products & set(item.products) and model.matches(filters, item)
        ]
        wanted = sorted((item.uri, item.version) for item in kept)
        zebra = Word("zebra")
        for request in (
            lexical(EVERYTHING, caller, filters),
            lexical(filters, caller),
            lexical(zebra, caller, filters),
            lexical(Bool(must=(zebra, filters)), caller),
            nearest(unit(1), caller, filters),
            nearest(unit(1), caller, query=Bool(must=(filters,))),
        ):
            found = engine.retrieve(request)
            assert sorted(versions(engine, found, caller)) == wanted, request
            if request.lexical_depth:
                assert found.lexical_matches == len(wanted), request
        counted = engine.facets(found.ids, model.FACETS, ALL)
        for name in model.FACETS:
            counts = {entry.value.casefold(): entry.count for entry in counted[name]}
            assert counts == model.facet(kept, name), name

    # --- vectors

    def test_an_item_scores_as_its_best_passage(self, engine: Engine) -> None:
        a, b, c = unit(1, 1), unit(1, 0.2), unit(0, 0, 1)
        write(engine, make_item("three"), c, b, a)
        write(engine, make_item("one"), c)
        found = engine.retrieve(nearest(unit(1)))
        assert versions(engine, found, WIRE) == [("three", 1), ("one", 1)]
        (scores,) = found.vectors
        assert scores.field == FIELD
        assert scores.cosines == pytest.approx([float((b @ unit(1).T)[0, 0]), 0.0], abs=2e-3)
        assert scores.passages.tolist() == [1, 0]
        assert scores.ranks.tolist() == [1, 2]
        places = engine.passages(found.ids, FIELD, scores.passages.tolist())
        assert places == (Passage("body", 10, 20), Passage("body", 0, 10))
        assert engine.passages(found.ids, FIELD, [7, -1]) == (None, None)

    def test_many_passages_of_one_item_take_no_other_items_place(self, engine: Engine) -> None:
        write(engine, make_item("many"), *(unit(1, n / 50) for n in range(12)))
        for n in range(4):
            write(engine, make_item(f"few{n}"), unit(1, 1 + n))
        found = ask(engine, nearest(unit(1), depth=3))
        assert found[0] == ("many", 1)
        assert len(set(found)) == len(found)

    def test_candidates_of_words_get_their_exact_cosine(self, engine: Engine) -> None:
        write(engine, make_item("near", body="cargo"), unit(1))
        write(engine, make_item("far", body="zebra"), unit(1, 5))
        engine.put([PutItem(make_item("none", body="zebra"))])
        self.settle(engine)
        request = Retrieval(Word("zebra"), WIRE, vectors=(by_vector(unit(1), 0.5),), vector_depth=1)
        found = engine.retrieve(request)
        (scores,) = found.vectors
        rows = dict(zip(versions(engine, found, WIRE), range(3), strict=True))
        near, far, none = rows["near", 1], rows["far", 1], rows["none", 1]
        assert np.isnan(found.bm25[near])
        assert found.lexical_ranks[near] == 0
        assert {int(found.lexical_ranks[far]), int(found.lexical_ranks[none])} == {1, 2}
        assert scores.weight == 0.5
        assert scores.ranks[[near, far, none]].tolist() == [1, 0, 0]
        assert scores.cosines[far] == pytest.approx(float((unit(1, 5) @ unit(1).T)[0, 0]), abs=2e-3)
        assert np.isnan(scores.cosines[none])
        assert scores.passages[none] == -1

    def test_the_background_is_the_mean_over_all_passages(self, engine: Engine) -> None:
        rows = [vector_of(f"row {n}") for n in range(9)]
        for n in range(3):
            write(engine, make_item(f"{n}"), *rows[3 * n : 3 * n + 3])
        (scores,) = engine.retrieve(nearest(unit(1))).vectors
        mean = float(np.mean([(row @ unit(1).T)[0, 0] for row in rows]))
        assert scores.background == pytest.approx(mean, abs=2e-3)

    def test_no_passages_no_background(self, engine: Engine) -> None:
        (scores,) = engine.retrieve(nearest(unit(1))).vectors
        assert scores.background == 0.0
        assert len(scores.cosines) == 0

    def test_what_narrows_a_query_narrows_vectors_too(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("pm", body="prime minister", urgency=1),
            make_item("mp", body="minister prime storm", urgency=1),
            make_item("s", body="storm", urgency=2),
        )
        urgent = Keyword("urgency", ("1",))
        cases: list[tuple[Node, set[str]]] = [
            (any_of("prime"), {"pm", "mp", "s"}),
            (Word("prime"), {"pm", "mp", "s"}),
            (Phrase("prime minister"), {"pm"}),
            (Bool(must=(Word("prime"),)), {"pm", "mp"}),
            (Bool(must=(Word("prime"), Word("storm"))), {"mp"}),
            (Bool(should=(Word("prime"),), must_not=(Word("storm"),)), {"pm"}),
            (Bool(must=(Bool(should=(Phrase("minister prime"), Word("cargo"))),)), {"mp"}),
            (Bool(must=(urgent,), should=(Word("storm"),)), {"pm", "mp"}),
            (Bool(must=(urgent, Word("storm"))), {"mp"}),
            (Bool(must=(Bool(must_not=(Word("prime"), urgent)),)), {"s"}),
            (Bool(must=(Prefix("sto"),)), {"mp", "s"}),
            (Nothing(), set()),
        ]
        for query, wanted in cases:
            found = {uri for uri, _ in ask(engine, nearest(unit(1), query=query))}
            assert found == wanted, query

    # --- who may see what

    def test_an_item_without_products_is_for_nobody(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("none", products=(), body="zebra"),
            make_item("empty", products=("",), body="zebra"),
        )
        for caller in (WIRE, NOBODY, Caller("odd", frozenset({"", "none"}))):
            self._sees_nothing(engine, caller, "none", "empty")

    def test_a_caller_without_products_sees_nothing(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", body="zebra"))
        self._sees_nothing(engine, NOBODY, "a")
        self._sees_nothing(engine, Caller("desk", frozenset(), True, True), "a")
        self._sees_nothing(engine, Caller("other", frozenset({"photos", "wires", "wir"})), "a")

    def _sees_nothing(self, engine: Engine, caller: Caller, *names: str) -> None:
        for request in (
            lexical(EVERYTHING, caller),
            lexical(Word("zebra"), caller),
            lexical(Bool(must_not=(Word("crocodile"),)), caller),
            nearest(unit(1), caller),
        ):
            found = engine.retrieve(request)
            assert len(found.ids) == found.lexical_matches == 0, request
        everything = np.arange(0, 50)
        assert len(engine.visible(everything, caller)) == 0
        assert set(engine.items(everything, caller)) == {None}
        for name in names:
            assert engine.item(name, caller) is None
            assert engine.chain(name, caller) == ()

    def test_product_codes_compare_alike_on_every_surface(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", products=("Wire-1",), body="zebra"))
        caller = Caller("a", frozenset({"wIRE-1"}))
        answers = {
            bool(ask(engine, lexical(Word("zebra"), caller))),
            bool(ask(engine, nearest(unit(1), caller))),
            bool(ask(engine, lexical(EVERYTHING, caller))),
            engine.item("a", caller) is not None,
            bool(engine.chain("a", caller)),
        }
        assert len(answers) == 1

    def test_a_hidden_head_exposes_no_older_version(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("a", 1, body="zebra", products=("wire",)),
            make_item("a", 2, body="zebra", products=("photos",)),
            make_item("x", 1, chain="s", body="zebra", products=("wire",)),
            make_item("y", 1, chain="s", body="zebra", products=("photos",), versioncreated=NOW),
        )
        self._sees_nothing(engine, WIRE, "a", "x", "y")
        photos = Caller("photos", frozenset({"photos"}))
        assert uris(engine, Word("zebra"), photos) == {"a", "y"}
        assert [item.uri for item in engine.chain("y", photos)] == ["y"]

    def test_the_chain_view_leaves_out_what_the_caller_may_not_see(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("a", 1, products=("photos",)),
            make_item("a", 2, products=("wire",)),
            make_item("a", 3, products=("wire",)),
        )
        assert [item.version for item in engine.chain("a", WIRE)] == [3, 2]
        both = Caller("both", frozenset({"wire", "photos"}))
        assert [item.version for item in engine.chain("a", both)] == [3, 2, 1]
        found = engine.retrieve(lexical(EVERYTHING, both))
        assert list(engine.chain_sizes(found.ids, both)) == [3]
        assert list(engine.chain_sizes(found.ids, WIRE)) == [2]

    # --- stories

    def _is_shown(self, engine: Engine, *wanted: str) -> None:
        """The only visible versions ("uri/version"), on every surface, at once and once settled."""
        names = {(uri, int(version)) for uri, _, version in (w.partition("/") for w in wanted)}
        assert set(ask(engine, nearest(unit(1)))) == names
        assert set(ask(engine, lexical(Word("zebra")))) <= names
        assert set(ask(engine, lexical(EVERYTHING))) == names
        for uri, version in names:
            item = engine.item(uri, WIRE)
            assert item is not None
            assert item.version == version
        self.settle(engine)
        found = engine.retrieve(lexical(Word("zebra")))
        assert set(versions(engine, found, WIRE)) == names
        assert found.lexical_matches == len(names)
        assert len(set(engine.chains(found.ids).tolist())) == len(names)

    def test_a_new_version_takes_the_place_of_the_old(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", 1, body="zebra"))
        write(engine, make_item("a", 2, body="zebra"))
        self._is_shown(engine, "a/2")
        assert [item.version for item in engine.chain("a", WIRE)] == [2, 1]

    def test_write_throughs(self, engine: Engine) -> None:
        for n, uri in enumerate("abc"):
            moment = NOW - (3 - n) * HOUR
            write(engine, make_item(uri, chain="s", body="zebra", versioncreated=moment))
        self._is_shown(engine, "c/1")
        assert [item.uri for item in engine.chain("a", WIRE)] == ["c", "b", "a"]
        assert engine.item("a", WIRE) is None
        change(engine, "c", pubstatus=PubStatus.CANCELED)
        self._is_shown(engine, "b/1")
        assert [item.uri for item in engine.chain("b", WIRE)] == ["b", "a"]
        assert engine.chain("c", WIRE) == ()
        change(engine, "a", pubstatus=PubStatus.WITHHELD)
        self._is_shown(engine, "b/1")
        assert [item.uri for item in engine.chain("b", WIRE)] == ["b"]
        change(engine, "b", pubstatus=PubStatus.CANCELED)
        self._is_shown(engine)
        assert engine.chain("b", WIRE) == ()

    @pytest.mark.parametrize("status", [PubStatus.CANCELED, PubStatus.WITHHELD])
    def test_a_kill_covers_every_version_at_once(self, engine: Engine, status: PubStatus) -> None:
        self.stories(engine, make_item("a", 1, body="zebra"), make_item("a", 2, body="zebra"))
        found = engine.retrieve(lexical(Word("zebra")))
        assert len(found.ids) == 1
        change(engine, "a", pubstatus=status)
        assert len(engine.visible(found.ids, WIRE)) == 0
        assert engine.items(found.ids, WIRE) == (None,)
        gone = engine.retrieve(lexical(Word("zebra")))
        assert len(gone.ids) == gone.lexical_matches == 0
        self._is_shown(engine)
        assert engine.chain("a", WIRE) == ()
        change(engine, "a", pubstatus=PubStatus.USABLE)
        self._is_shown(engine, "a/2")

    def test_an_embargo_leaves_the_predecessor_until_it_lifts(
        self, engine: Engine, clock: SetClock
    ) -> None:
        self.stories(engine, make_item("a", 1, body="zebra"))
        write(engine, make_item("a", 2, body="zebra", embargoed=NOW + HOUR))
        self._is_shown(engine, "a/1")
        assert [item.version for item in engine.chain("a", WIRE)] == [1]
        clock.advance(HOUR - timedelta(microseconds=1))
        self._is_shown(engine, "a/1")
        clock.advance(timedelta(microseconds=1))
        self._is_shown(engine, "a/2")

    def test_an_embargo_that_is_set_later(self, engine: Engine, clock: SetClock) -> None:
        self.stories(engine, make_item("a", 1, body="zebra"), make_item("a", 2, body="zebra"))
        change(engine, "a", embargoed=NOW + 2 * HOUR)
        self._is_shown(engine, "a/1")
        change(engine, "a", embargoed=NOW + HOUR)
        clock.advance(HOUR)
        self._is_shown(engine, "a/2")
        change(engine, "a", embargoed=NOW + 9 * HOUR)
        self._is_shown(engine, "a/1")
        change(engine, "a", lift_embargo=True)
        self._is_shown(engine, "a/2")

    def test_an_item_expires(self, engine: Engine, clock: SetClock) -> None:
        self.stories(
            engine,
            make_item("a", chain="s", body="zebra"),
            make_item("b", chain="s", body="zebra", versioncreated=NOW, expires=NOW + HOUR),
        )
        self._is_shown(engine, "b/1")
        clock.advance(HOUR)
        self._is_shown(engine, "a/1")

    def test_a_newer_version_may_go_to_another_story(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("a", 1, chain="one", body="zebra", versioncreated=NOW - 9 * HOUR),
            make_item("b", 1, chain="one", body="zebra", versioncreated=NOW - 5 * HOUR),
        )
        self._is_shown(engine, "b/1")
        write(engine, make_item("b", 2, chain="two", body="zebra"))
        self._is_shown(engine, "a/1", "b/2")
        assert [item.version for item in engine.chain("b", WIRE)] == [2, 1]
        found = engine.retrieve(lexical(EVERYTHING))
        sizes = dict(
            zip(versions(engine, found, WIRE), engine.chain_sizes(found.ids, WIRE), strict=True)
        )
        assert sizes == {("a", 1): 1, ("b", 2): 2}
        write(engine, make_item("c", 1, chain="one", body="zebra", versioncreated=NOW))
        self._is_shown(engine, "c/1", "b/2")
        change(engine, "c", pubstatus=PubStatus.CANCELED)
        self._is_shown(engine, "a/1", "b/2")

    def test_an_embargoed_move_counts_for_the_story_it_goes_to(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("a", 1, chain="one", body="zebra"),
            make_item("b", 1, chain="one", body="zebra"),
            make_item("b", 2, chain="two", body="zebra", embargoed=NOW + HOUR),
        )
        self._is_shown(engine, "a/1", "b/1")

    # --- facets

    def test_facets_are_ranked_and_cut(self, engine: Engine) -> None:
        names = ("Rome", "Oslo", "Rome", "Bern", "Oslo", "Rome")
        self.stories(
            engine,
            *(
                make_item(f"{n}", place=(Concept(name), Concept(name.upper())))
                for n, name in enumerate(names)
            ),
        )
        found = engine.retrieve(lexical(EVERYTHING)).ids
        counts = engine.facets(found, ["place"], 2)["place"]
        assert [(entry.value, entry.count) for entry in counts] == [("Rome", 3), ("Oslo", 2)]
        assert engine.facets(found[:0], ["place", "type"], 9) == {"place": (), "type": ()}

    def test_months(self, engine: Engine) -> None:
        moments = ("2024-03-01", "2024-02-29T23:59:59", "2024-03-31T23:00", "1969-12-31")
        days = [datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in moments]
        self.stories(engine, *(make_item(f"{n}", versioncreated=day) for n, day in enumerate(days)))
        found = engine.retrieve(lexical(EVERYTHING)).ids
        counts = engine.facets(found, ["versioncreated"], 9)["versioncreated"]
        assert [(entry.value, entry.count) for entry in counts] == [
            ("2024-03", 2),
            ("2024-02", 1),
            ("1969-12", 1),
        ]

    def test_a_facet_that_there_is_not(self, engine: Engine) -> None:
        with pytest.raises(QueryError, match="mood"):
            engine.facets(np.zeros(0, np.int64), ["mood"], 9)

    # --- texts of every kind

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("", ""),
            (" \n\t", ""),
            ("zebra " * 170_000, "zebra"),
            ("x" * 1_000_000 + " zebra", "zebra"),
            ("null\x00zebra\x00 \x1b[31m \x7f", "zebra"),
            ("القمة تبدأ اليوم في القاهرة", "القاهرة"),
            ("\u202eשלום עולם\u202c", "עולם"),
            ("👩‍🚀 zebra🦓 🌍🌍", "zebra"),
            ("e\u0301clair zebra", "zebra"),
            ("\ufeffzebra\u2028\u2029\ud7ff\ue000\uffff", "zebra"),
            ("x'); DROP TABLE items;-- zebra", "drop"),
        ],
        ids=lambda text: repr(text[:20]),
    )
    def test_a_text_is_kept_and_found(self, engine: Engine, text: str, word: str) -> None:
        item = make_item(
            "a",
            headline=text,
            body=text,
            description=text,
            byline=text,
            person=(Concept(text[:1000]),),
            source={"text": text},
        )
        self.stories(engine, item, make_item("b", body="other"))
        assert engine.item("a", WIRE) == item
        if word:
            assert uris(engine, Word(word)) == {"a"}
            assert uris(engine, Word(word, "headline")) == {"a"}
        assert ask(engine, nearest(vector_of("a/1")))[0] == ("a", 1)

    @PROPERTY
    @given(st.lists(st.text(max_size=80), min_size=1, max_size=4), st.sampled_from(model.LANGUAGES))
    def test_any_text_at_all(self, texts: list[str], language: str) -> None:
        """What was written is read back, and asking for it raises nothing."""
        folder = new_folder()
        engine = self.open(folder, SetClock())
        try:
            items = [
                make_item(f"{n}", language=language, headline=text, slugline=text)
                for n, text in enumerate(texts)
            ]
            self.stories(engine, *items)
            for item in items:
                assert engine.item(item.uri, WIRE) == item
                for node in (Word(item.headline), Phrase(item.headline), Prefix(item.headline)):
                    engine.retrieve(lexical(node))
                    engine.retrieve(nearest(unit(1), query=Bool(must=(node,))))
        finally:
            engine.close()
            shutil.rmtree(folder)

    def test_half_a_character_is_refused_with_its_batch(self, engine: Engine) -> None:
        batch = [PutItem(make_item("good")), PutItem(make_item("bad", headline="\ud800"))]
        with pytest.raises(DatelineError):
            engine.put(batch)
        assert engine.item("good", WIRE) is None
        assert engine.put(batch[:1])[0].outcome is Outcome.CREATED

    # --- time

    def test_what_is_acknowledged_is_found(self, folder: Path, clock: SetClock) -> None:
        """By vector at once, by words within a second; taken away at once."""
        engine = self.open_live(folder, clock)
        try:
            for n in range(5):
                uri, word = f"urn:{n}", f"word{n}x"
                write(engine, make_item(uri, body=word))
                acknowledged = time.monotonic()
                assert ask(engine, nearest(vector_of(f"{uri}/1"), depth=1)) == [(uri, 1)]
                while uris(engine, Word(word)) != {uri}:
                    assert time.monotonic() - acknowledged < 1.0, "not found within a second"
                    time.sleep(0.01)
                change(engine, uri, pubstatus=PubStatus.CANCELED)
                assert uris(engine, Word(word)) == set()
                assert (uri, 1) not in ask(engine, nearest(vector_of(f"{uri}/1")))
        finally:
            engine.close()

    def test_ids_increase_and_stay(self, engine: Engine) -> None:
        seen: list[int] = []
        for uri in "abc":
            write(engine, make_item(uri), vector_of(uri))
            seen += engine.retrieve(nearest(vector_of(uri), depth=1)).ids.tolist()
        assert seen == sorted(set(seen))
        change(engine, "b", pubstatus=PubStatus.CANCELED)
        again = engine.retrieve(nearest(unit(1))).ids.tolist()
        assert sorted(again) == [seen[0], seen[2]]

    def test_the_whole_record_can_be_read(self, engine: Engine) -> None:
        if not hasattr(engine, "all_items"):
            pytest.fail("an engine exports its record: core.ports.Exporter")
        written = [make_item("a", 1), make_item("b", 1, products=()), make_item("a", 2)]
        self.stories(engine, *written)
        change(engine, "b", pubstatus=PubStatus.CANCELED)
        killed = replace(written[1], pubstatus=PubStatus.CANCELED)
        assert list(engine.all_items()) == [written[0], killed, written[2]]


__all__ = ["ENCODER", "EngineConformance"]
