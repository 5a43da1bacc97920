"""Who gets a thread of a pool next, and whom a full queue refuses."""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from api.access.pool import WorkPool
from core.callers import Caller
from core.errors import BusyError
from tests import own_loop

GREEDY, MODEST, THIRD, OTHER = (
    Caller(name, frozenset()) for name in ("greedy", "modest", "third", "other")
)


class Scene:
    """A pool of one thread that is held, so that everything after it waits."""

    def __init__(self, waiting: int, threads: int = 1, crowded: int | None = None) -> None:
        self.pool = WorkPool("searches", threads, waiting, crowded)
        self.go = threading.Event()
        self.done: list[str] = []

    def call(self, caller: Caller, label: str) -> asyncio.Task[None]:
        def work() -> None:
            self.go.wait(120)
            self.done.append(label)

        return asyncio.get_running_loop().create_task(self.pool.run(work, caller))

    async def settled(self) -> None:
        """Waits until the thread has put away the call that it ended last."""
        loop = asyncio.get_running_loop()
        free = loop.create_future()
        self.pool.leave(lambda: loop.call_soon_threadsafe(free.set_result, None))
        await free

    async def calls(self, caller: Caller, *labels: str) -> list[asyncio.Task[None]]:
        tasks = [self.call(caller, label) for label in labels]
        await asyncio.sleep(0)  # each has its place now
        return tasks


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene(waiting=4)
    yield made
    made.go.set()
    made.pool.close()


def test_callers_take_turns_whoever_came_first(scene: Scene) -> None:
    async def play() -> None:
        tasks = await scene.calls(GREEDY, "g0", "g1", "g2", "g3")
        tasks += await scene.calls(MODEST, "m1")
        scene.go.set()
        await asyncio.gather(*tasks)

    own_loop.run(play())
    assert scene.done == ["g0", "m1", "g1", "g2", "g3"]


def test_a_full_queue_makes_room_for_who_has_less_there(scene: Scene) -> None:
    async def play() -> list[object]:
        tasks = await scene.calls(GREEDY, "g0", "g1", "g2", "g3", "g4")
        tasks += await scene.calls(GREEDY, "too many")
        tasks += await scene.calls(MODEST, "m1", "m2", "too many")
        tasks += await scene.calls(THIRD, "t1", "too many")
        scene.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    refused = [isinstance(one, BusyError) for one in own_loop.run(play())]
    assert scene.done == ["g0", "m1", "t1", "g1", "m2"]
    assert refused == [False, False, True, True, True, True, False, False, True, False, True]


def test_a_free_thread_goes_to_who_has_fewest() -> None:
    pool, begun = WorkPool("searches", 2, 8), queue.Queue[str]()
    ends = {"g": threading.Semaphore(0), "m": threading.Semaphore(0)}

    def work(label: str) -> None:
        begun.put(label)
        ends[label].acquire(timeout=120)

    async def play() -> list[str]:
        callers = [*[(GREEDY, "g")] * 4, *[(MODEST, "m")] * 2]
        tasks = [asyncio.create_task(pool.run(partial(work, label), by)) for by, label in callers]
        await asyncio.sleep(0)  # each has its place now
        order = [begun.get(timeout=120) for _ in range(2)]
        for ended in "ggmg":  # each end lets one begin
            ends[ended].release()
            order.append(begun.get(timeout=120))
        for end in ends.values():
            end.release()
        await asyncio.gather(*tasks)
        return order

    assert own_loop.run(play()) == ["g", "g", "m", "g", "m", "g"]
    pool.close()


