"""Whatever is written in whatever order, no surface shows what a dict would not show."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from core.callers import OPERATOR, Caller
from core.errors import ExpiredError
from core.items import Concept, Item, PubStatus
from core.retrieval import TotalRelation
from core.writes import SetStatus
from search.answers import SearchResponse
from search.highlight import END, START
from tests.conftest import new_folder
from tests.search.engines import Tried, every_engine  # noqa: F401 - a fixture
from tests.search.room import Room, story, uris
from tests.storage.hold_model import HoldModel, changed

URIS = ["a", "b", "c", "d", "e"]
PRODUCTS = ["wire", "photos", "premium"]
CALLERS = [
    Caller("wire", frozenset({"wire"})),
    Caller("desk", frozenset({"wire", "photos"})),
    Caller("nobody", frozenset()),
]


@dataclass
class Model:
    """The archive as a dict: versions by uri, oldest first, and the order of their writing."""

    versions: dict[str, list[Item]] = field(default_factory=dict)
    written: dict[tuple[str, int], int] = field(default_factory=dict)
    count: int = 0
    holds: HoldModel = field(default_factory=HoldModel)

    def put(self, item: Item) -> None:
        versions = self.versions.setdefault(item.uri, [])
        newest = versions[-1].version if versions else 0
        if item.version == newest and versions[-1].products != item.products:
            versions[-1] = self._held(replace(versions[-1], products=item.products), new=False)
        elif item.version > newest:
            versions.append(self._held(item, new=True))
        else:
            return
        self.count += 1
        self.written[item.uri, item.version] = self.count

    def _held(self, item: Item, *, new: bool) -> Item:
        own = (item.pubstatus, item.embargoed)
        status, until = self.holds.put(item.uri, item.products, own, new=new)
        return replace(item, pubstatus=status, embargoed=until)

    def set_status(self, change: SetStatus) -> None:
        versions = self.versions.get(change.uri)
        self.holds.change(change, OPERATOR, versions[-1].products if versions else None)
        if versions:
            own = (versions[-1].pubstatus, versions[-1].embargoed)
            status, until = changed(change, own)
            versions[-1] = replace(versions[-1], pubstatus=status, embargoed=until)

    def shown(self, uri: str, now: datetime) -> Item | None:
        """The version that an item shows, entitlement aside."""
        for item in reversed(self.versions.get(uri, [])):
            if item.pubstatus is not PubStatus.USABLE:
                return None
            if item.embargoed is None or item.embargoed <= now:
                return item
        return None

    def hits(self, caller: Caller, now: datetime) -> dict[str, Item]:
        """What the caller may find: the newest item of each story, where it is theirs."""
        stories: dict[str, list[Item]] = {}
        for uri, versions in self.versions.items():
            item = self.shown(uri, now)
            if item is not None:
                stories.setdefault(versions[-1].chain, []).append(item)
        heads = [max(items, key=self._recency) for items in stories.values()]
        return {head.uri: head for head in heads if caller.products & set(head.products)}

    def _recency(self, item: Item) -> tuple[datetime, int]:
        return (item.versioncreated, self.written[item.uri, item.version])


class Surfaces(RuleBasedStateMachine):
    """Writes go to the archive and to the model; every surface is compared after each."""

    def __init__(self, tried: Tried) -> None:
        super().__init__()
        self.folder = new_folder()
        self.room = Room(self.folder, open_engine=tried.open)
        self.model = Model()
        self.cursors: list[tuple[Caller, str, set[str]]] = []

    def teardown(self) -> None:
        self.room.engine.close()
        shutil.rmtree(self.folder)

    @rule(
        uri=st.sampled_from(URIS),
        version=st.integers(1, 4),
        chain=st.sampled_from(["", "one", "two"]),
        products=st.sets(st.sampled_from(PRODUCTS)),
        when=st.integers(0, 3),
        embargo=st.sampled_from([None, 1, 5]),
        index=st.booleans(),
    )
    def put(
        self,
        uri: str,
        version: int,
        chain: str,
        products: set[str],
        when: int,
        embargo: int | None,
        index: bool,
    ) -> None:
        until = None if embargo is None else self.room.now + timedelta(hours=embargo)
        item = story(
            uri,
            f"common {uri}{version}x",
            body=f"common body of {uri}{version}x",
            version=version,
            chain=chain or uri,
            products=tuple(sorted(products)),
            when=when,
            embargoed=until,
            place=(Concept(f"place {uri}{version}"),),
        )
        known = [old for old in self.model.versions.get(uri, []) if old.version == version]
        if known:  # the same version again may come for other products only
            item = replace(known[0], products=item.products, pubstatus=PubStatus.USABLE)
            recorded = self.room.engine.unknown([item])
            if not recorded[0]:
                return
        self.room.put(item, index=index)
        self.model.put(item)

    @rule(
        uri=st.sampled_from(URIS),
        status=st.sampled_from([PubStatus.CANCELED, PubStatus.WITHHELD, PubStatus.USABLE]),
    )
    def set_status(self, uri: str, status: PubStatus) -> None:
        self.change(SetStatus(uri, status))

    @rule(uri=st.sampled_from(URIS), hours=st.sampled_from([None, 1, 4]))
    def embargo(self, uri: str, hours: int | None) -> None:
        until = None if hours is None else self.room.now + timedelta(hours=hours)
        self.change(SetStatus(uri, embargoed=until, lift_embargo=until is None))

    def change(self, change: SetStatus) -> None:
        self.room.engine.set_status([change])
        self.model.set_status(change)

    @rule(hours=st.integers(1, 6))
    def advance(self, hours: int) -> None:
        self.room.now += timedelta(hours=hours)

    @rule()
    def index(self) -> None:
        self.room.engine.catch_up()

    @rule()
    def compact(self) -> None:
        self.room.engine.catch_up()
        self.room.engine.compact()

    @rule(caller=st.sampled_from(CALLERS))
    def begin_a_walk(self, caller: Caller) -> None:
        answer = self.room.ask("common", caller, page_size=1)
        self.check(answer, caller)
        if answer.cursor:
            self.cursors.append((caller, answer.cursor, set(uris(answer))))

    @rule()
    def go_on_with_every_walk(self) -> None:
        walks, self.cursors = self.cursors, []
        for caller, cursor, seen in walks:
            answer = self.room.ask("common", caller, page_size=1, cursor=cursor)
            self.check(answer, caller)
            assert not seen & set(uris(answer))
            if answer.cursor:
                self.cursors.append((caller, answer.cursor, seen | set(uris(answer))))

    @rule(caller=st.sampled_from(CALLERS))
    def another_s_cursor(self, caller: Caller) -> None:
        for owner, cursor, _ in self.cursors:
            if owner == caller:
                continue
            try:
                answer = self.room.ask("common", caller, cursor=cursor)
            except ExpiredError:
                continue
            raise AssertionError(f"{caller.name} read {owner.name}'s {uris(answer)}")

    @invariant()
    def browsing_shows_what_the_dict_shows(self) -> None:
        for caller in CALLERS:
            expected = self.model.hits(caller, self.room.now)
            answer = self.room.ask("", caller, facets=("place", "type"), explain=True)
            assert versions(answer) == {(i.uri, i.version) for i in expected.values()}
            assert answer.total.value == len(expected)
            assert answer.total.relation is TotalRelation.EXACT
            times = [hit.item.versioncreated for hit in answer.hits]
            assert times == sorted(times, reverse=True)
            self.check(answer, caller)

    @invariant()
    def searching_shows_no_more(self) -> None:
        """Words may be found a moment later than they are visible; never longer."""
        for caller in CALLERS:
            for profile in ("lexical", "hybrid"):
                answer = self.room.ask(
                    "common", caller, facets=("place", "type"), explain=True, profile=profile
                )
                self.check(answer, caller)

    @rule()
    def words_are_found_once_indexed(self) -> None:
        self.room.engine.catch_up()
        for caller in CALLERS:
            expected = self.model.hits(caller, self.room.now)
            for profile in ("lexical", "vector", "hybrid"):
                answer = self.room.ask("common", caller, profile=profile)
                assert versions(answer) == {(i.uri, i.version) for i in expected.values()}
                assert profile == "vector" or answer.lexical_matches == len(expected)

    @rule(uri=st.sampled_from(URIS), version=st.integers(1, 4), caller=st.sampled_from(CALLERS))
    def a_phrase_of_one_version(self, uri: str, version: int, caller: Caller) -> None:
        expected = self.model.hits(caller, self.room.now).get(uri)
        for profile in ("lexical", "hybrid"):
            answer = self.room.ask(f'"body of {uri}{version}x"', caller, profile=profile)
            found = versions(answer)
            assert found <= {(uri, version)}
            assert not found or (expected is not None and expected.version == version)
            assert answer.total.value == len(found)
            assert answer.lexical_matches == len(found)

    def check(self, answer: SearchResponse, caller: Caller) -> None:
        """Nothing on any surface that the model hides."""
        allowed = self.model.hits(caller, self.room.now)
        found = versions(answer)
        assert found <= {(item.uri, item.version) for item in allowed.values()}
        assert len(found) == len(answer.hits) <= answer.total.value <= len(allowed)
        places = {concept.name for item in allowed.values() for concept in item.place}
        counts = answer.facets.get("place", ())
        assert {count.value for count in counts} <= places
        for counted in answer.facets.values():
            assert sum(count.count for count in counted) == answer.total.value
        for hit in answer.hits:
            mark = f"{hit.item.uri}{hit.item.version}x"
            shown = " ".join((*hit.highlights.values(), hit.passage))
            assert other_marks(shown) <= {mark}
            assert hit.item == allowed[hit.item.uri]


def versions(answer: SearchResponse) -> set[tuple[str, int]]:
    return {(hit.item.uri, hit.item.version) for hit in answer.hits}


def other_marks(shown: str) -> set[str]:
    words: Iterable[str] = shown.replace(START, "").replace(END, "").split()
    return {word for word in words if word[:-1][-1:].isdigit() and word.endswith("x")}


def test_surfaces(tried: Tried) -> None:
    run_state_machine_as_test(
        lambda: Surfaces(tried),
        settings=settings(
            max_examples=tried.examples(25),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
