"""A chunk that goes on in the process that has it: nothing is lost or done twice for that."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from core.errors import StorageFullError
from core.work import JobState, Stage, Tracked
from indexing.work.stages.chunks import CAREFUL_AFTER, ChunkRunner, Order
from indexing.work.stages.stage import StageWork, Stop, Worked
from tests.indexing.work.world import World

PATIENCE_S = 240.0


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
    """Two chunks that are read, and whose process takes what follows, too."""
    for number in range(8):
        world.write(f"{number}.jpg", f"picture look{number}")
    world.here = {Stage.APPLY: 1, Stage.DESCRIBE: 1}
    world.start()
    world.work(1)
    return world


def next_order(world: World) -> Order:
    order = world.orders.next()
    assert isinstance(order, Order)
    return order


def runner_with(world: World, stage: StageWork) -> ChunkRunner:
    stages = {**world.stages(), Stage.APPLY: stage}
    return ChunkRunner(world.jobs, world.orders, stages, lambda _: world.stop, here=world.here)


def check_done(world: World) -> None:
    (job,) = world.jobs.jobs()
    assert job.state is JobState.FINISHED
    assert world.made(job) == {"decoded": 8, "embedded": 8, "written": 8}
    assert len(world.writer.versions) == 8
    assert {len(versions) for versions in world.writer.versions.values()} == {1}
    assert len(world.reader.opened) == 8
    assert {asset.crashes for asset in world.assets(job).values()} == {0}


def test_a_chunk_goes_through_its_stages_in_one_order(busy: World) -> None:
    assert len(busy.orders.waiting) == 2
    runner = busy.runner()
    runner.run(next_order(busy), lambda: False)
    assert len(busy.orders.waiting) == 1
    assert len(busy.writer.versions) == 4
    runner.run(next_order(busy), lambda: False)
    assert not busy.orders.waiting
    check_done(busy)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("times", [1, CAREFUL_AFTER + 1])
def test_a_process_killed_at_what_follows_loses_nothing(
    busy: World, times: int, after: bool
) -> None:
    """The order that it had is carried out again and gives out the next one, once."""
    order = next_order(busy)
    ending = Ending(busy.stages()[Stage.APPLY], Killed(), times, after=after)
    runner = runner_with(busy, ending)
    with pytest.raises(Killed):
        runner.run(order, lambda: False)
    (job,) = busy.jobs.jobs()
    busy.desk.heal(job)  # as a worker does when it begins
    runner.run(order, lambda: False)
    again = [w for w in busy.orders.waiting.values() if isinstance(w[1], Order)]
    assert len(again) == 2  # the other chunk's, and what follows this one's
    for _ in range(times - 1):
        (following,) = [o for _, o, _ in again if isinstance(o, Order) and o.chunk == order.chunk]
        with pytest.raises(Killed):
            runner.run(following, lambda: False)
    busy.work()
    if after:  # the record had them, and nothing of it was made again
        assert {len(versions) for versions in busy.writer.versions.values()} == {1}
        assert len(busy.writer.versions) == 8
        assert busy.jobs.job(job.id).state is JobState.FINISHED
    else:
        check_done(busy)


def test_what_a_killed_process_was_at_needs_no_worker_of_the_queue_that_it_came_from(
    busy: World,
) -> None:
    """Those that are left take `apply` and nothing else."""
    order = next_order(busy)
    ending = Ending(busy.stages()[Stage.APPLY], Killed(), 1, after=False)
    with pytest.raises(Killed):
        runner_with(busy, ending).run(order, lambda: False)
    (job,) = busy.jobs.jobs()
    before = set(busy.orders.waiting)
    busy.desk.heal(job)
    assert set(busy.orders.waiting) == before  # for all that is known, it is at work
    busy.orders.give_again(order)
    busy.desk.heal(job)
    (name,) = set(busy.orders.waiting) - before - {f"{job.id}/{order.chunk}/{order.trail}"}
    _, following, _ = busy.orders.waiting.pop(name)
    assert isinstance(following, Order)
    assert following.stage is Stage.APPLY
    busy.runner().run(following, lambda: False)
    assert len(busy.writer.versions) == 4
    busy.work()
    check_done(busy)


def test_healing_while_a_chunk_goes_on_gives_nothing_out_twice(busy: World) -> None:
    """The same ingest is ordered once more, or another worker begins."""
    before = len(busy.orders.waiting) - 1

    class Healing(Ending):
        def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
            busy.desk.heal(busy.jobs.jobs()[0])
            assert len(busy.orders.waiting) == before
            yield from self.inner.work(assets, stop)

    healing = Healing(busy.stages()[Stage.APPLY], Killed(), 0, after=False)
    runner_with(busy, healing).run(next_order(busy), lambda: False)
    assert len(busy.writer.versions) == 4
    busy.work()
    check_done(busy)


def test_a_job_that_is_halted_in_between_waits(busy: World) -> None:
    (job,) = busy.jobs.jobs()

    class Pausing(Ending):
        def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
            yield from self.inner.work(assets, stop)
            busy.desk.pause(job.id)

    stages = busy.stages()
    stages[Stage.DECODE] = Pausing(stages[Stage.DECODE], Killed(), 0, after=False)
    runner = ChunkRunner(busy.jobs, busy.orders, stages, lambda _: False, here=busy.here)
    runner.run(next_order(busy), lambda: False)
    assert not busy.orders.waiting
    assert not busy.writer.versions
    busy.desk.resume(job.id)
    busy.work()
    check_done(busy)


def test_a_process_that_stops_orders_what_follows(busy: World) -> None:
    stopped = threading.Event()

    class Stopping(Ending):
        def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
            yield from self.inner.work(assets, stop)
            stopped.set()

    stages = busy.stages()
    stages[Stage.DECODE] = Stopping(stages[Stage.DECODE], Killed(), 0, after=False)
    runner = ChunkRunner(busy.jobs, busy.orders, stages, lambda _: True, here=busy.here)
    runner.run(next_order(busy), stopped.is_set)
    assert not busy.writer.versions
    assert len(busy.orders.waiting) == 2
    busy.work()
    check_done(busy)


def test_no_space_at_what_follows_is_nobody_s_failure(busy: World) -> None:
    full = Ending(busy.stages()[Stage.APPLY], StorageFullError("no space left"), 3, after=False)
    runner_with(busy, full).run(next_order(busy), lambda: False)
    assert len(busy.writer.versions) == 4
    busy.work()
    check_done(busy)


def test_no_more_chunks_than_wanted_are_at_a_stage_whoever_brought_them(busy: World) -> None:
    """One comes from the queue, and is at it until the other, which goes on, waits for its turn."""
    queued, going_on = next_order(busy), next_order(busy)
    while queued.stage is not Stage.APPLY:
        ChunkRunner(busy.jobs, busy.orders, busy.stages(), lambda _: False).run(
            queued, lambda: False
        )
        queued = next_order(busy)
    at, most, asked, lock = 0, 0, 0, threading.Lock()
    begun, described, seen = threading.Event(), threading.Event(), threading.Event()

    class Counting(Ending):
        def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
            nonlocal at, most
            with lock:
                at += 1
                most = max(most, at)
                if at > 1:
                    seen.set()  # it did not wait, and nobody is to wait for that
            begun.set()
            seen.wait(PATIENCE_S)
            yield from self.inner.work(assets, stop)
            with lock:
                at -= 1

    class Describing(Ending):
        def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
            yield from self.inner.work(assets, stop)
            described.set()

    def stop() -> bool:
        nonlocal asked
        asked += described.is_set()
        if asked == 3:  # once at the end of `describe`, then by who waits for a turn
            seen.set()
        return False

    stages = busy.stages()
    stages[Stage.APPLY] = Counting(stages[Stage.APPLY], Killed(), 0, after=False)
    stages[Stage.DESCRIBE] = Describing(stages[Stage.DESCRIBE], Killed(), 0, after=False)
    runner = ChunkRunner(busy.jobs, busy.orders, stages, lambda _: False, here=busy.here)
    thread = threading.Thread(target=runner.run, args=(queued, lambda: False))
    thread.start()
    assert begun.wait(PATIENCE_S)
    runner.run(going_on, stop)
    thread.join()
    assert most == 1
    assert asked >= 3
    check_done(busy)
