"""The index check on a real node: each kind of drift is made by hand, found, and repaired."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import BusyError
from core.items import PubStatus
from storage.opensearch.engine import OpenSearchEngine
from storage.opensearch.index.bulk import BulkSettings, BulkWriter, Operation
from storage.opensearch.index.check import Drift, IndexCheck, stretches_of
from storage.opensearch.index.coverage import coverage_of
from storage.opensearch.index.documents import Version, document_of
from storage.record.item_rows import to_micros
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import HOUR, NOW, WIRE, SetClock, change, make_item, vector_of, write


@pytest.fixture(scope="module", autouse=True)
def _on_the_node(opensearch: str) -> Iterator[None]:
    with lending(opensearch):
        yield


@dataclass(frozen=True)
class World:
    """An engine over a handful of stories, and the check of its index."""

    engine: OpenSearchEngine
    clock: SetClock
    check: IndexCheck
    writer: BulkWriter

    def look(self) -> Drift:
        return self.check.look()

    def seq(self, uri: str, version: int = 1) -> int:
        seq = self.engine.record.reads.seq_of(uri, version)
        assert seq is not None
        return seq

    def behind_its_back(self, *operations: Operation) -> None:
        """Writes to the index what the record does not say."""
        assert not self.writer.write(operations).refused
        self.engine.family.refresh()

    def document(self, uri: str, seq: int | None = None, **members: Any) -> Operation:
        """A document of an item as recorded, but for `members`."""
        number = seq or self.seq(uri)
        item = self.engine.record.reads.items_by_seq([self.seq(uri)])[self.seq(uri)]
        changed = dataclasses.replace(item, **members)
        own = {"text": vector_of(f"{uri}/1")}
        version = Version(number, changed, uri, ((None, None),), own)
        return Operation(number, 10**6, document_of(version))


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    clock = SetClock()
    engine = open_opensearch(folder, clock)
    writer = BulkWriter(engine.cluster, engine.family.writes_to, BulkSettings())
    check = IndexCheck(engine.record, engine.family, writer, clock)
    for number in range(6):
        body = f"The ferry {number} is aground, and the harbour is shut."
        write(engine, make_item(f"urn:{number}", headline=f"Ferry {number}", body=body))
    write(engine, make_item("urn:killed", pubstatus=PubStatus.CANCELED))
    write(engine, make_item("urn:later", embargoed=NOW + HOUR))
    write(engine, make_item("urn:passing", expires=NOW + 2 * HOUR))
    engine.catch_up()
    yield World(engine, clock, check, writer)
    engine.close()


def test_an_index_that_followed_is_sound(world: World) -> None:
    drift = world.look()
    assert drift.is_sound
    assert (drift.wanted, drift.held, drift.sampled) == (8, 8, 8)
    assert not drift.differing


def test_time_that_passes_is_no_drift(world: World) -> None:
    world.clock.advance(timedelta(minutes=90))  # an embargo has lifted
    assert world.look().is_sound
    world.clock.advance(HOUR)  # an item has expired: its document is past, and shown to nobody
    drift = world.look()
    assert drift.is_sound
    assert [*drift.past] == [world.seq("urn:passing")]
    assert world.check.repair(drift) == {}
    assert [*world.look().past] == []


def test_a_lost_document_is_found_and_written_again(world: World) -> None:
    lost = world.seq("urn:3")
    world.behind_its_back(Operation(lost, 10**6))
    drift = world.look()
    assert [*drift.missing] == [lost]
    assert not drift.is_sound


# A real index never has a version above the record's newest change; `settled` makes that so.
def settled(world: World, make: Callable[[], Operation]) -> None:
    """Puts a wrong state into the index with the version that the record is at."""
    operation = make()
    newest = world.engine.record.last_change()
    world.behind_its_back(dataclasses.replace(operation, version=newest))


def test_repair_brings_back_what_was_lost(world: World) -> None:
    settled(world, lambda: Operation(world.seq("urn:3"), 0))
    drift = world.look()
    assert [*drift.missing] == [world.seq("urn:3")]
    assert world.check.repair(drift) == {}
    assert world.look().is_sound


def test_repair_takes_away_what_the_record_hides_or_never_had(world: World) -> None:
    killed, stranger = world.seq("urn:killed"), 999_999
    settled(world, lambda: world.document("urn:1", killed))
    settled(world, lambda: world.document("urn:1", stranger))
    drift = world.look()
    assert [*drift.extra] == [killed, stranger]
    assert (drift.wanted, drift.held) == (8, 10)
    world.check.repair(drift)
    assert world.look().is_sound


def test_repair_mends_when_a_version_is_shown(world: World) -> None:
    later = world.seq("urn:later")
    settled(world, lambda: world.document("urn:later"))  # as if there were no embargo
    drift = world.look()
    assert [*drift.mistimed] == [later]
    assert later not in world.engine.visible(drift.mistimed, WIRE)  # the record guards meanwhile
    world.check.repair(drift)
    assert world.look().is_sound


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"headline": "Ferry aground"}, "text of headline"),
        ({"body": ""}, "text of body"),
        ({"body": "The ferry 3 is aground, and the harbour is shut. More."}, "digest"),
        ({"body": "The ferry 3 is afloat, and the harbour is shut."}, "text of body"),
        ({"description": "A picture of it"}, "text of description"),
        ({"products": ("wire", "sport")}, "product"),
        ({"urgency": 1}, "urgency"),
        ({"language": "de"}, "language"),
        ({"versioncreated": NOW}, "versioncreated"),
    ],
)
def test_a_sampled_document_that_differs_is_found(
    world: World, members: dict[str, Any], what: str
) -> None:
    settled(world, lambda: world.document("urn:3", **members))
    drift = world.look()
    assert what in drift.differing[world.seq("urn:3")]
    assert len(drift.differing) == 1
    world.check.repair(drift)
    assert world.look().is_sound


def test_a_wrong_vector_is_found(world: World) -> None:
    def other() -> Operation:
        item = world.engine.record.reads.items_by_seq([world.seq("urn:3")])[world.seq("urn:3")]
        own = {"text": vector_of("another")}
        version = Version(world.seq("urn:3"), item, "urn:3", ((None, None),), own)
        return Operation(version.seq, 0, document_of(version))

    settled(world, other)
    drift = world.look()
    assert drift.differing == {world.seq("urn:3"): "digest, vectors of text"}
    world.check.repair(drift)
    assert world.look().is_sound


def test_what_was_recorded_meanwhile_is_no_drift(world: World) -> None:
    """A write between the two moments that are compared."""
    family = world.engine.family
    refresh = family.refresh

    def write_first() -> None:
        refresh()
        write(world.engine, make_item("urn:new"))
        change(world.engine, "urn:1", pubstatus=PubStatus.WITHHELD)

    object.__setattr__(family, "refresh", write_first)
    drift = world.look()
    object.__setattr__(family, "refresh", refresh)
    assert drift.is_sound, drift


def test_what_someone_wrote_with_a_version_of_his_own_is_replaced(world: World) -> None:
    """It would keep every later change out, too."""
    world.behind_its_back(world.document("urn:3", headline="Newer"))  # version 10**6
    drift = world.look()
    assert [*drift.differing] == [world.seq("urn:3")]
    assert world.check.repair(drift) == {}
    assert world.look().is_sound
    change(world.engine, "urn:3", pubstatus=PubStatus.WITHHELD)
    assert world.look().held == 7
    settings = world.engine.cluster.ask("GET", f"/{world.engine.family.concrete}/_settings")
    assert settings[world.engine.family.concrete]["settings"]["index"]["gc_deletes"] == "10m"


def test_what_someone_deleted_by_hand_comes_back(world: World) -> None:
    lose = {"query": {"terms": {"seq": [world.seq("urn:2"), world.seq("urn:3")]}}}
    place = f"/{world.engine.family.concrete}/_delete_by_query"
    world.engine.cluster.ask("POST", place, lose, refresh="true")
    drift = world.look()
    assert len(drift.missing) == 2
    assert world.check.repair(drift) == {}
    assert world.look().is_sound


@pytest.mark.parametrize(
    ("path", "lacks"),
    [
        ("/_search/point_in_time", {"_shards": {"total": 2, "successful": 1, "failed": 1}}),
        ("/_search", {"_shards": {"total": 1, "successful": 0, "failed": 0}}),
        ("/_search", {"_shards": {"total": 1, "successful": 1, "failed": 1}}),
        ("/_search", {"timed_out": True}),
    ],
)
def test_an_index_of_which_a_part_does_not_answer_is_not_called_sound(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str, lacks: dict[str, Any]
) -> None:
    really = world.engine.cluster.ask

    def ask(method: str, at: str, *body: Any, **more: Any) -> dict[str, Any]:
        reply = really(method, at, *body, **more)
        return reply | lacks if method == "POST" and at.endswith(path) else reply

    monkeypatch.setattr(world.engine.cluster, "ask", ask)
    with pytest.raises(BusyError, match="parts of the index answer in full"):
        world.look()
    monkeypatch.undo()
    assert world.look().is_sound


@pytest.mark.parametrize(
    "reply",
    [
        {"error": {"type": "no_shard_available_action_exception", "reason": ""}, "status": 503},
        {"hits": {"total": {"value": 3}}, "_shards": {"total": 2, "failed": 1}},
    ],
)
def test_a_coverage_that_lacks_a_part_of_the_index_is_no_count(
    world: World, monkeypatch: pytest.MonkeyPatch, reply: dict[str, Any]
) -> None:
    engine = world.engine
    monkeypatch.setattr(engine.cluster, "search_many", lambda bodies, **_: [reply for _ in bodies])
    with engine.record.moment() as reads, pytest.raises(BusyError):
        coverage_of(engine.family, reads, to_micros(NOW))


bounds = st.one_of(st.none(), st.integers(0, 20))


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(since=bounds, until=bounds, now=st.integers(0, 20), moment=st.integers(0, 20))
def test_stretches_say_the_same_of_the_time_to_come(
    since: int | None, until: int | None, now: int, moment: int
) -> None:
    each = {"gte": since, "lt": until}
    source = {"shown": [{name: value for name, value in each.items() if value is not None}]}

    def inside(low: int | None, high: int | None) -> bool:
        return (low is None or low <= moment) and (high is None or moment < high)

    if moment >= now and (since is None or until is None or since < until):
        told = any(inside(low, high) for low, high in stretches_of(source, now))
        assert told == inside(since, until)
