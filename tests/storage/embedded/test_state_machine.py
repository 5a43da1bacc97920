"""Random histories against a model in a few dicts: writes and kills by whoever may, kills of what
is not there yet, embargoes, time, restarts, merges and rebuilds, from two engines on one archive;
what each caller sees is compared after each step.

`make deep` plays 300 histories; STORAGE_SEQUENCES says how many.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.callers import NOBODY, OPERATOR, Caller
from core.items import Item, PubStatus
from core.query_tree import EVERYTHING, Keyword, Word
from core.writes import Outcome, PutItem, SetStatus
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.record import copies
from tests.conftest import new_folder
from tests.storage.hold_model import HoldModel, changed, has_one, put_refusal
from tests.storage.world import (
    ALL,
    HOUR,
    NOW,
    SetClock,
    Version,
    lexical,
    make_item,
    nearest,
    open_embedded,
    unit,
    vector_of,
    vectors,
    versions,
)

HISTORIES = int(os.environ.get("STORAGE_SEQUENCES", "20"))
CALLERS = (
    NOBODY,
    Caller("a", frozenset({"a"})),
    Caller("b", frozenset({"b"})),
    Caller("both", frozenset({"a", "b"})),
)
WRITERS = st.sampled_from(
    [
        *[OPERATOR] * 4,
        Caller("a", frozenset(), frozenset({"a"})),
        Caller("b", frozenset(), frozenset({"b"})),
        *[Caller("both", frozenset(), frozenset({"a", "b"}))] * 2,
    ]
)
WORDS = ("alpha", "beta")
URIS = st.sampled_from([f"urn:{n}" for n in range(4)])
HOURS = st.none() | st.sampled_from([-1, 1, 2])


@dataclass
class Entry:
    """A recorded version: the item as it was sent, its state now, and when it was written."""

    item: Item
    status: PubStatus
    embargoed: datetime | None
    has_vectors: bool
    order: int


class Model:
    """The rules of the record, said once more."""

    def __init__(self, clock: SetClock) -> None:
        self.clock = clock
        self.entries: dict[str, dict[int, Entry]] = {}
        self.holds = HoldModel()
        self.writes = 0

    def put(self, item: Item, has_vectors: bool, by: Caller = OPERATOR) -> Outcome:
        if refused := self._refusal(item, by):
            return refused
        recorded = self.entries.setdefault(item.uri, {})
        newest = max(recorded, default=0)
        if newest > item.version:
            return Outcome.STALE
        if newest == item.version:
            return self._again(recorded[newest], item, has_vectors)
        self.writes += 1
        own = (item.pubstatus, item.embargoed)
        state = self.holds.put(item.uri, item.products, own, new=True)
        recorded[item.version] = Entry(item, *state, has_vectors, self.writes)
        return Outcome.SUPERSEDED if newest else Outcome.CREATED

    def _refusal(self, item: Item, by: Caller) -> Outcome | None:
        newest = {uri: kept[max(kept)].item for uri, kept in self.entries.items() if kept}
        old = newest.get(item.uri)
        chains = {item.chain} if old is None else {item.chain, old.chain}
        if old is not None and old.chain == item.chain:
            chains = set()
        stories = [one.products for one in newest.values() if one.chain in chains]
        return put_refusal(by, item.products, old and old.products, stories)

    def _again(self, entry: Entry, item: Item, has_vectors: bool) -> Outcome:
        if replace(entry.item, products=()) != replace(item, products=()):
            return Outcome.CONFLICT
        if entry.item.products == item.products and (entry.has_vectors or not has_vectors):
            return Outcome.UNCHANGED
        self.writes += 1
        own = (entry.status, entry.embargoed)
        entry.status, entry.embargoed = self.holds.put(item.uri, item.products, own, new=False)
        entry.item, entry.order = item, self.writes
        entry.has_vectors = entry.has_vectors or has_vectors
        return Outcome.UPDATED

    def set_status(self, change: SetStatus, by: Caller = OPERATOR) -> Outcome:
        recorded = self.entries.get(change.uri)
        entry = recorded[max(recorded)] if recorded else None
        if entry is None or not has_one(by.writes, entry.item.products):
            return self.holds.change(change, by)
        self.holds.change(change, by, entry.item.products)
        before = (entry.status, entry.embargoed)
        entry.status, entry.embargoed = changed(change, before)
        return Outcome.UNCHANGED if before == (entry.status, entry.embargoed) else Outcome.UPDATED

    def _shown(self, uri: str) -> list[Entry]:
        """The item's visible version and those before it, newest first; empty where hidden."""
        now = self.clock.now
        rest = sorted(self.entries[uri].values(), key=lambda entry: -entry.item.version)
        while rest:
            newest, expires = rest[0], rest[0].item.expires
            if newest.status != "usable" or (expires and expires <= now):
                return []
            if newest.embargoed is None or newest.embargoed <= now:
                return [e for e in rest if e.status == "usable" and not self._waits(e)]
            rest.pop(0)
        return []

    def _waits(self, entry: Entry) -> bool:
        return entry.embargoed is not None and entry.embargoed > self.clock.now

    def stories(self) -> dict[str, list[Entry]]:
        """Chain to what its view shows, the head first, for each chain that has a head."""
        items: dict[str, list[list[Entry]]] = {}
        for uri, recorded in self.entries.items():
            if recorded and (shown := self._shown(uri)):
                items.setdefault(recorded[max(recorded)].item.chain, []).append(shown)
        found: dict[str, list[Entry]] = {}
        for chain, lists in items.items():
            head = max((shown[0] for shown in lists), key=_age)
            others = [e for shown in lists for e in shown if e is not head]
            found[chain] = [head, *sorted(others, key=_age, reverse=True)]
        return found

    def views(self, caller: Caller) -> list[list[Entry]]:
        """The stories that a caller sees, each as the caller sees it."""
        return [
            [entry for entry in story if caller.products & set(entry.item.products)]
            for story in self.stories().values()
            if caller.products & set(story[0].item.products)
        ]


