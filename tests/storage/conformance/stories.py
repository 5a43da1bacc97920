"""What every storage engine promises of stories and kills; part of `EngineConformance`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.items import PubStatus
from core.ports.engine import Engine
from core.query_tree import EVERYTHING, Word
from tests.storage.conformance.engine_under_test import EngineUnderTest
from tests.storage.world import (
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
    versions,
    write,
)


class StoryConformance(EngineUnderTest):
    """Which version of a story is shown."""

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
