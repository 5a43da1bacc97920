"""Whatever runs together, each caller gets its own answers, in order, or its own error."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BusyError, ModelError, UnavailableError
from core.observation import Event, Stage
from inference.serving import spare_threads
from inference.serving.batch_queue import MOST_FAILURES, BatchQueue
from inference.serving.batches import BatchLimits

Row = tuple[int, ...]
WAIT = 240.0  # seconds; nothing here takes a second unless it hangs


@dataclass
class Model:
    """Answers a row with its sum. Remembers its batches; fails and blocks where it is told to."""

    bad: frozenset[Row] = frozenset()
    gate: threading.Event | None = None  # while not set, calls wait
    batches: list[list[Row]] = field(default_factory=list)
    most_at_once: int = 0
    _running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, rows: Sequence[Row]) -> list[int | Exception]:
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            self.batches.append(list(rows))
        try:
            if self.gate is not None:
                assert self.gate.wait(WAIT)
            if any(row in self.bad for row in rows):
                raise ModelError("a bad row")
            return [sum(row) for row in rows]
        finally:
            with self._lock:
                self._running -= 1


Queue = BatchQueue[Row, int]


@contextmanager
def occupied(queue: Queue, model: Model) -> Iterator[Callable[[], None]]:
    """A queue whose lanes are all taken until the yielded function is called."""
    model.gate = threading.Event()
    with ThreadPoolExecutor(queue.limits.lanes) as pool:
        taken = [pool.submit(queue.run, [(1,)]) for _ in range(queue.limits.lanes)]
        until(lambda: len(model.batches) == queue.limits.lanes)
        try:
            yield model.gate.set
        finally:
            model.gate.set()
        assert [future.result(WAIT) for future in taken] == [[1]] * queue.limits.lanes


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread is about to do."""
    end = perf_counter() + WAIT
    while not condition():
        assert perf_counter() < end, "it never happened"
        time.sleep(0.0005)


def rows_of(lengths: Sequence[int], seed: int) -> list[Row]:
    return [tuple(range(seed, seed + length)) for length in lengths]


lengths = st.lists(st.integers(1, 12), max_size=12)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(lengths, min_size=1, max_size=8),
    st.sampled_from([1, 10, 24, 1000]),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 2.0]),
)
def test_no_row_is_lost_or_swapped(
    callers: list[list[int]], tokens: int, lanes: int, alike: float, wait_ms: float
) -> None:
    model = Model()
    queue = Queue(model, BatchLimits(tokens, lanes, wait_ms, 10**6, alike))
    asked = [rows_of(one, 100 * number) for number, one in enumerate(callers)]
    with ThreadPoolExecutor(len(asked)) as pool:
        found = list(pool.map(queue.run, asked, timeout=WAIT))
    assert found == [[sum(row) for row in rows] for rows in asked]
    seen = sorted(row for batch in model.batches for row in batch)
    assert seen == sorted(row for rows in asked for row in rows)
    assert model.most_at_once <= lanes
    for batch in model.batches:
        longest = max(map(len, batch))
        assert len(batch) == 1 or longest * len(batch) <= tokens
        assert min(map(len, batch)) >= alike * longest
    assert queue.waiting == 0
    queue.close()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(["good", "bad", "mixed"]), min_size=1, max_size=8))
def test_a_bad_row_fails_alone(callers: list[str]) -> None:
    bad = {number: (number, 99) for number, kind in enumerate(callers) if kind != "good"}
    model = Model(bad=frozenset(bad.values()))
    queue = Queue(model, BatchLimits(tokens=16))

    def ask(number: int) -> list[int | Exception]:
        good = [(number, 1)] if callers[number] != "bad" else []
        return queue.run_each([*good, *([bad[number]] if number in bad else [])])

    with occupied(queue, model) as free, ThreadPoolExecutor(len(callers)) as pool:
        futures = [pool.submit(ask, number) for number in range(len(callers))]
        free()
        for number, future in enumerate(futures):
            answers = future.result(WAIT)
            errors = [answer for answer in answers if isinstance(answer, Exception)]
            assert [str(error) for error in errors] == ["a bad row"] * (number in bad)
            assert [a for a in answers if isinstance(a, int)] == [number + 1] * (
                callers[number] != "bad"
            )


