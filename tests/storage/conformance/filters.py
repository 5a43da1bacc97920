"""What every storage engine promises of filters and dates; part of `EngineConformance`."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.callers import Caller
from core.items import Concept, Item, PubStatus
from core.ports.engine import Engine
from core.query_tree import ARRIVED, EVERYTHING, Bool, DateRange, Keyword, Node, Word
from core.retrieval import Browse, FacetRequest, SortOrder
from core.writes import PutItem
from tests.conftest import new_folder
from tests.storage import model
from tests.storage.conformance.engine_under_test import PROPERTY, EngineUnderTest
from tests.storage.world import (
    ALL,
    HOUR,
    NOW,
    WIRE,
    SetClock,
    ask,
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


class FilterConformance(EngineUnderTest):
    """Keywords and dates, alone and as a property."""

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

    def test_arrival_is_when_a_version_was_recorded(self, engine: Engine, clock: SetClock) -> None:
        tick = timedelta(microseconds=1)
        assert uris(engine, DateRange(ARRIVED, None, NOW + HOUR)) == set()
        for number in range(9):  # backdated, and three at each time
            made = NOW - number * 48 * HOUR
            write(engine, make_item(f"{number}", versioncreated=made, body="zebra"))
            if number % 3 == 2:
                change(engine, "1", pubstatus=PubStatus.USABLE)  # a change that records nothing
                clock.advance(HOUR)
        self.settle(engine)
        every = {f"{number}" for number in range(9)}
        for query in (Word("zebra"), EVERYTHING):

            def found(since: datetime | None, until: datetime | None) -> set[str]:
                arrived = DateRange(ARRIVED, since, until)
                narrowed = Bool(must=(query, arrived))  # noqa: B023 - called in this turn only
                as_query = uris(engine, narrowed)
                as_filter = uris(engine, query, filters=arrived)  # noqa: B023
                others = uris(engine, Bool(must=(query,), must_not=(arrived,)))  # noqa: B023
                assert as_query == as_filter == every - others
                return as_query

            assert found(None, None) == found(NOW - HOUR, None) == found(NOW, None) == every
            assert found(NOW + tick, None) == {"3", "4", "5", "6", "7", "8"}
            assert found(NOW + HOUR, NOW + 2 * HOUR) == {"3", "4", "5"}
            assert found(None, NOW + HOUR) == {"0", "1", "2"}
            assert found(NOW + 3 * HOUR, None) == found(None, NOW) == set()
        late = DateRange(ARRIVED, NOW + HOUR, None)
        number = engine.standing("4").id
        assert engine.satisfies(number, [late, Bool(must_not=(late,))]) == (True, False)
        assert len(engine.shown(["0", "4"], WIRE, late)) == 1
        pages = engine.browse(Browse(lexical(late), 2, facets=FacetRequest(("type",))))
        assert (pages.matches, pages.more) == (6, True)

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
