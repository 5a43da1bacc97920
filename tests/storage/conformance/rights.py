"""What every storage engine promises of writers who may write some products only; part of
`EngineConformance`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.callers import EVERY_PRODUCT, NOBODY, Caller
from core.items import Item, PubStatus
from core.ports.engine import Engine
from core.writes import Outcome, PutItem, SetStatus
from tests.storage.conformance.engine_under_test import EngineUnderTest
from tests.storage.world import HOUR, NOW, WIRE, change, make_item, write

WIRES = Caller("wires", frozenset({"wire"}), frozenset({"WIRE"}))
SPORT = Caller("sport", frozenset({"sport"}), frozenset({"sport"}))
BOTH = Caller("both", frozenset(), frozenset({"wire", "sport"}))
DESK = Caller("desk", frozenset(), EVERY_PRODUCT)
TOUCHES = [
    {"pubstatus": PubStatus.CANCELED},
    {"pubstatus": PubStatus.WITHHELD},
    {"embargoed": NOW + HOUR},
    {"pubstatus": PubStatus.USABLE},
    {"lift_embargo": True},
]


def sport(uri: str, version: int = 1, **members: object) -> Item:
    return make_item(uri, version, **{"products": ("sport",), **members})


class RightConformance(EngineUnderTest):
    """A put needs all products of the item, a kill one of them, a story those of its items."""

    def test_a_put_needs_the_products_after_it(self, engine: Engine) -> None:
        assert write(engine, make_item("a"), by=WIRES) is Outcome.CREATED
        for products in (("sport",), ("wire", "sport"), (), ("",)):
            for uri in ("a", "new"):
                item = make_item(uri, 2, products=products)
                assert write(engine, item, by=WIRES) is Outcome.FORBIDDEN
                assert engine.unknown([item], WIRES) == (False,)
        assert write(engine, make_item("a", 2, products=("wire", "sport")), by=BOTH) is (
            Outcome.SUPERSEDED
        )
        assert write(engine, make_item("new", products=()), by=DESK) is Outcome.CREATED
        assert write(engine, make_item("other"), by=NOBODY) is Outcome.FORBIDDEN

    def test_a_put_needs_the_products_before_it(self, engine: Engine) -> None:
        write(engine, sport("a", 2))
        write(engine, make_item("b", 2, products=("wire", "sport")))
        write(engine, make_item("c", 2, products=()))
        for uri in "abc":
            for version in (1, 2, 3):  # stale, in conflict or newer: all the same
                item = make_item(uri, version)
                assert write(engine, item, by=WIRES) is Outcome.TAKEN
                assert engine.unknown([item], WIRES) == (False,)
        assert write(engine, make_item("b", 3), by=BOTH) is Outcome.SUPERSEDED
        assert write(engine, make_item("b", 4), by=WIRES) is Outcome.SUPERSEDED

    def test_a_refused_put_changes_nothing(self, engine: Engine) -> None:
        write(engine, sport("a"))
        batch = [make_item("a", 2), make_item("mine"), make_item("b", products=("sport",))]
        written = engine.put([PutItem(item) for item in batch], WIRES)
        assert [entry.outcome for entry in written] == [
            Outcome.TAKEN,
            Outcome.CREATED,
            Outcome.FORBIDDEN,
        ]
        assert [entry.change > 0 for entry in written] == [False, True, False]
        found = engine.item("a", SPORT)
        assert found is not None
        assert found.version == 1
        assert engine.item("b", SPORT) is None

    def test_products_are_taken_away_by_who_has_them(self, engine: Engine) -> None:
        write(engine, make_item("a", products=("wire", "sport")))
        assert write(engine, make_item("a"), by=WIRES) is Outcome.TAKEN
        assert write(engine, make_item("a"), by=BOTH) is Outcome.UPDATED
        assert write(engine, make_item("a", products=("wire", "sport")), by=BOTH) is Outcome.UPDATED

    @pytest.mark.parametrize("touch", TOUCHES)
    def test_a_status_change_needs_one_product_and_tells_nothing_else(
        self, engine: Engine, touch: dict[str, object]
    ) -> None:
        write(engine, sport("theirs"))
        write(engine, make_item("none", products=()))
        write(engine, make_item("shared", products=("wire", "sport")))
        told = [
            replace(engine.set_status([SetStatus(uri, **touch)], WIRES)[0], uri="")  # type: ignore[arg-type]
            for uri in ("nothing", "theirs", "none")
        ]
        assert told[0] == told[1] == told[2]
        assert told[0].outcome in (Outcome.HELD, Outcome.MISSING)
        found = engine.item("theirs", SPORT)
        assert found is not None
        assert (found.pubstatus, found.embargoed) == (PubStatus.USABLE, None)
        assert change(engine, "shared", by=WIRES, **touch) in (Outcome.UPDATED, Outcome.UNCHANGED)

    def test_a_story_is_joined_by_who_may_write_its_items(self, engine: Engine) -> None:
        write(engine, sport("lead", chain="story"))
        assert write(engine, make_item("mine", chain="story"), by=WIRES) is Outcome.TAKEN
        assert write(engine, make_item("mine", chain="story"), by=BOTH) is Outcome.CREATED
        assert [item.uri for item in engine.chain("lead", SPORT)] == []  # whoever may hides it

    def test_a_story_is_left_and_entered_by_who_may(self, engine: Engine) -> None:
        write(engine, sport("lead", chain="story"))
        write(engine, make_item("mine"), by=WIRES)
        moved = make_item("mine", 2, chain="story")
        assert write(engine, moved, by=WIRES) is Outcome.TAKEN
        assert write(engine, moved, by=BOTH) is Outcome.SUPERSEDED
        assert write(engine, make_item("mine", 3), by=WIRES) is Outcome.TAKEN  # it is their head
        assert write(engine, make_item("mine", 3, chain="story"), by=WIRES) is Outcome.SUPERSEDED
        assert write(engine, make_item("mine", 4), by=BOTH) is Outcome.SUPERSEDED
        assert write(engine, make_item("mine", 5, chain="new"), by=WIRES) is Outcome.SUPERSEDED

    def test_a_story_whose_items_have_left_is_free(self, engine: Engine) -> None:
        write(engine, sport("lead", chain="story"))
        write(engine, sport("lead", 2, chain="elsewhere"))
        assert write(engine, make_item("mine", chain="story"), by=WIRES) is Outcome.CREATED

    def test_a_killed_story_is_still_theirs(self, engine: Engine) -> None:
        write(engine, sport("lead", chain="story"))
        change(engine, "lead", pubstatus=PubStatus.CANCELED)
        assert write(engine, make_item("mine", chain="story"), by=WIRES) is Outcome.TAKEN
        assert engine.chain("lead", WIRE) == ()

    def test_reserved_uris_are_refused_whatever_is_there(self, engine: Engine) -> None:
        write(engine, sport("urn:sport:1"))
        write(engine, make_item("urn:sport:2"))
        kept_out = replace(WIRES, reserved=("urn:sport:", "urn:x:"))
        for item in (
            make_item("urn:sport:1"),
            make_item("urn:sport:2", 2),
            make_item("urn:sport:3"),
            make_item("mine", chain="urn:sport:1"),
            make_item("mine", chain="urn:sport:3"),
        ):
            assert write(engine, item, by=kept_out) is Outcome.RESERVED
        assert write(engine, make_item("urn:sport"), by=kept_out) is Outcome.CREATED
