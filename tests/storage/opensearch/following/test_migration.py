"""Migrations on a real node: what is served before, during and after, whoever is cut short where.

Both encoders' vectors are of one width, and an item's nearest in the one space is its farthest in
the other, so an answer that mixed them would show.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError, StorageError
from core.items import FloatMatrix, Item
from core.query_tree import EVERYTHING
from core.retrieval import Retrieval, Retrieved, VectorQuery
from core.writes import PutItem
from storage.embedded.record.archive import Record
from storage.opensearch.engine import OpenSearchEngine, OpenSearchSettings
from storage.opensearch.following.migration import Family, Mover
from storage.opensearch.following.migration_state import BUILDING, FLIPPED, Migration
from storage.opensearch.index.body import IndexSettings, VectorSpace
from storage.opensearch.index.bulk import BulkSettings
from storage.opensearch.index.family import make_index
from storage.opensearch.nodes.connection import Cluster, ClusterSettings, MissingError
from storage.record.port import RecordOfTruth
from tests.opensearch_node import new_name
from tests.storage.world import FIELD, WIDTH, WIRE, SetClock, make_item, unit, vectors, versions

OLD, NEW = "space-old", "space-new"
OLD_SPACE, NEW_SPACE = {FIELD: VectorSpace(OLD, WIDTH)}, {FIELD: VectorSpace(NEW, WIDTH)}
QUERY = unit(1.0)


def old_of(number: int) -> FloatMatrix:
    """The higher the number, the nearer to QUERY."""
    return unit(0.01 * (number + 1), 1.0)


def new_of(number: int) -> FloatMatrix:
    """The higher the number, the farther from QUERY."""
    return unit(1.0, 0.1 * (number + 1))


class Archive:
    """A record in a folder, its indexes on the node, and the parts of a process on both."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.name = new_name()
        self.clock = SetClock()
        self.cluster = Cluster(ClusterSettings((url,)))
        self._url = url
        self._engines: list[OpenSearchEngine] = []
        self.record = self.open_record()

    def open_record(self, *, moved: bool = False) -> RecordOfTruth:
        old, new = {FIELD: OLD}, {FIELD: NEW}
        spaces, beside = (new, old) if moved else (old, new)
        return Record(self.folder, spaces, self.clock, beside)

    def engine(
        self, *, follows: bool = True, moved: bool = False, concrete: str = ""
    ) -> OpenSearchEngine:
        """A serving process: with the encoder that the archive moves to, or without."""
        spaces, beside = (NEW_SPACE, OLD_SPACE) if moved else (OLD_SPACE, NEW_SPACE)
        settings = OpenSearchSettings(
            spaces,
            self.name,
            ClusterSettings((self._url,)),
            background=False,
            beside=beside if follows else {},
            concrete=concrete,
            follow_s=0.0,
        )
        engine = OpenSearchEngine(settings, self.clock, self.open_record(moved=moved))
        self._engines.append(engine)
        return engine

    def mover(self, index: IndexSettings | None = None) -> Mover:
        """The command of another host."""
        family = Family(self.cluster, self.name, index or IndexSettings(), BulkSettings())
        return Mover(self.record, family, self.clock)

    def put(self, engine: OpenSearchEngine, *numbers: int, both: bool = False) -> None:
        """Items by number with the old encoder's vectors, or with both encoders'."""
        engine.put([PutItem(item_of(number), own(number, both=both)) for number in numbers])

    def embed(self, encoder: str = NEW, limit: int = 10**6) -> int:
        """What the backfill does, for at most `limit` items."""
        of = new_of if encoder == NEW else old_of
        found = self.record.reads.items_lacking(FIELD, encoder, 0, limit)
        added = {seq: vectors(of(int(item.uri)), encoder=encoder) for seq, item in found.items()}
        return self.record.add_vectors(added)

    def migrated(self) -> Migration:
        """A migration that has flipped."""
        mover = self.mover()
        migration = mover.start(NEW_SPACE)
        self.embed()
        return mover.flip(migration, 1.0)

    def close(self) -> None:
        for engine in self._engines:
            engine.close()
        for index in (*self.cluster.ask("GET", f"/{self.name}-*/_alias"), f"{self.name}-meta"):
            with suppress(MissingError):
                self.cluster.ask("DELETE", f"/{index}")
        self.cluster.close()
        self.record.close()


def item_of(number: int) -> Item:
    return make_item(str(number), body="word")


def own(number: int, *, both: bool) -> tuple[object, ...]:
    old = vectors(old_of(number), encoder=OLD)
    return (old, vectors(new_of(number), encoder=NEW)) if both else (old,)


@pytest.fixture
def archive(opensearch: str, folder: Path) -> Iterator[Archive]:
    made = Archive(opensearch, folder)
    yield made
    made.close()


def asked(engine: OpenSearchEngine, encoder: str) -> Retrieved:
    query = VectorQuery(FIELD, 1.0, lambda: QUERY, encoder)
    return engine.retrieve(Retrieval(EVERYTHING, WIRE, vectors=(query,), lexical_depth=0))


