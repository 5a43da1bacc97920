"""What every storage engine promises of who may see what; part of `EngineConformance`."""

from __future__ import annotations

import numpy as np

from core.callers import EVERY_PRODUCT, NOBODY, Caller
from core.ports.engine import Engine
from core.query_tree import EVERYTHING, Bool, Word
from tests.storage.conformance.engine_under_test import EngineUnderTest
from tests.storage.world import NOW, WIRE, ask, lexical, make_item, nearest, unit, uris


class VisibilityConformance(EngineUnderTest):
    """What a caller's products show, on every surface."""

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
        self._sees_nothing(
            engine, Caller("desk", frozenset(), EVERY_PRODUCT, may_inspect=True), "a"
        )
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