def test_a_lone_caller_runs_at_once_in_its_own_thread() -> None:
    seen = []

    def work(rows: Sequence[Row]) -> list[int | Exception]:
        seen.append(threading.get_ident())
        return [len(row) for row in rows]

    queue: Queue = BatchQueue(work, BatchLimits(lanes=2))
    assert queue.run([(5, 5)]) == [2]
    assert queue.run([]) == []
    assert seen == [threading.get_ident()]


def test_those_who_wait_share_a_batch() -> None:
    model = Model()
    queue = Queue(model, BatchLimits(tokens=8))
    with occupied(queue, model) as free, ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(queue.run, [(number, number)]) for number in range(6)]
        until(lambda: queue.waiting == 12)
        free()
        assert [future.result(WAIT) for future in futures] == [[2 * n] for n in range(6)]
    assert [len(batch) for batch in model.batches] == [1, 4, 2]


def test_a_big_request_gives_way_after_each_batch() -> None:
    model = Model()
    queue = Queue(model, BatchLimits(tokens=4))
    with occupied(queue, model) as free, ThreadPoolExecutor(2) as pool:
        big = pool.submit(queue.run, [(1, 1)] * 20)
        until(lambda: queue.waiting == 40)
        small = pool.submit(queue.run, [(7, 7)])
        until(lambda: queue.waiting == 42)
        free()
        assert small.result(WAIT) == [14]
        assert big.result(WAIT) == [2] * 20
    assert (7, 7) in model.batches[2]  # after the one that ran and the big one's first


def test_a_request_of_many_batches_uses_every_lane() -> None:
    model = Model(gate=threading.Event())
    queue = Queue(model, BatchLimits(tokens=4, lanes=3))
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(queue.run, [(1, 1)] * 20)
        until(lambda: model.most_at_once == 3)
        assert model.gate is not None
        model.gate.set()
        assert future.result(WAIT) == [2] * 20
    queue.close()
    assert queue.run([(1, 1)] * 20) == [2] * 20  # without helpers it only takes longer


def run_at_once(model: Model, queue: Queue, rows: Sequence[Row]) -> None:
    """Asks for `rows`, whose first two batches are in the model together before either ends."""
    model.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(queue.run, rows)
        until(lambda: len(model.batches) == 2)
        model.gate.set()
        assert asked.result(WAIT) == [sum(row) for row in rows]


def test_a_batch_is_shared_out_among_lanes_that_are_free() -> None:
    """Ten rows that would fit in one batch: each lane gets five, and both work at the same time."""
    model = Model()
    queue = Queue(model, BatchLimits(tokens=512, lanes=2))
    run_at_once(model, queue, rows_of([48] * 10, 1))
    assert [len(batch) for batch in model.batches] == [5, 5]
    queue.close()


def test_a_lone_request_keeps_its_lanes_equally_long() -> None:
    """Twenty rows of 128 tokens: ten for each lane, whichever ends a batch first."""
    model = Model()
    queue = Queue(model, BatchLimits(tokens=512, lanes=2))
    run_at_once(model, queue, rows_of([128] * 20, 1))
    sizes = [len(batch) for batch in model.batches]
    assert sum(sizes) == 20
    assert sum(sizes[::2]) == sum(sizes[1::2]) == 10
    queue.close()