def _age(entry: Entry) -> tuple[datetime, int]:
    return (entry.item.versioncreated, entry.order)


def name(entry: Entry) -> Version:
    return (entry.item.uri, entry.item.version)


@st.composite
def drawn_items(draw: st.DrawFn) -> tuple[Item, bool]:
    """A version of one of few items, and whether it has vectors."""
    embargo, expiry = (
        draw(st.sampled_from([*[None] * 3, -1, 1, 2])),
        draw(st.sampled_from([*[None] * 6, 2])),
    )
    created = NOW + draw(st.integers(0, 3)) * HOUR
    item = make_item(
        draw(URIS),
        draw(st.integers(1, 4)),
        versioncreated=created,
        chain=draw(st.sampled_from(["s", "t"])),
        pubstatus=draw(st.sampled_from([*[PubStatus.USABLE] * 8, *PubStatus])),
        embargoed=None if embargo is None else NOW + embargo * HOUR,
        expires=None if expiry is None else NOW + expiry * HOUR,
        body=draw(st.sampled_from(WORDS)),
        products=draw(st.sampled_from([("a",), ("b",), ("a", "b"), ()])),
        urgency=draw(st.sampled_from([None, 1])),
        source={"versioncreated": created.isoformat()},
    )
    return item, draw(st.sampled_from([True, True, True, False]))


