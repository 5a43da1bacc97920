"""Processes that end, stop or find no space at a stage: nothing is lost or done twice for that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from core.errors import StorageFullError
from core.work import JobState, Order, Stage, Tracked
from indexing.work.stages.chunks import CAREFUL_AFTER, ChunkRunner
from indexing.work.stages.stage import StageWork, Stop, Worked
from tests.indexing.work.world import World


class Killed(BaseException):
    """The end of a process, as far as the objects in it can tell."""


class Ending:
    """A stage that ends the process before or after its work, or finds no space, `times` times."""

    def __init__(self, inner: StageWork, error: BaseException, times: int, *, after: bool) -> None:
        self.inner = inner
        self.error = error
        self.left = times
        self.after = after

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        found = list(self.inner.work(assets, stop)) if self.after or not self.left else []
        if self.left:
            self.left -= 1
            raise self.error
        yield from found


@pytest.fixture
def busy(world: World) -> World:
    """Two chunks that are read, of which the first is to be applied."""
    for number in range(8):
        world.write(f"{number}.jpg", f"picture look{number}")
    world.start()
    world.work(5)  # reads, decodes and describes both
    assert [row.queue for row in world.orders.waiting] == ["apply", "apply"]
    return world


def next_order(world: World) -> Order:
    order = world.orders.next()
    assert order is not None
    return order


def runner_with(world: World, stage: StageWork) -> ChunkRunner:
    stages = {**world.stages(), Stage.APPLY: stage}
    return ChunkRunner(world.jobs, world.orders, stages, lambda _: world.stop)


def check_done(world: World) -> None:
    (job,) = world.jobs.jobs()
    assert job.state is JobState.FINISHED
    assert len(world.writer.versions) == 8
    assert {len(versions) for versions in world.writer.versions.values()} == {1}
    assert len(world.reader.opened) == 8
    assert {asset.crashes for asset in world.assets(job).values()} == {0}
    assert not world.orders.waiting


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("times", [1, CAREFUL_AFTER + 1])
def test_a_killed_process_s_order_goes_to_the_next(busy: World, times: int, after: bool) -> None:
    """What the record had by then is not made again."""
    ending = Ending(busy.stages()[Stage.APPLY], Killed(), times, after=after)
    runner = runner_with(busy, ending)
    for number in range(times):
        order = next_order(busy)
        assert order.taken == number + 1
        with pytest.raises(Killed):
            runner.run(order, lambda: False)
        assert len(busy.orders.waiting) == 1  # the other chunk's: for all that is known, it goes on
        busy.orders.forsake()
    busy.work()
    check_done(busy)


def test_a_job_that_is_halted_in_between_waits(busy: World) -> None:
    (job,) = busy.jobs.jobs()

    class Pausing(Ending):
        def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
            yield from self.inner.work(assets, stop)
            busy.desk.pause(job.id)

    pausing = Pausing(busy.stages()[Stage.APPLY], Killed(), 0, after=False)
    runner_with(busy, pausing).run(next_order(busy), lambda: False)
    assert not busy.orders.waiting
    assert len(busy.writer.versions) == 4
    busy.desk.resume(job.id)
    busy.work()
    check_done(busy)


def test_a_process_that_stops_leaves_the_rest_of_its_chunk_to_others(busy: World) -> None:
    class Stopping(Ending):
        def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
            yield from self.inner.work(assets[:1], stop)

    stopping = Stopping(busy.stages()[Stage.APPLY], Killed(), 0, after=False)
    runner_with(busy, stopping).run(next_order(busy), lambda: False)
    assert len(busy.writer.versions) == 1
    assert busy.orders.delays() == [0.0, 0.0]
    busy.work()
    check_done(busy)


def test_no_space_is_nobody_s_failure_and_no_crash(busy: World) -> None:
    error = StorageFullError("no space left")
    full = Ending(busy.stages()[Stage.APPLY], error, 3, after=False)
    runner_with(busy, full).run(next_order(busy), lambda: False)
    assert len(busy.writer.versions) == 4
    busy.work()
    check_done(busy)