def test_batches_are_full_again_once_others_wait() -> None:
    model = Model(gate=threading.Event())
    queue = Queue(model, BatchLimits(tokens=512, lanes=2))
    rows = rows_of([128] * 10, 1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(queue.run, rows)
        until(lambda: len(model.batches) == 2)
        assert [len(batch) for batch in model.batches] == [3, 3]
        second = pool.submit(queue.run, rows_of([128] * 4, 500))
        until(lambda: queue.waiting == 8 * 128)
        assert model.gate is not None
        model.gate.set()
        assert first.result(WAIT) == [sum(row) for row in rows]
        second.result(WAIT)
    assert [len(batch) for batch in model.batches[2:]] == [4, 4]
    queue.close()


def test_a_batch_is_not_shared_out_while_others_work() -> None:
    model = Model()
    queue = Queue(model, BatchLimits(tokens=512, lanes=1))
    with occupied(queue, model) as free, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(queue.run, rows_of([48] * 10, 1))
        until(lambda: queue.waiting == 480)
        free()
        asked.result(WAIT)
    assert [len(batch) for batch in model.batches] == [1, 10]
    queue.close()


def test_close_waits_for_a_batch_of_a_helper_and_not_for_callers_that_go_on() -> None:
    """Its helper begins nothing more, though rows wait; they get their answers all the same."""
    helped, gates = [], {True: threading.Event(), False: threading.Event()}

    def work(rows: Sequence[Row]) -> list[int | Exception]:
        helper = threading.current_thread().name.startswith("model")
        helped.append(helper)
        assert gates[helper].wait(WAIT)
        return [sum(row) for row in rows]

    queue: Queue = BatchQueue(work, BatchLimits(tokens=4, lanes=2))
    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(queue.run, [(1, 1)] * 20) for _ in range(3)]
        until(lambda: len(helped) == 2 and queue.waiting == 3 * 40 - 8)
        closing = pool.submit(queue.close)
        assert not closing.done()
        until(lambda: queue._closed)
        gates[True].set()
        closing.result(WAIT)
        assert queue.waiting > 0
        assert helped.count(True) == 1
        gates[False].set()
        assert [caller.result(WAIT) for caller in callers] == [[2] * 20] * 3
    assert helped.count(True) == 1
    assert queue.run([(1, 1)] * 20) == [2] * 20
    assert (queue.free_lanes, queue.waiting) == (2, 0)


class Meanwhile(BatchLimits):
    """Limits that let something happen while they cut a request of several rows."""

    happens: ClassVar[Callable[[], object]]

    def cut(self, lengths: Sequence[int], free: int, *, headed: bool = False) -> tuple[int, ...]:
        if len(lengths) > 1:
            Meanwhile.happens()
        return super().cut(lengths, free, headed=headed)


def test_a_lone_query_goes_in_while_a_request_is_cut() -> None:
    model = Model()
    queue = Queue(model, Meanwhile(tokens=512, lanes=2))
    with ThreadPoolExecutor(1) as pool:
        Meanwhile.happens = lambda: pool.submit(queue.run, [(7,)]).result(WAIT)
        queue.run(rows_of([128] * 10, 1))
    assert model.batches[0] == [(7,)]
    assert sum(map(len, model.batches)) == 11
    assert max(map(len, model.batches)) == 3  # the cut for two lanes, which are free again
    queue.close()


def test_a_cut_is_given_up_where_a_lane_was_taken_meanwhile() -> None:
    gate = threading.Event()
    model = Model()

    def work(rows: Sequence[Row]) -> list[int | Exception]:
        found = model(rows)
        assert rows != [(7,)] or gate.wait(WAIT)
        return found

    queue: Queue = BatchQueue(work, Meanwhile(tokens=512, lanes=2))
    with ThreadPoolExecutor(1) as pool:

        def taken() -> None:
            pool.submit(queue.run, [(7,)])
            until(lambda: queue.free_lanes == 1)

        Meanwhile.happens = taken
        queue.run(rows_of([128] * 10, 1))
        gate.set()
    assert [len(batch) for batch in model.batches if batch != [(7,)]] == [4, 4, 2]
    queue.close()


@contextmanager
def no_thread_to_be_had() -> Iterator[None]:
    """Threads can't be started, as where the system has none left."""

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        yield


@pytest.mark.parametrize("lanes", [2, 3])
def test_where_no_thread_can_be_started_no_lane_is_lost_or_made(
    lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spare_threads, "PAUSE", 0.0)
    model = Model()
    queue = Queue(model, BatchLimits(tokens=4, lanes=lanes))
    with no_thread_to_be_had():
        for _ in range(3):
            assert queue.run([(1, 1)] * 20) == [2] * 20
            assert queue.free_lanes == lanes
        assert model.most_at_once == 1
    # What was asked for in vain must not run now, beside the helpers that can be had.
    model.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(queue.run, [(1, 1)] * 20)
        until(lambda: model.most_at_once == lanes)
        assert queue.free_lanes == 0
        model.gate.set()
        assert asked.result(WAIT) == [2] * 20
    queue.close()
    assert model.most_at_once == lanes
    assert queue.free_lanes == lanes