class Archive(RuleBasedStateMachine):
    """`engines[0]` owns the projections; a second one, where it is open, follows."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = new_folder()
        self.clock = SetClock()
        self.model = Model(self.clock)
        self.engines: list[EmbeddedEngine] = []
        self.settled = False

    @initialize(several=st.booleans())
    def open(self, several: bool) -> None:
        self.engines = [open_embedded(self.folder, self.clock) for _ in range(1 + several)]
        held = [engine.projections.ownership.held for engine in self.engines]
        assert held == [True, False][: 1 + several]
        self.settled = False

    @rule(
        batch=st.lists(drawn_items(), min_size=1, max_size=3), which=st.integers(0, 1), by=WRITERS
    )
    def put(self, batch: list[tuple[Item, bool]], which: int, by: Caller = OPERATOR) -> None:
        expected = [self.model.put(item, has_vectors, by) for item, has_vectors in batch]
        writes = [
            PutItem(item, (vectors(unit(1), vector_of(item.uri)),) if has_vectors else ())
            for item, has_vectors in batch
        ]
        written = self.engines[which % len(self.engines)].put(writes, by)
        assert [entry.outcome for entry in written] == expected
        self.settled = False

    @rule(drawn=drawn_items(), which=st.integers(0, 1), by=WRITERS)
    def put_next(self, drawn: tuple[Item, bool], which: int, by: Caller = OPERATOR) -> None:
        """The version after the newest, which may go to another story."""
        item, has_vectors = drawn
        newest = max(self.model.entries.get(item.uri, {}), default=0)
        self.put([(replace(item, version=newest + 1), has_vectors)], which, by)

    @rule(
        uri=URIS,
        same=st.booleans(),
        products=st.sampled_from([("a",), ("b",), ("a", "b")]),
        body=st.sampled_from([None, *WORDS]),
    )
    def put_again(self, uri: str, same: bool, products: tuple[str, ...], body: str | None) -> None:
        """A version that is there already: the same, with other products, or changed."""
        recorded = self.model.entries.get(uri)
        if recorded:
            newest = recorded[max(recorded)].item
            again = newest if same else replace(newest, products=products)
            if body is not None:
                again = replace(again, body=body)
            self.put([(again, True)], 1)

    @rule(
        uri=URIS,
        status=st.none() | st.sampled_from(PubStatus),
        embargo=HOURS,
        lift=st.booleans(),
        which=st.integers(0, 1),
        by=WRITERS,
    )
    def set_status(
        self,
        uri: str,
        status: PubStatus | None,
        embargo: int | None,
        lift: bool,
        which: int,
        by: Caller = OPERATOR,
    ) -> None:
        until = None if embargo is None else self.clock.now + embargo * HOUR
        change = SetStatus(uri, status, until, lift)
        expected = self.model.set_status(change, by)
        (written,) = self.engines[which % len(self.engines)].set_status([change], by)
        assert written.outcome is expected
        self.settled = False

    @rule(uri=URIS)
    def make_usable(self, uri: str) -> None:
        self.set_status(uri, PubStatus.USABLE, None, True, 0)

    @rule(hours=st.sampled_from([0.5, 1]))
    def advance(self, hours: float) -> None:
        self.clock.advance(hours * HOUR)
        self.settled = False

    @rule()
    def settle(self) -> None:
        for engine in self.engines:
            engine.catch_up()
        self.settled = True

    @rule()
    def seal(self) -> None:
        self.engines[0].projections.projector.seal("text", 1)

    @rule()
    def compact(self) -> None:
        self.engines[0].compact()

    @precondition(lambda self: len(self.engines) > 1)
    @rule()
    def follow(self) -> None:
        self.engines[1].catch_up()

    @precondition(lambda self: len(self.engines) > 1)
    @rule()
    def take_over(self) -> None:
        """The owner ends and the one that followed owns now."""
        self.engines.pop(0).close()
        assert self.engines[0].projections.take_over()
        self.settled = False

    @rule(several=st.booleans())
    def reopen(self, several: bool) -> None:
        self._close()
        self.open(several)

    @rule(several=st.booleans())
    def rebuild(self, several: bool) -> None:
        self._close()
        copies.drop_projections(self.folder)
        self.open(several)

    @invariant()
    def every_surface_agrees(self) -> None:
        for engine in self.engines:
            for caller in CALLERS:
                self._check(engine, caller)

    def _check(self, engine: EmbeddedEngine, caller: Caller) -> None:
        views = self.model.views(caller)
        heads = {name(view[0]): view[0] for view in views}
        found = engine.retrieve(lexical(EVERYTHING, caller))
        shown = versions(engine, found, caller)
        assert sorted(shown) == sorted(heads)
        assert found.lexical_matches == len(heads)
        self._check_vectors(engine, caller, heads)
        self._check_words(engine, caller, heads)
        sizes = {name(view[0]): len(view) for view in views}
        assert dict(zip(shown, engine.chain_sizes(found.ids, caller), strict=True)) == sizes
        assert len(set(engine.chains(found.ids).tolist())) == len(shown)
        counts = engine.facets(found.ids, ["product"], ALL)["product"]
        products = Counter(code for entry in heads.values() for code in entry.item.products)
        assert {entry.value: entry.count for entry in counts} == dict(products)
        urgent = engine.retrieve(lexical(Keyword("urgency", ("1",)), caller))
        assert urgent.lexical_matches == sum(e.item.urgency == 1 for e in heads.values())
        self._check_library(engine, caller, views)

    def _check_vectors(
        self, engine: EmbeddedEngine, caller: Caller, heads: dict[Version, Entry]
    ) -> None:
        """At once, on both engines, and each item once."""
        near = versions(engine, engine.retrieve(nearest(unit(1), caller)), caller)
        assert sorted(near) == sorted(key for key, entry in heads.items() if entry.has_vectors)

    def _check_words(
        self, engine: EmbeddedEngine, caller: Caller, heads: dict[Version, Entry]
    ) -> None:
        """Never too much; exactly right once the index has caught up."""
        for word in WORDS:
            found = engine.retrieve(lexical(Word(word), caller))
            wanted = sorted(key for key, entry in heads.items() if entry.item.body == word)
            got = sorted(versions(engine, found, caller))
            assert set(got) <= set(wanted)
            if self.settled:
                assert got == wanted
                assert found.lexical_matches == len(wanted)

    def _check_library(
        self, engine: EmbeddedEngine, caller: Caller, views: list[list[Entry]]
    ) -> None:
        heads = {view[0].item.uri: view[0] for view in views}
        members = {entry.item.uri: view for view in views for entry in view}
        for uri in self.model.entries:
            item = engine.item(uri, caller)
            if uri in heads:
                head = heads[uri]
                as_it_is = replace(head.item, pubstatus=head.status, embargoed=head.embargoed)
                assert item == as_it_is
            else:
                assert item is None
            story = [(entry.uri, entry.version) for entry in engine.chain(uri, caller)]
            assert story == [name(entry) for entry in members.get(uri, [])]

    def _close(self) -> None:
        for engine in self.engines:
            assert engine.projections.repairs == []
            engine.close()
        self.engines = []

    def teardown(self) -> None:
        if self.engines:
            self.settle()
            self.every_surface_agrees()
            held = sorted(self.engines[0].projections.lexical.ids().tolist())
            visible = self.engines[0].status()["visible"]
            assert len(held) == len(set(held)) == visible, "the index holds what is visible, once"
        self._close()
        shutil.rmtree(self.folder)


Archive.TestCase.settings = settings(
    max_examples=HISTORIES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestArchive = Archive.TestCase