def order(engine: OpenSearchEngine, encoder: str) -> list[int]:
    return [int(uri) for uri, _ in versions(engine, asked(engine, encoder), WIRE)]


def test_an_archive_moves_and_the_processes_follow(archive: Archive) -> None:
    engine = archive.engine()
    archive.put(engine, 0, 1, 2)
    assert order(engine, OLD) == [2, 1, 0]
    mover = archive.mover()
    migration = mover.start(NEW_SPACE)
    assert archive.embed() == 3
    assert (order(engine, OLD), engine.encoders) == ([2, 1, 0], {FIELD: OLD})
    flipped = mover.flip(migration, 1.0)
    assert flipped.phase == FLIPPED
    assert engine.encoders == {FIELD: NEW}
    assert order(engine, NEW) == [0, 1, 2]
    archive.put(engine, 3, both=True)
    assert order(engine, NEW) == [0, 1, 2, 3]
    assert mover.clean(mover.state(), abandon=False) == 4
    assert mover.find() is None
    assert order(engine, NEW) == [0, 1, 2, 3]
    assert archive.record.reads.count_lacking(FIELD, OLD) == 4


def test_vectors_made_before_the_flip_are_put_to_the_index_before(archive: Archive) -> None:
    engine = archive.engine()
    archive.put(engine, 0, 1)
    archive.migrated()
    assert engine.encoders == {FIELD: NEW}
    assert order(engine, OLD) == [1, 0]
    assert order(engine, NEW) == [0, 1]


def test_a_process_refuses_the_field_of_an_encoder_it_lacks(archive: Archive) -> None:
    engine = archive.engine(follows=False)
    archive.put(engine, 0)
    archive.migrated()
    assert engine.encoders == {FIELD: NEW}
    found = asked(engine, "some other space")
    assert found.vectors == ()
    assert "encoder that this process does not have" in " ".join(found.degraded)
    with pytest.raises(StorageError, match="does not hold the vectors"):
        archive.engine(follows=False)


def test_the_flip_refuses_what_is_not_covered(archive: Archive) -> None:
    engine = archive.engine()
    archive.put(engine, *range(4))
    mover = archive.mover()
    migration = mover.start(NEW_SPACE)
    archive.embed(limit=3)
    with pytest.raises(InputError, match=r"covers 75\.00% of 4 items"):
        mover.flip(migration, 1.0)
    assert mover.served() == migration.source
    assert order(engine, OLD) == [3, 2, 1, 0]
    assert mover.flip(migration, 0.75).phase == FLIPPED


def test_the_way_back_catches_the_index_before_up(archive: Archive) -> None:
    engine = archive.engine()
    archive.put(engine, 0, 1)
    mover = archive.mover()
    flipped = archive.migrated()
    order(engine, NEW)
    newer = archive.engine(moved=True, follows=False)
    newer.put([PutItem(item_of(2), (vectors(new_of(2), encoder=NEW),))])
    with pytest.raises(InputError, match=r"covers 66\.67%"):
        mover.roll_back(flipped, 1.0)
    assert order(engine, NEW) == [0, 1, 2]
    assert archive.embed(OLD) == 1
    assert mover.roll_back(flipped, 1.0).phase == BUILDING
    assert order(engine, OLD) == [2, 1, 0]
    archive.clock.advance(timedelta(seconds=3))
    assert mover.since_move(mover.state()) == 3
    mover.clean(mover.state(), abandon=True)
    assert order(engine, OLD) == [2, 1, 0]
    assert archive.record.reads.count_lacking(FIELD, NEW) == 3


def test_what_has_flipped_is_not_abandoned(archive: Archive) -> None:
    engine = archive.engine()
    archive.put(engine, 0, 1)
    mover = archive.mover()
    flipped = archive.migrated()
    with pytest.raises(InputError, match="has flipped"):
        mover.clean(mover.state(), abandon=True)
    assert archive.record.reads.count_lacking(FIELD, OLD) == 0
    assert mover.roll_back(flipped, 1.0).phase == BUILDING
    assert order(engine, OLD) == [1, 0]


def test_a_way_back_takes_the_verdict_along(archive: Archive) -> None:
    archive.put(archive.engine(), 0)
    mover = archive.mover()
    judged = mover.judged(archive.migrated(), {"passed": True})
    mover.roll_back(judged, 1.0)
    assert mover.state().verdict == {}