def test_what_no_thread_was_there_for_is_never_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the threads that are there nor by those to come, which do all else."""
    done: list[int] = []
    gate, now = threading.Event(), 0.0
    monkeypatch.setattr(spare_threads, "perf_counter", lambda: now)

    def held() -> None:
        assert gate.wait(WAIT)
        done.append(1)

    threads = spare_threads.SpareThreads(2, name="spare")
    assert threads.start(held)
    with no_thread_to_be_had():
        assert not threads.start(lambda: done.append(2))
    assert not threads.start(lambda: done.append(3))  # not asked for again at once
    now = 60.0
    assert threads.start(lambda: done.append(4))
    until(lambda: done == [4])  # beside the one that is held
    gate.set()
    threads.close()
    assert done == [4, 1]
    assert not threads.start(lambda: done.append(5))
    assert not spare_threads.SpareThreads(0, name="none").start(held)


@pytest.mark.timed
def test_a_full_queue_refuses_at_once() -> None:
    model = Model()
    queue = Queue(model, BatchLimits(tokens=4, waiting_tokens=10))
    with occupied(queue, model) as free, ThreadPoolExecutor(2) as pool:
        first = pool.submit(queue.run, [(1,) * 9])
        until(lambda: queue.waiting == 9)
        began = perf_counter()
        with pytest.raises(BusyError, match="9 tokens wait"):
            queue.run([(2, 2)])
        assert perf_counter() - began < 1
        last = pool.submit(queue.run, [(3,)])
        until(lambda: queue.waiting == 10)
        free()
        assert (first.result(WAIT), last.result(WAIT)) == ([9], [3])
    assert queue.run([(1,) * 50]) == [50]  # alone it may be as long as it likes


def test_whoever_gives_up_is_dropped() -> None:
    model = Model()
    queue = Queue(model, BatchLimits(tokens=4))
    with occupied(queue, model) as free, ThreadPoolExecutor(2) as pool:
        patient = pool.submit(queue.run, [(4, 4)])
        until(lambda: queue.waiting == 2)
        with pytest.raises(BusyError, match="busy"):
            queue.run([(5, 5)] * 3, until=perf_counter() + 0.02)
        assert queue.waiting == 2
        free()
        assert patient.result(WAIT) == [8]
    assert (5, 5) not in [row for batch in model.batches for row in batch]


def test_without_time_nothing_is_begun() -> None:
    model = Model()
    queue = Queue(model, BatchLimits(tokens=4))
    found = queue.run_each([(1,), (2,)], until=perf_counter())
    assert [type(answer) for answer in found] == [BusyError, BusyError]
    assert model.batches == []


@pytest.mark.timed
def test_a_request_that_runs_out_of_time_keeps_what_it_has() -> None:
    def work(rows: Sequence[Row]) -> list[int | Exception]:
        while perf_counter() < end:  # the first batch takes all the time there is
            time.sleep(0.001)
        return [sum(row) for row in rows]

    queue: Queue = BatchQueue(work, BatchLimits(tokens=4))
    end = perf_counter() + 0.05
    found = queue.run_each([(1, 1), (2, 2), (3, 3)], until=end)
    assert found[:2] == [2, 4]
    assert isinstance(found[2], BusyError)
    assert queue.waiting == 0


@pytest.mark.timed
def test_answers_are_told_until_the_caller_goes() -> None:
    """Two lanes: the caller's own batch ends, the helper's only after the caller has gone."""
    gate, helping = threading.Event(), threading.Event()

    def work(rows: Sequence[Row]) -> list[int | Exception]:
        if threading.current_thread().name.startswith("model"):
            helping.set()
            assert gate.wait(WAIT)
        else:
            assert helping.wait(WAIT)
        return [sum(row) for row in rows]

    told: dict[int, int | Exception] = {}
    queue: Queue = BatchQueue(work, BatchLimits(tokens=4, lanes=2))
    found = queue.run_each([(1, 1, 1), (2, 2, 2)], until=perf_counter() + 0.2, told=told.update)
    gate.set()
    queue.close()  # waits for the helper
    answered = {index: one for index, one in enumerate(found) if isinstance(one, int)}
    assert told == answered
    assert len(told) < 2


def test_a_listener_that_fails_disturbs_nobody() -> None:
    def hear(found: Mapping[int, int | Exception]) -> None:
        raise ValueError("no")

    queue = Queue(Model(), BatchLimits(tokens=4))
    assert queue.run_each([(1, 1)] * 6, told=hear) == [2] * 6


def test_the_head_goes_in_before_longer_rows() -> None:
    model = Model()
    queue = Queue(model, BatchLimits(tokens=300, lanes=2))
    rows = rows_of([16, *[128] * 5], 1)
    assert queue.run_each(rows, headed=True) == [sum(row) for row in rows]
    assert rows[0] in model.batches[0] or rows[0] in model.batches[1]  # two lanes begin at once
    single = Model()
    assert Queue(single, BatchLimits(tokens=300)).run_each(rows, headed=True)
    assert [len(batch) for batch in single.batches] == [1, 2, 2, 1]
    assert single.batches[0] == rows[:1]
    queue.close()


def test_a_batch_waits_for_more_if_it_may() -> None:
    model = Model()
    queue = Queue(model, BatchLimits(tokens=8, wait_ms=WAIT * 1000))
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(queue.run, [(number, number)]) for number in range(4)]
        assert [future.result(WAIT) for future in futures] == [[0], [2], [4], [6]]
    assert [len(batch) for batch in model.batches] == [4]


def test_the_wait_is_bounded() -> None:
    queue = Queue(Model(), BatchLimits(tokens=8, wait_ms=5))
    assert queue.run([(1,)]) == [1]


class Death(BaseException):
    """What ends a thread: KeyboardInterrupt, SystemExit, or a caller that was killed."""


def test_a_thread_that_dies_in_a_batch_leaves_the_others_their_answers() -> None:
    model = Model()
    deaths = iter([True])

    def work(rows: Sequence[Row]) -> list[int | Exception]:
        if len(rows) > 1 and next(deaths, False):
            raise Death
        return model(rows)

    queue: Queue = BatchQueue(work, BatchLimits(tokens=100))
    with occupied(queue, model) as free, ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(queue.run, [(number,)]) for number in range(4)]
        until(lambda: queue.waiting == 4)
        free()
        died = [future for future in futures if isinstance(future.exception(WAIT), Death)]
        lived = [future.result(WAIT) for future in futures if future not in died]
    assert len(died) == 1
    assert len(lived) == 3
    assert queue.run([(9,)]) == [9]  # the lane was given back
    assert queue.waiting == 0


def test_a_caller_that_dies_alone_gives_its_lane_back() -> None:
    deaths = iter([True])

    def work(rows: Sequence[Row]) -> list[int | Exception]:
        if next(deaths, False):
            raise Death
        return [sum(row) for row in rows]

    queue: Queue = BatchQueue(work, BatchLimits())
    with pytest.raises(Death):
        queue.run([(1,)])
    assert queue.run([(1,)]) == [1]


@pytest.mark.timed
def test_a_lane_is_not_handed_to_a_caller_who_has_gone() -> None:
    """One gives up while its row runs in another's thread, and then that thread dies."""
    model, gone = Model(), threading.Event()

    def work(rows: Sequence[Row]) -> list[int | Exception]:
        if (3, 3) in rows:
            assert gone.wait(WAIT)
            raise Death
        return model(rows)

    queue: Queue = BatchQueue(work, BatchLimits(tokens=100))
    with occupied(queue, model) as free, ThreadPoolExecutor(2) as pool:
        leader = pool.submit(queue.run, [(2, 2)])
        until(lambda: queue.waiting == 2)
        hasty = pool.submit(queue.run_each, [(3, 3)], until=perf_counter() + 1.0)
        until(lambda: queue.waiting == 4)
        free()
        assert isinstance(hasty.result(WAIT)[0], BusyError)
        gone.set()
        assert isinstance(leader.exception(WAIT), Death)
    assert (queue.free_lanes, queue.waiting) == (1, 0)
    assert queue.run([(1,)]) == [1]


