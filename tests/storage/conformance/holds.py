"""What every storage engine promises of kills that come before what they kill; part of
`EngineConformance`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from core.callers import OPERATOR, Caller
from core.items import PubStatus
from core.ports.engine import Engine
from core.query_tree import Word
from core.writes import Outcome, PutItem, SetStatus, Written
from tests.storage.conformance.engine_under_test import EngineUnderTest
from tests.storage.world import (
    HOUR,
    NOW,
    WIRE,
    SetClock,
    change,
    make_item,
    unit,
    uris,
    vectors,
    write,
)

WIRES = Caller("wires", frozenset({"wire"}), frozenset({"wire"}))
SPORT = Caller("sport", frozenset({"sport"}), frozenset({"sport"}))
BOTH = Caller("both", frozenset(), frozenset({"sport", "Wire"}))


def put(engine: Engine, uri: str, version: int = 1, **members: object) -> Written:
    (written,) = engine.put([PutItem(make_item(uri, version, **members))])
    return written


class HoldConformance(EngineUnderTest):
    """An explicit change of status binds what comes after it, until another one releases it."""

    @pytest.mark.parametrize("status", [PubStatus.CANCELED, PubStatus.WITHHELD])
    def test_a_version_that_was_overtaken_stays_hidden(
        self, engine: Engine, status: PubStatus
    ) -> None:
        self.stories(engine, make_item("a", 1, body="zebra"))
        change(engine, "a", pubstatus=status)
        written = put(engine, "a", 2, body="zebra")
        assert (written.outcome, written.held) == (Outcome.SUPERSEDED, str(status))
        put(engine, "a", 3, body="zebra")
        self.settle(engine)
        assert uris(engine, Word("zebra")) == set()
        assert engine.chain("a", WIRE) == ()
        assert change(engine, "a", pubstatus=PubStatus.USABLE) is Outcome.UPDATED
        assert put(engine, "a", 4).held == ""
        found = engine.item("a", WIRE)
        assert found is not None
        assert found.version == 4

    def test_an_embargo_holds_later_versions(self, engine: Engine, clock: SetClock) -> None:
        write(engine, make_item("a", 1))
        change(engine, "a", embargoed=NOW + 2 * HOUR)
        assert put(engine, "a", 2).held == "embargoed"
        put(engine, "a", 3, embargoed=NOW + 4 * HOUR)
        assert engine.item("a", WIRE) is None
        clock.advance(3 * HOUR)
        found = engine.item("a", WIRE)
        assert found is not None
        assert found.version == 2

    def test_a_lifted_embargo_leaves_a_kill(self, engine: Engine) -> None:
        write(engine, make_item("a"))
        change(engine, "a", pubstatus=PubStatus.CANCELED, embargoed=NOW + HOUR)
        change(engine, "a", lift_embargo=True)
        assert put(engine, "a", 2).held == "canceled"
        change(engine, "a", pubstatus=PubStatus.USABLE)
        assert engine.item("a", WIRE) is not None

    def test_what_is_killed_before_it_comes(self, engine: Engine) -> None:
        (told,) = engine.set_status([SetStatus("a", PubStatus.CANCELED)])
        assert (told.outcome, told.version) == (Outcome.HELD, 0)
        assert put(engine, "a").held == "canceled"
        assert engine.item("a", WIRE) is None
        assert change(engine, "a", pubstatus=PubStatus.USABLE) is Outcome.UPDATED
        assert engine.item("a", WIRE) is not None

    def test_a_release_before_it_comes(self, engine: Engine) -> None:
        assert change(engine, "a", pubstatus=PubStatus.USABLE) is Outcome.MISSING
        assert change(engine, "a", pubstatus=PubStatus.CANCELED) is Outcome.HELD
        assert change(engine, "a", embargoed=NOW + HOUR) is Outcome.HELD
        assert change(engine, "a", lift_embargo=True) is Outcome.HELD
        assert change(engine, "a", pubstatus=PubStatus.USABLE) is Outcome.RELEASED
        assert change(engine, "a", pubstatus=PubStatus.USABLE) is Outcome.MISSING
        assert put(engine, "a").held == ""

    def test_a_document_that_kills_holds_and_one_that_withholds_does_not(
        self, engine: Engine
    ) -> None:
        put(engine, "killed", pubstatus=PubStatus.CANCELED)
        put(engine, "early", pubstatus=PubStatus.WITHHELD)
        assert put(engine, "killed", 2).held == "canceled"
        assert put(engine, "early", 2).held == ""
        assert engine.item("killed", WIRE) is None
        assert engine.item("early", WIRE) is not None

    def test_products_that_come_later_bring_nothing_back(self, engine: Engine) -> None:
        write(engine, make_item("a"))
        change(engine, "a", pubstatus=PubStatus.CANCELED)
        assert put(engine, "a", products=("wire", "sport")).outcome is Outcome.UPDATED
        put(engine, "a", 2, products=("sport",))
        assert engine.item("a", Caller("all", frozenset({"wire", "sport"}))) is None

    def test_holds_outlive_the_process(self, folder: Path, clock: SetClock) -> None:
        engine = self.open(folder, clock)
        change(engine, "a", pubstatus=PubStatus.CANCELED)
        engine.close()
        engine = self.open(folder, clock)
        try:
            assert put(engine, "a").held == "canceled"
        finally:
            engine.close()

    def test_one_batch_is_held_from_its_first_write_on(self, engine: Engine) -> None:
        change(engine, "a", pubstatus=PubStatus.CANCELED)
        batch = [PutItem(make_item("a", n), (vectors(unit(1)),)) for n in (1, 2, 3)]
        assert [written.held for written in engine.put(batch)] == ["canceled"] * 3
        assert engine.item("a", WIRE) is None

    # Whose kills bind what

    def test_an_unknown_kill_binds_what_the_killer_may_write(self, engine: Engine) -> None:
        for uri in ("theirs", "mine", "shared"):
            assert change(engine, uri, by=SPORT, pubstatus=PubStatus.CANCELED) is Outcome.HELD
        assert put(engine, "theirs").held == ""
        assert put(engine, "mine", products=("SPORT",)).held == "canceled"
        assert put(engine, "shared", products=("wire", "sport")).held == "canceled"
        assert put(engine, "none", products=()).held == ""

    def test_once_bound_it_is_everyones(self, engine: Engine) -> None:
        """The item may lose the product by which it was killed: who writes it releases it."""
        change(engine, "a", by=SPORT, pubstatus=PubStatus.CANCELED)
        put(engine, "a", products=("wire", "sport"))
        assert put(engine, "a", 2).held == "canceled"
        assert change(engine, "a", by=SPORT, pubstatus=PubStatus.USABLE) is Outcome.MISSING
        assert put(engine, "a", 3).held == "canceled"
        assert change(engine, "a", by=WIRES, pubstatus=PubStatus.USABLE) is Outcome.UPDATED
        assert put(engine, "a", 4).held == ""

    def test_it_binds_where_the_product_comes_later(self, engine: Engine) -> None:
        put(engine, "a")
        assert change(engine, "a", by=SPORT, pubstatus=PubStatus.CANCELED) is Outcome.HELD
        assert engine.item("a", WIRE) is not None
        assert put(engine, "a", products=("wire", "sport")).held == "canceled"
        assert engine.item("a", WIRE) is None

    def test_nobody_releases_a_hold_of_others(self, engine: Engine) -> None:
        change(engine, "a", by=SPORT, pubstatus=PubStatus.CANCELED)
        assert change(engine, "a", by=WIRES, pubstatus=PubStatus.USABLE) is Outcome.MISSING
        change(engine, "b", by=OPERATOR, pubstatus=PubStatus.CANCELED)
        assert change(engine, "b", by=WIRES, pubstatus=PubStatus.USABLE) is Outcome.MISSING
        assert put(engine, "a", products=("sport",)).held == "canceled"
        assert put(engine, "b").held == "canceled"

    def test_who_writes_more_releases_what_is_his(self, engine: Engine) -> None:
        change(engine, "a", by=BOTH, pubstatus=PubStatus.CANCELED)
        assert change(engine, "a", by=WIRES, pubstatus=PubStatus.USABLE) is Outcome.RELEASED
        assert put(engine, "a").held == ""
        assert put(engine, "a", 2, products=("sport",)).held == "canceled"
        change(engine, "a", by=BOTH, pubstatus=PubStatus.USABLE)
        assert put(engine, "a", 3).held == ""
