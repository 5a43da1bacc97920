"""What every storage engine promises about single items by uri, their dates, and its own words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.callers import NOBODY, Caller
from core.items import Concept, PubStatus
from core.ports.engine import Clock, Engine
from core.query_tree import ARRIVED, EVERYTHING, Bool, DateRange, Keyword, Node, Phrase, Word
from core.standing import Hiding, SeenWord, Sight
from tests.storage.world import HOUR, NOW, WIRE, SetClock, change, make_item, write

PHOTOS = Caller("photos", frozenset({"photos"}))


class StandingConformance(ABC):
    """Give it an engine: `open` in an empty folder, `settle` until words are found."""

    @abstractmethod
    def open(self, folder: Path, clock: Clock) -> Engine: ...

    @abstractmethod
    def settle(self, engine: Engine) -> None: ...

    @pytest.fixture
    def clock(self) -> SetClock:
        return SetClock()

    def test_sights_are_what_the_caller_gets_by_uri(self, folder: Path, clock: SetClock) -> None:
        """In one look the same as one by one, and apart from that which uris are recorded."""
        engine = self.open(folder, clock)
        earlier = NOW - 2 * HOUR
        for item in (
            make_item("shown", 1),
            make_item("first", chain="s", versioncreated=earlier),
            make_item("second", chain="s"),
            make_item("photo", chain="t", versioncreated=earlier, products=("photos",)),
            make_item("text", chain="t"),
            make_item("theirs", products=("photos",)),
            make_item("nobodys", products=()),
            make_item("killed", pubstatus=PubStatus.CANCELED),
            make_item("held", pubstatus=PubStatus.WITHHELD),
            make_item("later", embargoed=NOW + HOUR),
            make_item("over", expires=NOW - HOUR),
            make_item("shown", 2, headline="corrected"),
            make_item("held", 2, embargoed=NOW + HOUR),
        ):
            write(engine, item)
        recorded = {"shown", "first", "second", "photo", "text", "theirs", "nobodys"}
        recorded |= {"killed", "held", "later", "over"}
        for caller in (WIRE, PHOTOS, NOBODY):
            sights = engine.sights(dict.fromkeys({*recorded, "unknown", ""}, ()), caller)
            assert set(sights) == recorded
            for uri, sight in sights.items():
                assert sight.item == engine.item(uri, caller)
                assert sight.in_chain == bool(engine.chain(uri, caller))
        clock.now += 2 * HOUR
        assert engine.sights({"later": ()}, WIRE)["later"].in_chain
        change(engine, "shown", pubstatus=PubStatus.CANCELED)
        assert engine.sights({"shown": ()}, WIRE) == {"shown": Sight()}
        assert engine.sights({}, WIRE) == {}
        engine.close()

    def test_what_is_killed_before_it_is_recorded_is_seen_by_nobody(
        self, folder: Path, clock: SetClock
    ) -> None:
        """By who may write what it would be: for others it is a uri as any that is unknown."""
        engine = self.open(folder, clock)
        writer = Caller("photo desk", frozenset({"photos"}), writes=frozenset({"photos"}))
        named = dict.fromkeys(("killed", "held", "free"), ("Photos", "wire"))
        for uri, members in (
            ("killed", {"pubstatus": PubStatus.CANCELED}),
            ("held", {"embargoed": NOW + HOUR}),
            ("free", {"pubstatus": PubStatus.WITHHELD}),
            ("free", {"pubstatus": PubStatus.USABLE}),
        ):
            change(engine, uri, writer, **members)
        assert engine.sights(named, WIRE) == {"killed": Sight(), "held": Sight()}
        assert engine.sights(dict.fromkeys(named, ("wire",)), WIRE) == {}
        clock.now += 2 * HOUR
        assert engine.sights(named, WIRE) == {"killed": Sight()}
        change(engine, "killed", writer, pubstatus=PubStatus.USABLE)
        assert engine.sights(named, WIRE) == {}
        engine.close()

    @pytest.mark.parametrize(
        ("members", "hiding"),
        [
            ({}, Hiding.NOTHING),
            ({"pubstatus": PubStatus.CANCELED}, Hiding.CANCELED),
            ({"pubstatus": PubStatus.WITHHELD}, Hiding.WITHHELD),
            ({"embargoed": NOW + HOUR}, Hiding.EMBARGOED),
            ({"embargoed": NOW - HOUR}, Hiding.NOTHING),
            ({"expires": NOW - HOUR}, Hiding.EXPIRED),
            ({"expires": NOW + HOUR}, Hiding.NOTHING),
        ],
    )
    def test_what_hides_an_item(
        self, folder: Path, clock: SetClock, members: dict[str, Any], hiding: Hiding
    ) -> None:
        engine = self.open(folder, clock)
        write(engine, make_item("a", **members))
        standing = engine.standing("a")
        assert standing.hiding is hiding
        assert (standing.id >= 0) == (hiding is Hiding.NOTHING)
        if hiding in (Hiding.EMBARGOED, Hiding.EXPIRED):
            assert standing.moment in (NOW + HOUR, NOW - HOUR)
        assert engine.standing("b").hiding is Hiding.UNKNOWN
        engine.close()

    def test_an_embargoed_version_leaves_its_predecessor(
        self, folder: Path, clock: SetClock
    ) -> None:
        engine = self.open(folder, clock)
        write(engine, make_item("a"))
        first = engine.standing("a")
        write(engine, make_item("a", 2, embargoed=NOW + HOUR))
        assert engine.standing("a") == first
        clock.advance(timedelta(hours=2))
        assert engine.standing("a").id > first.id
        engine.close()

    def test_an_older_item_of_a_story_names_the_head(self, folder: Path, clock: SetClock) -> None:
        engine = self.open(folder, clock)
        write(engine, make_item("a", chain="story"))
        write(engine, make_item("b", chain="story", versioncreated=NOW - HOUR))
        assert engine.standing("a").hiding is Hiding.SUPERSEDED
        assert engine.standing("a").head == "b"
        assert engine.standing("b").hiding is Hiding.NOTHING
        change(engine, "b", pubstatus=PubStatus.CANCELED)
        assert engine.standing("a").hiding is Hiding.NOTHING
        engine.close()

    def test_shown_keeps_the_order_and_what_the_caller_may_see(
        self, folder: Path, clock: SetClock
    ) -> None:
        engine = self.open(folder, clock)
        write(engine, make_item("a", place=(Concept("Oslo"),)))
        write(engine, make_item("b"))
        write(engine, make_item("photo", products=("photos",)))
        asked = ["photo", "b", "none", "a"]
        own = [engine.standing(uri).id for uri in ("b", "a")]
        assert engine.shown(asked, WIRE, EVERYTHING).tolist() == own
        assert engine.shown(asked, WIRE, Keyword("place", ("oslo",))).tolist() == own[1:]
        assert engine.shown(asked, PHOTOS, EVERYTHING).tolist() == [engine.standing("photo").id]
        assert engine.shown(asked, NOBODY, EVERYTHING).tolist() == []
        assert engine.shown([], WIRE, EVERYTHING).tolist() == []
        engine.close()

    def test_what_an_item_satisfies(self, folder: Path, clock: SetClock) -> None:
        engine = self.open(folder, clock)
        write(engine, make_item("a", headline="Ferry aground", place=(Concept("Oslo"),)))
        write(engine, make_item("b", headline="Storm warning"))
        self.settle(engine)
        nodes = (
            Word("ferry"),
            Word("storm"),
            Phrase("ferry aground"),
            Phrase("aground ferry"),
            Keyword("place", ("oslo",)),
            Bool(must=(Word("ferry"), Keyword("place", ("rome",)))),
            Bool(must_not=(Word("storm"),)),
            EVERYTHING,
        )
        found = engine.satisfies(engine.standing("a").id, nodes)
        assert found == (True, False, True, False, True, False, True, True)
        engine.close()

    def test_items_that_have_a_fact(self, folder: Path, clock: SetClock) -> None:
        engine = self.open(folder, clock)
        for hours, uri in enumerate("abcd"):
            made = NOW - hours * HOUR
            write(engine, make_item(uri, slugline="Storm-Oslo", versioncreated=made))
        write(engine, make_item("other", slugline="Storm-Oslo-2"))
        write(engine, make_item("photo", slugline="Storm-Oslo", products=("photos",)))
        self.settle(engine)
        facts = Keyword("id", ("uri:nowhere", "slugline:storm-OSLO"))
        both = Bool(should=(facts, Keyword("source", ("x",))))

        def having(caller: Caller, filters: Node = EVERYTHING, most: int = 9) -> list[str]:
            ids = engine.having(both, caller, filters, most)
            return [item.uri for item in engine.items(ids, caller) if item]

        assert having(WIRE) == ["a", "b", "c", "d"]
        assert having(WIRE, most=2) == ["a", "b"]
        assert having(PHOTOS) == ["photo"]
        assert having(NOBODY) == []
        assert having(WIRE, Keyword("id", ("uri:c",))) == ["c"]
        assert having(WIRE, DateRange(ARRIVED, NOW, None)) == ["a", "b", "c", "d"]
        assert having(WIRE, DateRange(ARRIVED, None, NOW)) == []
        change(engine, "a", pubstatus=PubStatus.CANCELED)
        assert having(WIRE, most=2) == ["b", "c"]
        engine.close()

    def test_when_candidates_were_created(self, folder: Path, clock: SetClock) -> None:
        engine = self.open(folder, clock)
        write(engine, make_item("a", versioncreated=NOW))
        write(engine, make_item("b", versioncreated=NOW - HOUR))
        ids = np.array([engine.standing(uri).id for uri in ("b", "a")], np.int64)
        hour = 3_600_000_000
        assert np.diff(engine.created(ids)).tolist() == [hour]
        assert int(engine.created(ids)[1]) == int(NOW.timestamp()) * 1_000_000
        engine.close()

    def test_the_languages_of_candidates(self, folder: Path, clock: SetClock) -> None:
        engine = self.open(folder, clock)
        ids = np.zeros(0, np.int64)
        assert list(engine.languages_of(ids)) == []
        for uri, tag in (("a", "es-MX"), ("b", ""), ("c", "DE"), ("d", "es")):
            write(engine, make_item(uri, language=tag))
        ids = np.array([engine.standing(uri).id for uri in "dcba"], np.int64)
        assert list(engine.languages_of(ids)) == ["es", "de", "", "es"]
        engine.close()

    def test_words_are_counted_as_the_caller_sees_them(self, folder: Path, clock: SetClock) -> None:
        engine = self.open(folder, clock)
        for number in range(5):
            write(engine, make_item(f"w-{number}", headline="ferries"))
        write(engine, make_item("photo", headline="ferry", products=("photos",)))
        self.settle(engine)
        assert engine.seen_counts(["ferry", "storm"], 9, WIRE) == (5, 0)
        assert engine.seen_counts(["ferry"], 9, PHOTOS) == (1,)
        assert engine.seen_counts(["ferry"], 2, WIRE)[0] > 2
        assert engine.seen_counts(["the"], 9, NOBODY)[0] > 9  # a stop word is known to all
        change(engine, "w-0", pubstatus=PubStatus.CANCELED)
        assert engine.seen_counts(["ferry"], 9, WIRE) == (4,)
        engine.close()

    def test_similar_words_are_of_visible_items(self, folder: Path, clock: SetClock) -> None:
        engine = self.open(folder, clock)
        write(engine, make_item("a", headline="Election", body="The election."))
        write(engine, make_item("b", headline="Erection of a tower", products=("photos",)))
        self.settle(engine)
        assert engine.similar_words([("eletion", 1)], WIRE) == ((SeenWord("Election", 1, 1),),)
        assert engine.similar_words([("elections", 1)], NOBODY) == ((),)
        assert engine.similar_words([("erectio", 1)], WIRE) == ((),)
        assert engine.similar_words([("x", 1)], WIRE) == ((),)
        change(engine, "a", pubstatus=PubStatus.WITHHELD)
        assert engine.similar_words([("eletion", 1)], WIRE) == ((),)
        engine.close()

    def test_near_words_are_in_the_order_of_what_the_caller_sees(
        self, folder: Path, clock: SetClock
    ) -> None:
        engine = self.open(folder, clock)
        for number in range(5):
            write(engine, make_item(f"photo-{number}", headline="Ferry", products=("photos",)))
        write(engine, make_item("a", headline="Ferry"))
        write(engine, make_item("b", headline="Forty"))
        write(engine, make_item("c", headline="Forty"))
        self.settle(engine)
        ((first, second),) = engine.similar_words([("ferty", 1)], WIRE)
        assert (first, second) == (SeenWord("Forty", 2, 1), SeenWord("Ferry", 1, 1))
        engine.close()

    def test_words_of_killed_items_alone_are_in_none(self, folder: Path, clock: SetClock) -> None:
        """An index may count what is deleted in it until a segment is merged."""
        engine = self.open(folder, clock)
        for number in range(5):
            write(engine, make_item(f"w-{number}", headline="quixotic"))
        write(engine, make_item("other", headline="storm"))
        self.settle(engine)
        for number in range(5):
            change(engine, f"w-{number}", pubstatus=PubStatus.CANCELED)
        self.settle(engine)
        assert engine.seen_counts(["quixotic"], 3, WIRE) == (0,)
        engine.close()