def test_rows_whose_threads_keep_dying_fail() -> None:
    """Helpers that die must not be sent in for ever."""

    def work(rows: Sequence[Row]) -> list[int | Exception]:
        if threading.current_thread() is not me:
            raise Death
        gate.wait(WAIT)
        return [sum(row) for row in rows]

    gate = threading.Event()
    queue: Queue = BatchQueue(work, BatchLimits(tokens=1, lanes=2))
    with ThreadPoolExecutor(1) as pool:
        me = pool.submit(threading.current_thread).result(WAIT)
        future = pool.submit(queue.run_each, [(1,)] * 10)
        until(lambda: queue.waiting == 0)  # the caller runs one row, its helpers die with the rest
        gate.set()
        found = future.result(WAIT)
    assert {type(answer) for answer in found} <= {int, ModelError}
    assert queue.waiting == 0


def test_a_broken_model_is_not_asked_row_by_row_for_ever() -> None:
    model = Model(bad=frozenset({(1, 1)}))
    queue = Queue(model, BatchLimits(tokens=1000))
    found = queue.run_each([(1, 1)] * 100)
    assert all(isinstance(answer, ModelError) for answer in found)
    assert len(model.batches) == 1 + MOST_FAILURES


@pytest.mark.parametrize("kind", [BusyError, UnavailableError])
def test_a_model_that_is_busy_or_away_is_not_asked_row_by_row(
    kind: type[BusyError | UnavailableError],
) -> None:
    calls = []

    def work(rows: Sequence[Row]) -> list[int | Exception]:
        calls.append(len(rows))
        raise kind("elsewhere")

    queue: Queue = BatchQueue(work, BatchLimits())
    with pytest.raises(kind, match="elsewhere"):
        queue.run([(1,), (2,)])
    assert calls == [2]