def test_a_lost_index_is_made_anew_once_after_a_move(archive: Archive) -> None:
    """Running processes make the index that they had, one that begins makes the first one."""
    engine = archive.engine()
    archive.put(engine, 0, 1, both=True)
    archive.migrated()
    assert order(engine, NEW) == [0, 1]
    both = f"{archive.name}-000001,{archive.name}-000002"
    archive.cluster.ask("DELETE", f"/{both}")
    fresh = archive.engine(moved=True)
    make_index(
        archive.cluster,
        engine.family.concrete,
        IndexSettings(),
        NEW_SPACE,
        served_as=archive.name,
    )
    assert [*archive.cluster.ask("GET", f"/_alias/{archive.name}")] == [fresh.family.concrete]
    assert f"{archive.name}-000002" not in archive.cluster.ask("GET", f"/{archive.name}-*/_alias")
    assert order(fresh, NEW) == [0, 1]
    archive.put(engine, 2, both=True)
    assert order(engine, NEW) == [0, 1, 2]
    assert engine.family.concrete == fresh.family.concrete


def test_two_migrations_exclude_each_other(archive: Archive) -> None:
    archive.engine()
    mover = archive.mover()
    migration = mover.start(NEW_SPACE)
    assert archive.mover().start(NEW_SPACE) == migration
    other = {FIELD: VectorSpace("a third", WIDTH)}
    with pytest.raises(StorageError, match="of other encoders is under way"):
        archive.mover().start(other)


def test_an_alias_that_somebody_has_moved_is_left_alone(archive: Archive) -> None:
    archive.engine()
    mover = archive.mover()
    migration = mover.start(NEW_SPACE)
    index = f"{archive.name}-000009"
    archive.cluster.ask("PUT", f"/{index}", {})
    gone = {"remove": {"index": migration.source, "alias": archive.name}}
    added = {"add": {"index": index, "alias": archive.name}}
    archive.cluster.ask("POST", "/_aliases", {"actions": [gone, added]})
    with pytest.raises(StorageError, match="somebody else has moved it"):
        mover.flip(migration, 1.0)
    assert mover.served() == index


def test_an_index_with_other_settings_takes_the_place(archive: Archive) -> None:
    engine = archive.engine()
    archive.put(engine, *range(6))
    mover = archive.mover(IndexSettings(shards=2))
    mover.flip(mover.start(OLD_SPACE), 1.0)
    assert order(engine, OLD) == [5, 4, 3, 2, 1, 0]
    assert engine.family.search_type() == "dfs_query_then_fetch"


@pytest.mark.parametrize("cut", ["noted", "made", "moved", "removed"])
def test_a_step_that_was_cut_short_is_gone_on_with(archive: Archive, cut: str) -> None:
    """What a kill leaves between the two halves of a step is made by hand."""
    engine = archive.engine()
    archive.put(engine, 0, 1)
    mover = archive.mover()
    migration = mover.start(NEW_SPACE)
    archive.embed()
    if cut in ("noted", "made"):
        archive.cluster.ask("DELETE", f"/{migration.target}")
        if cut == "made":
            archive.mover().opened(migration)
    else:
        mover.project(mover.opened(migration))
        gone = {"remove": {"index": migration.source, "alias": archive.name}}
        added = {"add": {"index": migration.target, "alias": archive.name}}
        archive.cluster.ask("POST", "/_aliases", {"actions": [gone, added]})
        if cut == "removed":
            archive.cluster.ask("DELETE", f"/{migration.source}")
    after = archive.mover()
    flipped = after.flip(after.state(), 1.0)
    assert (flipped.phase, after.served()) == (FLIPPED, migration.target)
    assert order(engine, NEW) == [0, 1]
    after.clean(flipped, abandon=False)
    assert after.find() is None
    assert order(engine, NEW) == [0, 1]


def test_searches_under_a_flip_and_a_way_back_are_of_one_space_each(archive: Archive) -> None:
    engine = archive.engine()
    archive.put(engine, *range(20), both=True)
    expected = {OLD: list(range(19, -1, -1)), NEW: list(range(20))}
    wrong: list[object] = []
    asked_for: set[str] = set()
    ended = threading.Event()

    def search() -> None:
        while not ended.is_set():
            try:
                encoder = engine.encoders[FIELD]
                found = asked(engine, encoder)
                answer = [int(uri) for uri, _ in versions(engine, found, WIRE)]
            except Exception as error:  # noqa: BLE001 - any failure is what the test looks for
                wrong.append(error)
                return
            asked_for.add(encoder)
            if answer != expected[encoder] or found.degraded:
                wrong.append((encoder, answer, found.degraded))

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    mover = archive.mover()
    migration = mover.start(NEW_SPACE)
    for _ in range(3):
        migration = mover.flip(migration, 1.0)
        asked_for.clear()
        while NEW not in asked_for and not wrong:
            np.linalg.norm(QUERY)
        migration = mover.roll_back(migration, 1.0)
    ended.set()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0]


def test_an_index_before_that_is_gone_is_not_asked(archive: Archive) -> None:
    engine = archive.engine()
    archive.put(engine, 0, 1)
    mover = archive.mover()
    flipped = archive.migrated()
    assert engine.encoders == {FIELD: NEW}
    mover.clean(flipped, abandon=False)
    found = asked(engine, OLD)
    assert found.vectors == ()
    assert "of an encoder that this process does not have" in " ".join(found.degraded)
    assert order(engine, NEW) == [0, 1]
