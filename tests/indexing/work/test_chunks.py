"""Orders: an asset fails alone, nothing is lost or done twice, whatever ends a process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from core.errors import StorageFullError
from core.work import AssetState, JobState, Order, Stage, Tracked
from indexing.work.stages.chunks import CAREFUL_AFTER, CRASHES_ALONE, ChunkRunner
from indexing.work.stages.stage import StageWork, Stop, Worked
from tests.indexing.work.world import World


def taken(world: World) -> Order:
    """The next order that decodes."""
    order = world.orders.next()
    assert order is not None
    assert order.stage is Stage.DECODE
    return order


def test_an_ingest_goes_through_every_stage_and_a_second_one_computes_nothing(
    world: World,
) -> None:
    for number in range(6):
        world.write(f"{number}.jpg", f"picture look{number}")
    world.write("clip.mp4", "video one two three")
    first = world.ingest()
    assert first.state is JobState.FINISHED
    assert world.made(first) == {"decoded": 7, "shots": 3, "embedded": 7, "written": 7}
    assert len(world.writer.versions) == 7
    opened = list(world.reader.opened)
    second = world.ingest()
    assert second.id != first.id
    assert second.state is JobState.FINISHED
    assert world.jobs.counts(second.id).found == 7
    assert world.made(second) == {}
    assert world.reader.opened == opened
    assert {len(versions) for versions in world.writer.versions.values()} == {1}


def test_a_poison_file_is_a_dead_letter_after_three_tries_and_its_chunk_goes_on(
    world: World,
) -> None:
    for name in ("a.jpg", "c.jpg", "d.jpg"):
        world.write(name, f"picture {name[0]}")
    world.write("b.jpg", "poison")
    job = world.ingest()
    assets = world.assets(job)
    assert assets["b.jpg"].state is AssetState.DEAD
    assert assets["b.jpg"].stage is Stage.DECODE
    assert assets["b.jpg"].attempts == 3
    assert "can't be decoded" in assets["b.jpg"].cause
    assert {name for name, a in assets.items() if a.stage is Stage.DONE} == {
        "a.jpg",
        "c.jpg",
        "d.jpg",
    }
    assert job.state is JobState.FINISHED
    tries = [name for what, name in world.reader.opened if (what, name) == ("picture", "b.jpg")]
    assert len(tries) == 3


def test_later_tries_come_later(world: World) -> None:
    world.write("b.jpg", "poison")
    world.start()
    runner, delays = world.runner(), []
    world.work(1)  # reads
    while (order := world.orders.next()) is not None:
        runner.run(order, lambda: False)
        delays += world.orders.delays()
    assert delays == [2.0, 4.0]


def test_a_dead_letter_is_mended_and_replayed(world: World) -> None:
    path = world.write("b.jpg", "poison")
    world.write("b.jpg.json", json.dumps({"headline": "Old words"}))
    job = world.ingest()
    assert world.desk.replay(job.id) == 1
    world.work()
    assert world.assets(job)["b.jpg"].state is AssetState.DEAD
    path.write_text("picture mended", "utf-8")
    world.write("b.jpg.json", json.dumps({"headline": "New words"}))
    assert world.desk.replay(job.id, [0]) == 1
    assert world.jobs.job(job.id).state is JobState.RUNNING
    world.work()
    assert world.assets(job)["b.jpg"].state is AssetState.DONE
    assert world.jobs.job(job.id).state is JobState.FINISHED
    (versions,) = world.writer.versions.values()
    assert [put.item.headline for put in versions.values()] == ["New words"]


def test_a_dead_letter_s_file_may_have_moved(world: World) -> None:
    path = world.write("b.jpg", "poison")
    job = world.ingest()
    path.unlink()
    assert world.desk.replay(job.id) == 0
    assert "can't be read" in world.assets(job)["b.jpg"].cause
    elsewhere = world.folder / "mended.jpg"
    elsewhere.write_text("picture mended", "utf-8")
    world.desk.move(job.id, 0, str(elsewhere))
    assert world.desk.replay(job.id) == 1
    world.work()
    assert world.assets(job)["mended.jpg"].state is AssetState.DONE


def test_what_is_given_up_is_listed_no_more(world: World) -> None:
    world.write("b.jpg", "poison")
    job = world.ingest()
    assert world.desk.drop(job.id, [0]) == 1
    assert world.jobs.find(job.id, [AssetState.DEAD]) == ()
    assert world.jobs.counts(job.id).dead() == 0


def test_an_order_carried_out_twice_does_nothing_the_second_time(world: World) -> None:
    for name in "abc":
        world.write(f"{name}.jpg", f"picture {name}")
    world.start()
    world.work(1)
    runner = world.runner()
    while (order := world.orders.next()) is not None:
        runner.run(order, lambda: False)
        before = (list(world.reader.opened), len(world.writer.batches), world.orders.waiting)
        runner.run(order, lambda: False)
        after = (list(world.reader.opened), len(world.writer.batches), world.orders.waiting)
        assert after == before
    assert len(world.writer.versions) == 3


def test_those_that_are_done_go_on_while_the_others_of_their_chunk_are_tried_again(
    world: World,
) -> None:
    for name in "abcd":
        world.write(f"{name}.jpg", f"picture {name}")
    job = world.start()
    world.work(1)
    killer = Killer("c.jpg")
    stages = {**world.stages(), Stage.DECODE: killer}
    runner = ChunkRunner(world.jobs, world.orders, stages, lambda _: False)
    for _ in range(CAREFUL_AFTER + 1):  # the last time one by one: a, b and d are done
        with pytest.raises(Killed):
            runner.run(taken(world), lambda: False)
        assert [row.queue for row in world.orders.waiting if row.queue == "decode"] == []
        world.orders.forsake()
    stages_now = {asset.stage for asset in world.assets(job).values()}
    assert stages_now == {Stage.DECODE, Stage.DESCRIBE}
    assert {row.queue for row in world.orders.waiting} == {"decode", "describe"}
    killer.name = ""
    world.work()
    assert {asset.stage for asset in world.assets(job).values()} == {Stage.DONE}


def test_who_carries_an_order_out_too_late_changes_nothing(world: World) -> None:
    """A worker that was silent for long, whose order went to another one meanwhile."""
    for name in "ab":
        world.write(f"{name}.jpg", f"picture {name}")
    job = world.start()
    world.work(1)
    order = taken(world)

    class Slow:
        def __init__(self, inner: StageWork) -> None:
            self.inner = inner

        def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
            found = list(self.inner.work(assets, stop))
            world.orders.forsake()
            world.work()  # the other one, which is quicker
            yield from found

    slow = Slow(world.stages()[Stage.DECODE])
    ChunkRunner(world.jobs, world.orders, {Stage.DECODE: slow}, lambda _: False).run(
        order, lambda: False
    )
    world.work()
    assert {asset.stage for asset in world.assets(job).values()} == {Stage.DONE}
    assert world.jobs.job(job.id).state is JobState.FINISHED
    assert len(world.writer.batches) == 1


@pytest.mark.parametrize("halt", ["pause", "cancel"])
@pytest.mark.parametrize("done", [0, 1, 2, 3, 5])
def test_a_halted_job_does_nothing_and_goes_on_when_it_is_resumed(
    world: World, halt: str, done: int
) -> None:
    for number in range(10):
        world.write(f"{number}.jpg", f"picture look{number}")
    job = world.start()
    world.work(done)
    getattr(world.desk, halt)(job.id)
    opened = len(world.reader.opened)
    world.work()
    assert len(world.reader.opened) == opened
    assert len(world.writer.versions) < 10
    world.desk.resume(job.id)
    world.work()
    assert world.jobs.job(job.id).state is JobState.FINISHED
    assert len(world.writer.versions) == 10
    assert len(world.reader.opened) == 10


def test_a_process_that_is_told_to_stop_leaves_the_rest_ordered(world: World) -> None:
    for number in range(4):
        world.write(f"{number}.jpg", f"picture look{number}")
    job = world.start()
    world.work(1)
    world.stop = True
    world.work(1)
    assert not world.writer.versions
    assert len(world.orders.waiting) == 1
    assert all(asset.attempts == 0 for asset in world.assets(job).values())
    world.stop = False
    world.work()
    assert len(world.writer.versions) == 4
    assert len(world.reader.opened) == 4


class FullAtFirst:
    """A stage that finds no space a few times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        if self.left:
            self.left -= 1
            raise StorageFullError("no space left to write")
        yield from (Worked(asset) for asset in assets)