def test_answers_that_are_too_few_are_an_error() -> None:
    queue: Queue = BatchQueue(lambda rows: [1], BatchLimits())
    assert queue.run([(1,)]) == [1]
    assert queue.run([(1,), (2,)]) == [1, 1]  # right when asked alone
    queue = BatchQueue(lambda rows: [], BatchLimits())
    with pytest.raises(ModelError, match="0 answers for 1"):
        queue.run([(1,)])


class Told:
    """A watch that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[Stage, float]] = []
        self.events: list[tuple[Event, int]] = []

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        self.stages.append((stage, ended - began))

    def counted(self, event: Event, amount: int) -> None:
        self.events.append((event, amount))

    def total(self, event: Event) -> int:
        return sum(amount for kind, amount in self.events if kind is event)


@pytest.mark.timed
def test_time_in_the_queue_is_told_apart_from_time_in_the_model() -> None:
    told, model = Told(), Model()
    queue: Queue = BatchQueue(model, BatchLimits(tokens=4, waiting_tokens=4), watch=told)
    with occupied(queue, model) as free, ThreadPoolExecutor(1) as pool:
        waits = pool.submit(queue.run, [(1, 1), (2, 2)])
        until(lambda: queue.waiting == 4)
        assert told.total(Event.WAITING) == 2
        with pytest.raises(BusyError):
            queue.run([(1,)])
        began = perf_counter()
        until(lambda: perf_counter() - began > 0.02)
        free()
        waits.result(WAIT)
    assert told.total(Event.WAITING) == 0
    assert told.total(Event.REFUSED) == 1
    assert told.total(Event.BATCH_ROWS) == 3
    assert told.total(Event.BATCH_TOKENS) == 5
    queued = [seconds for stage, seconds in told.stages if stage is Stage.QUEUE]
    inside = [seconds for stage, seconds in told.stages if stage is Stage.INFERENCE]
    assert len(queued) == len(inside) == 2
    assert min(queued) < 0.01 < 0.02 <= max(queued)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([0.0, 1.0]))
def test_in_any_mishap_everyone_is_answered_and_every_lane_comes_back(
    seed: int, lanes: int, wait_ms: float
) -> None:
    """Threads that die, rows that fail, callers that give up, a queue that is full, all at once."""
    chance = random.Random(seed)

    def work(rows: Sequence[Row]) -> list[int | Exception]:
        fate = chance.random()
        if fate < 0.03:
            raise Death
        if fate < 0.1:
            raise ModelError("now and then")
        time.sleep(0.001 if fate < 0.2 else 0)
        return [sum(row) for row in rows]

    queue: Queue = BatchQueue(work, BatchLimits(16, lanes, wait_ms, 200, chance.choice([0.0, 1.0])))

    def ask(number: int) -> None:
        own = random.Random(seed + number)
        for _ in range(10):
            rows = rows_of([own.randint(1, 8) for _ in range(own.randint(1, 12))], number)
            end = None if own.random() < 0.5 else perf_counter() + own.random() * 0.003
            try:
                found = queue.run_each(rows, until=end)
            except (BusyError, Death):
                continue
            for row, answer in zip(rows, found, strict=True):
                assert answer == sum(row) or isinstance(answer, BusyError | ModelError)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(ask, number) for number in range(8)]:
            future.result(WAIT)
    queue.close()  # waits for helpers that still run rows nobody wants any more
    assert queue.waiting == 0
    assert queue.free_lanes == lanes