class Clock:
    """The pool's time, which goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("api.access.pool.monotonic", made)
    return made


def test_a_burst_fills_the_queue_and_a_crowd_that_stays_shortens_it(clock: Clock) -> None:
    scene = Scene(waiting=4, crowded=1)

    async def play() -> list[asyncio.Task[None]]:
        tasks = await scene.calls(GREEDY, "g0", "g1", "g2", "g3", "g4", "burst")
        clock.now += 0.2
        tasks += await scene.calls(GREEDY, "still", "shortened")  # g1 alone keeps its place
        clock.now += 1.1  # nobody came
        tasks += await scene.calls(GREEDY, "g5", "g6", "g7")
        scene.go.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return tasks

    own_loop.run(play())
    scene.pool.close()
    assert scene.done == ["g0", "g1", "g5", "g6", "g7"]


def test_in_a_crowd_of_many_who_comes_seldom_still_has_a_place(clock: Clock) -> None:
    scene = Scene(waiting=8, crowded=1)
    crowd = [Caller(f"crowd {number}", frozenset()) for number in range(4)]

    async def play() -> None:
        scene.go.set()
        for caller in crowd:  # each has had a turn
            await asyncio.gather(*await scene.calls(caller, "before"))
        await scene.settled()
        scene.go.clear()
        scene.done.clear()
        tasks = [one for caller in crowd for one in await scene.calls(caller, "a", "b", "c")]
        clock.now += 0.2
        for caller in crowd:
            tasks += await scene.calls(caller, "d")
        tasks += await scene.calls(MODEST, "modest")
        for caller in crowd:
            tasks += await scene.calls(caller, "e")
        scene.go.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    own_loop.run(play())
    scene.pool.close()
    assert scene.done[1] == "modest"


def test_nearly_equal_callers_take_no_place_from_each_other_until_one_is_late(
    clock: Clock,
) -> None:
    scene = Scene(waiting=2)

    async def play() -> list[object]:
        scene.go.set()
        for caller in (THIRD, MODEST, GREEDY):  # each has had a turn, in this order
            await asyncio.gather(*await scene.calls(caller, "before"))
        await scene.settled()
        scene.go.clear()
        scene.done.clear()
        tasks = await scene.calls(GREEDY, "runs", "g")
        tasks += await scene.calls(MODEST, "m")
        tasks += await scene.calls(THIRD, "too soon")
        clock.now += 1.1
        tasks += await scene.calls(THIRD, "t")
        scene.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    refused = [isinstance(one, BusyError) for one in own_loop.run(play())]
    scene.pool.close()
    assert refused == [False, True, False, True, False]
    assert scene.done == ["runs", "t", "m"]


def test_what_is_let_in_within_one_turn_of_the_loop_finds_a_place(scene: Scene) -> None:
    def let_in(caller: Caller) -> bool:
        try:
            scene.pool.check(caller)
        except BusyError:
            return False
        return True

    async def play() -> None:
        tasks = await scene.calls(GREEDY, "g0", "g1", "g2", "g3")  # one of four places is left
        assert [let_in(caller) for caller in (GREEDY, GREEDY)] == [True, False]
        assert [let_in(caller) for caller in (MODEST, MODEST, MODEST)] == [True, True, False]
        assert let_in(THIRD)
        tasks += [scene.call(GREEDY, "g4"), scene.call(MODEST, "m1"), scene.call(MODEST, "m2")]
        tasks += [scene.call(THIRD, "t1")]
        await asyncio.sleep(0)
        assert [let_in(caller) for caller in (GREEDY, MODEST, THIRD)] == [False] * 3
        assert let_in(OTHER)  # does not come
        scene.go.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    own_loop.run(play())
    assert sorted(scene.done) == ["g0", "g1", "m1", "m2", "t1"]


def test_who_was_let_in_and_does_not_come_leaves_no_place_taken(scene: Scene) -> None:
    async def play() -> None:
        tasks = await scene.calls(GREEDY, "g0", "g1", "g2", "g3")
        for _ in range(3):
            scene.pool.check(GREEDY)
            await asyncio.sleep(0)
        scene.go.set()
        await asyncio.gather(*tasks)

    own_loop.run(play())


def test_who_has_gone_gives_up_the_place_in_the_queue(scene: Scene) -> None:
    async def play() -> None:
        tasks = await scene.calls(GREEDY, "g0", "g1", "g2", "g3", "g4")
        for task in tasks[2:]:
            task.cancel()
        await asyncio.gather(*tasks[2:], return_exceptions=True)
        tasks = tasks[:2] + await scene.calls(GREEDY, "g5", "g6", "g7")
        scene.go.set()
        await asyncio.gather(*tasks)

    own_loop.run(play())
    assert scene.done == ["g0", "g1", "g5", "g6", "g7"]


def test_what_a_call_raises_reaches_who_waits_and_frees_the_thread(scene: Scene) -> None:
    def fail() -> None:
        raise ValueError("of the work")

    async def play() -> None:
        for _ in range(3):
            with pytest.raises(ValueError, match="of the work"):
                await scene.pool.run(fail, MODEST)

    own_loop.run(play())


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_threads_of_a_pool_that_is_behind_let_the_others_go_first() -> None:
    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    async def ask(pool: WorkPool) -> int:
        return await pool.run(nice, MODEST)

    pools = WorkPool("bulks", 1, 1, behind=True), WorkPool("searches", 1, 1)
    behind, before = (own_loop.run(ask(pool)) for pool in pools)
    assert behind > before == nice()
    for pool in pools:
        pool.close()


def test_what_waits_at_the_end_is_dropped() -> None:
    scene = Scene(waiting=4)

    async def play() -> list[object]:
        tasks = await scene.calls(GREEDY, "g0", "g1", "g2")
        threading.Timer(0.05, scene.go.set).start()
        await asyncio.to_thread(scene.pool.close)
        late = await scene.calls(MODEST, "late")
        return await asyncio.gather(*tasks, *late, return_exceptions=True)

    first, second, third, late = own_loop.run(play())
    assert first is None
    assert scene.done == ["g0"]
    assert isinstance(second, asyncio.CancelledError)
    assert isinstance(third, asyncio.CancelledError)
    assert isinstance(late, BusyError)