def test_no_space_is_nobody_s_failure(world: World) -> None:
    world.write("a.jpg", "picture a")
    job = world.start()
    world.work(1)
    told: list[str] = []

    def wait(_: float) -> bool:
        told.append(world.jobs.job(job.id).trouble)
        return False

    stage = FullAtFirst(3)
    runner = ChunkRunner(world.jobs, world.orders, {Stage.DECODE: stage}, wait)
    order = taken(world)
    runner.run(order, lambda: False)
    assert ["no space" in trouble for trouble in told] == [True] * 3
    assert world.jobs.job(job.id).trouble == ""
    assert world.assets(job)["a.jpg"].attempts == 0
    assert world.assets(job)["a.jpg"].stage is Stage.DESCRIBE


class Killed(BaseException):
    """The end of a process, as far as the objects in it can tell."""


class Killer:
    """A stage in which one file ends the process, and what was begun of the others is lost."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begun: list[str] = []

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        for asset in assets:
            name = Path(asset.found.location).name
            self.begun.append(name)
            if name == self.name:
                raise Killed
            yield Worked(asset)


def test_a_file_that_ends_the_process_each_time_is_a_dead_letter_and_the_others_go_on(
    world: World,
) -> None:
    for name in "abcd":
        world.write(f"{name}.jpg", f"picture {name}")
    job = world.start()
    world.work(1)
    killer = Killer("c.jpg")
    runner = ChunkRunner(world.jobs, world.orders, {Stage.DECODE: killer}, lambda _: False)
    ends, order = 0, taken(world)
    while True:
        try:
            runner.run(order, lambda: False)
        except Killed:
            ends += 1
            assert ends < 50
            world.orders.forsake()
            order = taken(world)
        else:
            break
    assert ends == CAREFUL_AFTER + CRASHES_ALONE
    assets = world.assets(job)
    assert assets["c.jpg"].state is AssetState.DEAD
    assert "ended" in assets["c.jpg"].cause
    others = [assets[f"{name}.jpg"] for name in "abd"]
    assert {asset.stage for asset in others} == {Stage.DESCRIBE}
    assert {asset.crashes for asset in others} == {0}


def test_the_chunk_of_an_unforeseen_error_goes_on_without_the_one_it_is_about(
    world: World,
) -> None:
    class Broken(Killer):
        def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
            for worked in (Worked(asset) for asset in assets):
                if Path(worked.asset.found.location).name == self.name:
                    raise ZeroDivisionError("by zero")
                yield worked

    for name in "abc":
        world.write(f"{name}.jpg", f"picture {name}")
    job = world.start()
    world.work(1)
    stages = {Stage.DECODE: Broken("b.jpg")}
    runner = ChunkRunner(world.jobs, world.orders, stages, lambda _: False, tries=1)
    order = taken(world)
    runner.run(order, lambda: False)
    assets = world.assets(job)
    assert assets["b.jpg"].state is AssetState.DEAD
    assert "ZeroDivisionError: by zero" in assets["b.jpg"].cause
    assert {assets[f"{name}.jpg"].stage for name in "ac"} == {Stage.DESCRIBE}


def test_wire_goes_before_backfill(world: World) -> None:
    from core.work import Priority
    from indexing.work.request import Request

    for number in range(8):
        world.write(f"old/{number}.jpg", f"picture old{number}")
    world.write("new/now.jpg", "picture now")
    old = world.desk.start(Request((str(world.folder / "in" / "old"),)), Priority.BACKFILL)
    world.work(1)
    new = world.desk.start(Request((str(world.folder / "in" / "new"),)), Priority.WIRE)
    world.work(4)  # read, decode, describe, apply
    assert world.jobs.job(new.id).state is JobState.FINISHED
    assert world.jobs.job(old.id).state is JobState.RUNNING
    world.work()
    assert world.jobs.job(old.id).state is JobState.FINISHED
