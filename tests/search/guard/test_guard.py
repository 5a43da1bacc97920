"""The guard over every surface: random histories of writes, changes of status, time, rights and
restarts, after each of which some surface is compared with a dict.

`make deep` runs 2,000 histories; GUARD_SEQUENCES says how many in all parts together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.callers import OPERATOR, Caller
from core.items import Item, PubStatus
from core.writes import PutItem, SetStatus
from search.answers import MissingStage
from tests.conftest import new_folder
from tests.search.engines import EMBEDDED, HOSTS, OPENSEARCH, Tried, every_engine  # noqa: F401
from tests.search.guard.model import MARKS, SHARED, TYPES, URIS, version_of
from tests.search.guard.surfaces import SURFACES
from tests.search.guard.walks import QUERIES, Asked, Walks
from tests.search.guard.world import World
from tests.search.room import BOTH, READER, Room, story

SEQUENCES = int(os.environ.get("GUARD_SEQUENCES", "48"))
PARTS = 8  # each a test of its own, so that several processes can share them
STEPS = 12
MOST_WALKS = 4
PRODUCTS = ("wire", "photos", "premium")
GRANTS = {
    "wire": frozenset({"wire"}),
    "desk": frozenset({"wire", "photos"}),
    "operator": frozenset({"photos"}),
    "nobody": frozenset[str](),
}
uris = st.sampled_from(URIS)
who = st.sampled_from(["wire", "wire", "desk", "desk", "operator", "nobody"])
writers = st.sampled_from(
    [OPERATOR, OPERATOR, *(Caller(code, frozenset(), frozenset({code})) for code in PRODUCTS)]
)
looks = st.lists(
    st.tuples(st.sampled_from(SURFACES), who, uris, st.integers(1, 4)), min_size=1, max_size=2
)
hours = st.sampled_from([1, 3, 6])
items = st.fixed_dictionaries(
    {
        "chain": st.sampled_from(["", "", "", "one", "one", "two"]),
        "products": st.sampled_from(
            [*[("wire",)] * 2, *[("wire", "photos")] * 3, ("photos",), ("premium",), ()]
        ),
        "when": st.sampled_from([0, 1, 2, 800, 1500]),  # hours: three months in all
        "embargoed": st.sampled_from([*[None] * 5, 1, 3]),
        "expires": st.sampled_from([*[None] * 6, 3]),
        "shared": st.sampled_from(SHARED),
        "type": st.sampled_from(TYPES),
        "carries": st.sampled_from(["", *URIS]),
    }
)
SEEN = {"chain": "", "products": ("wire", "photos"), "embargoed": None, "expires": None}
Look = tuple[object, str, str, int]


class Guard(RuleBasedStateMachine):
    """Writes go to the archive and to the model; each is followed by a look or two."""

    def __init__(self, tried: Tried) -> None:
        super().__init__()
        self.world = World(new_folder(), tried=tried)
        self.grants = dict(GRANTS)
        self.walks = Walks(self.world, self.caller)

    def teardown(self) -> None:
        self.world.close()

    def caller(self, name: str) -> Caller:
        return Caller(name, self.grants[name], may_inspect=name == "operator")

    def look(self, at: Sequence[Look]) -> None:
        self.walks.look(move=False)
        for surface, name, uri, version in at:
            surface(self.world, self.caller(name), uri, version)  # type: ignore[operator]

    # --- the archive

    def made(self, uri: str, version: int, drawn: Mapping[str, object]) -> Item:
        members = dict(drawn)
        members["chain"] = members["chain"] or uri
        for name in ("embargoed", "expires"):
            members[name] = members[name] and self.later(members[name])
        return version_of(uri, version, **members)  # type: ignore[arg-type]

    def later(self, hours: object) -> object:
        return self.world.room.now + timedelta(hours=hours)  # type: ignore[arg-type]

    def put(self, *items: Item) -> None:
        room = self.world.room
        written = room.engine.put([PutItem(item, (room.embedded(item),)) for item in items])
        expected = [self.world.model.put(item) for item in items]
        assert [one.outcome for one in written] == expected
        self.world.settled = False

    def change(self, change: SetStatus, by: Caller = OPERATOR) -> None:
        (written,) = self.world.room.engine.set_status([change], by)
        assert written.outcome is self.world.model.set_status(change, by)
        self.world.settled = False

    @initialize(
        drawn=st.lists(items, min_size=3, max_size=5),
        index=st.booleans(),
        shared=st.booleans(),
        asked=st.sampled_from(QUERIES),
    )
    def begin(
        self, drawn: list[dict[str, object]], index: bool, shared: bool, asked: Asked
    ) -> None:
        if shared:
            self.world.share()
        seen = [{**one, **SEEN} for one in drawn[:3]]  # so that there is something to hide
        made = zip(URIS, [*seen, *drawn[3:]], strict=False)
        self.put(*(self.made(uri, 1, one) for uri, one in made))
        if index:
            self.world.index()
        self.walks.begin("wire", asked)
        self.walks.begin("desk", QUERIES[-1])  # what is like an item that may vanish

    @rule(uri=uris, drawn=items, at=looks)
    def ingest_or_correct(self, uri: str, drawn: dict[str, object], at: Sequence[Look]) -> None:
        version = len(self.world.model.versions.get(uri, ())) + 1
        if (uri, version) in MARKS:
            self.put(self.made(uri, version, drawn))
        self.look(at)

    @rule(uri=uris, products=st.sets(st.sampled_from(PRODUCTS)), at=looks)
    def move_to_products(self, uri: str, products: set[str], at: Sequence[Look]) -> None:
        if versions := self.world.model.versions.get(uri):
            self.put(replace(versions[-1].sent, products=tuple(sorted(products))))
        self.look(at)

    @rule(
        uri=uris,
        status=st.sampled_from([PubStatus.CANCELED, PubStatus.CANCELED, *PubStatus]),
        by=writers,
        at=looks,
    )
    def kill_or_withhold_or_release(
        self, uri: str, status: PubStatus, by: Caller, at: Sequence[Look]
    ) -> None:
        """Also of what is not there yet, or not the writer's."""
        self.change(SetStatus(uri, status), by)
        self.look(at)

    @rule(uri=uris, hours=hours, at=looks)
    def embargo(self, uri: str, hours: int, at: Sequence[Look]) -> None:
        self.change(SetStatus(uri, embargoed=self.later(hours)))  # type: ignore[arg-type]
        self.look(at)

    @rule(uri=uris, at=looks)
    def lift(self, uri: str, at: Sequence[Look]) -> None:
        self.change(SetStatus(uri, embargoed=None, lift_embargo=True))
        self.look(at)

    @rule(hours=hours, at=looks)
    def wait(self, hours: int, at: Sequence[Look]) -> None:
        """What was embargoed appears, what expires is gone."""
        self.world.room.now += timedelta(hours=hours)
        self.world.settled = False
        self.look(at)

    @rule(name=who, product=st.sampled_from(PRODUCTS), at=looks)
    def grant(self, name: str, product: str, at: Sequence[Look]) -> None:
        self.grants[name] |= {product}
        self.look(at)

    @rule(name=who, product=st.sampled_from(PRODUCTS), at=looks)
    def revoke(self, name: str, product: str, at: Sequence[Look]) -> None:
        self.grants[name] -= {product}
        self.look(at)

    # --- the process

    @precondition(lambda self: not self.world.settled)
    @rule(compact=st.booleans(), at=looks)
    def index(self, compact: bool, at: Sequence[Look]) -> None:
        self.world.index()
        if compact:
            self.world.room.engine.compact()
        self.look(at)

    @rule(at=looks)
    def reopen(self, at: Sequence[Look]) -> None:
        self.world.reopen()
        self.walks.after_a_restart()
        self.look(at)

    # --- paging

    @precondition(lambda self: len(self.walks.open) < MOST_WALKS)
    @rule(name=who, asked=st.sampled_from(QUERIES))
    def begin_a_walk(self, name: str, asked: Asked) -> None:
        self.walks.begin(name, asked)

    @precondition(lambda self: self.walks.open)
    @rule(name=who)
    def go_on_with_every_walk(self, name: str) -> None:
        self.walks.try_with(name)
        self.walks.look(move=True)

    @rule(at=looks)
    def only_look(self, at: Sequence[Look]) -> None:
        self.look(at)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_surface_shows_what_the_dict_hides(part: int) -> None:
    run(EMBEDDED)


@pytest.mark.parametrize("tried", [OPENSEARCH, HOSTS], indirect=True)
@pytest.mark.parametrize("part", range(PARTS // 2))
def test_no_surface_of_a_cluster_shows_what_the_dict_hides(part: int, tried: Tried) -> None:
    """On a node; and as on two hosts, of which one shows what the other has written."""
    run(tried)


def run(tried: Tried) -> None:
    run_state_machine_as_test(
        lambda: Guard(tried),
        settings=settings(
            max_examples=tried.examples(-(-SEQUENCES // PARTS)),
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=False,  # each part has histories of its own
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_an_older_item_is_told_to_those_only_who_may_see_it(room: Room) -> None:
    """Whoever may see the head of its story only is told what an unknown uri is told."""
    room.put(
        story("photo", "Fire", chain="fire", products=("photos",)),
        story("text", "Fire is out", chain="fire", when=2),
    )
    stages = {
        caller.name: missing.stage
        for caller in (READER, BOTH)
        if (missing := room.ask("", caller, why_missing="photo").missing)
    }
    assert stages == {READER.name: MissingStage.ARCHIVE, BOTH.name: MissingStage.STORY}
