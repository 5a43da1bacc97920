"""Who takes part in an experiment, and which version of a profile ranks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.callers import Caller
from core.customers.experiments import Experiment, Version, VersionBook, Way
from core.customers.use import LoggedQuery
from core.errors import StorageError
from core.retrieval import SortOrder
from customers.experiments import LoggedSearch
from customers.profile_versions import VersionedProfiles
from customers.use_log import UseLog, UseRules
from dateline.measuring.profile_changes import changed_profile
from search.answers import SearchRequest, SearchResponse
from search.pipeline import SearchPipeline
from search.profiles import standard_profiles
from storage.customers.use_log import StoredUse
from storage.databases import open_database
from tests.search.room import Room, story

START = datetime.fromtimestamp(684 * 30 * 86_400, UTC)
PLAIN = standard_profiles(("text",))
CHANGED = Version("hybrid", 1, {"lexical_weight": "0.9", "recency_half_life_days": "0.01"}, START)
BOOK = VersionBook({"hybrid@1": CHANGED})
MIXED = Experiment("mix", Way.INTERLEAVE, "hybrid", 0, 1, START, secret=b"1" * 32)


def callers(count: int) -> list[Caller]:
    return [Caller(f"paper{n}", frozenset({"wire"})) for n in range(count)]


@dataclass
class Desk:
    search: LoggedSearch
    log: UseLog
    running: list[Experiment | None] = field(default_factory=lambda: [None])
    now: datetime = START

    def ask(self, caller: Caller, q: str = "ferry strike", **more: object) -> SearchResponse:
        return self.search.search(SearchRequest(q=q, **more), caller)  # type: ignore[arg-type]

    def kept(self) -> list[LoggedQuery]:
        return [*self.log.store.logged(START, START + timedelta(days=365))]


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    room = Room(folder)
    words = ("ferry strike", "ferry", "the strike goes on", "harbour ferry strike vote")
    room.put(*(story(f"urn:{n}", words[n % 4], body="quay " * n, when=n) for n in range(12)))
    versioned = VersionedProfiles(PLAIN, lambda: BOOK, changed_profile)
    pipeline = SearchPipeline(replace(room.pipeline._parts, profiles=versioned))
    made: list[Desk] = []
    store = StoredUse(open_database(folder / "use.sqlite"))
    clock = lambda: made[0].now  # noqa: E731
    log = UseLog(store, UseRules(frozenset({"*"}), 90, 1), clock)
    search = LoggedSearch(pipeline, log, clock, lambda: made[0].running[0], "hybrid")
    made.append(Desk(search, log))
    yield made[0]
    room.engine.close()


def test_a_mixed_list_is_kept_with_its_teams_and_stays_for_a_day(desk: Desk) -> None:
    desk.running = [MIXED]
    ada, bob = callers(2)
    first, again = desk.ask(ada), desk.ask(ada, "Ferry  strike")
    assert [hit.item.uri for hit in first.hits] == [hit.item.uri for hit in again.hits]
    assert first.profile == "hybrid@0"
    kept = desk.kept()[0]
    assert kept.experiment == "mix"
    assert len(kept.teams) == len(kept.hits) == 12
    assert {"a", "b"} <= {*kept.teams}
    lists = set()
    for day in range(12):
        desk.now = START + timedelta(days=day)
        lists |= {tuple(hit.item.uri for hit in desk.ask(bob).hits)}
    assert len(lists) > 1


def test_a_caller_has_one_version_and_both_have_callers(desk: Desk) -> None:
    desk.running = [replace(MIXED, way=Way.AB)]
    for caller in callers(24) * 2:
        desk.ask(caller)
    arms: dict[str, set[str]] = {}
    for query in desk.kept():
        arms.setdefault(query.unit, set()).add(query.arm)
        assert query.profile == query.arm
    assert len(arms) == 24
    assert {len(of) for of in arms.values()} == {1}
    assert {arm for of in arms.values() for arm in of} == {"hybrid@0", "hybrid@1"}


def test_who_asks_for_something_else_takes_no_part(desk: Desk) -> None:
    desk.running = [MIXED]
    (ada,) = callers(1)
    desk.ask(ada, profile="lexical")
    desk.ask(ada, order=SortOrder.NEWEST)
    desk.running = [replace(MIXED, profile="vector")]
    desk.ask(ada)
    desk.running = [MIXED]
    desk.now = START + timedelta(days=90)
    desk.ask(ada)
    assert [query.experiment for query in desk.kept()] == ["", "", "", ""]


def test_the_version_in_force_ranks_under_its_name_and_back() -> None:
    book = [BOOK]
    versioned = VersionedProfiles(PLAIN, lambda: book[0], changed_profile)
    assert versioned["hybrid"] == PLAIN["hybrid"]
    assert versioned["hybrid@1"].lexical_weight == 0.9
    assert versioned["hybrid@0"].lexical_weight == PLAIN["hybrid"].lexical_weight
    assert [*versioned] == [*PLAIN]
    book[0] = replace(BOOK, in_force={"hybrid": 1})
    fresh = VersionedProfiles(PLAIN, lambda: book[0], changed_profile)
    assert (fresh["hybrid"].name, fresh["hybrid"].lexical_weight) == ("hybrid@1", 0.9)
    for name in ("hybrid@2", "none", "hybrid@x", "none@0"):
        with pytest.raises(KeyError):
            fresh[name]


def test_a_version_that_does_not_fit_or_is_not_there_ranks_as_the_settings() -> None:
    broken = Version("hybrid", 1, {"vector_weights.second": "1"}, START)
    book = VersionBook({"hybrid@1": broken}, {"hybrid": 1})
    found = VersionedProfiles(PLAIN, lambda: book, changed_profile)["hybrid"]
    assert replace(found, name="hybrid") == PLAIN["hybrid"]

    def fail() -> VersionBook:
        raise StorageError("away")

    assert VersionedProfiles(PLAIN, fail, changed_profile)["hybrid"] == PLAIN["hybrid"]
