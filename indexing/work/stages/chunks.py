"""Carries out one order: a stage for a chunk, each asset on its own.

What succeeds goes on to the next stage at once. What fails is tried again later, up to `tries`
times, and is then a dead letter with its cause. When the record or the ledger can't be written (a
full disk, a database that is restarted), nothing counts as a failure: the order waits and goes on.

What follows an order is an order of its own. Where this process takes those of the next stage, too,
it goes on with the chunk at once, and nobody is told: should it end before that is done, the first
order is carried out again, finds nothing to do, and gives out what follows it.

Assets are marked while they are worked on. Where a mark is found several times, the chunk may have
a file in it that ends the whole process: from then on it is done one asset at a time, and one that
was under way alone each time that the process ended is a dead letter while the others go on.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import repeat

from core.errors import DatelineError, StorageError
from core.work import SIGNS, AssetState, JobState, Stage, Tracked
from core.work_ports import Jobs, WorkOrders
from indexing.work.stages.stage import StageWork, Stop, Worked

log = logging.getLogger(__name__)

TRIES = 3
CAREFUL_AFTER = 3  # times that an asset was begun and not ended
CRASHES_ALONE = 30  # more of them, until it is a dead letter: hosts fail often, files seldom
FIRST_RETRY_S = 2.0
_PATIENCE_S = (0.5, 1, 2, 5, 10, 30)
# Where a stage leads that says nothing else of an asset.
_NEXT = {
    Stage.DECODE: Stage.DESCRIBE,
    Stage.SHOTS: Stage.DESCRIBE,
    Stage.DESCRIBE: Stage.APPLY,
    Stage.EMBED: Stage.APPLY,
    Stage.APPLY: Stage.DONE,
}
_RETRY = "r"
_LOOK_S = 0.2  # how often who waits for its turn asks whether to stop
_NOTHING: Mapping[Stage, int] = {}

Wait = Callable[[float], bool]  # waits, and says whether it was told to stop


@dataclass(frozen=True, slots=True)
class Order:
    """A stage for a chunk. `trail` tells it from every other order for the same chunk."""

    job: str
    chunk: int
    stage: Stage
    trail: str


class ChunkRunner:
    """Carries out orders, several at a time. `wait` ends early when the process is to stop. `here`
    names the stages that a chunk goes on to in this process, and how many are at each.
    """

    def __init__(
        self,
        jobs: Jobs,
        orders: WorkOrders,
        stages: Mapping[Stage, StageWork],
        wait: Wait,
        *,
        tries: int = TRIES,
        first_retry_s: float = FIRST_RETRY_S,
        here: Mapping[Stage, int] = _NOTHING,
    ) -> None:
        self._jobs = jobs
        self._orders = orders
        self._stages = stages
        self._wait = wait
        self._tries = tries
        self._first_retry_s = first_retry_s
        self._turns = {stage: threading.Semaphore(count) for stage, count in here.items()}

    def run(self, order: Order, stop: Stop) -> None:
        """Does what is left to do of an order, and of what follows it here."""
        orders = [order]
        for each in orders:
            orders += self._carry_out(each, stop)

    def _carry_out(self, order: Order, stop: Stop) -> Sequence[Order]:
        """The orders that are to be carried out next by the same process."""
        trouble = ""
        for pause in _pauses():
            try:
                following = self._run(order, stop)
            except StorageError as error:
                trouble = str(error)
                self._tell(order.job, trouble)
                if self._wait(pause) or stop():
                    break
            else:
                if trouble:
                    self._tell(order.job, "")
                return following
        return self._follow(order, here=False)

    def _run(self, order: Order, stop: Stop) -> Sequence[Order]:
        with self._turn(order.stage, stop) as has_turn:
            job, assets = self._jobs.standing(order.job, order.chunk)
            mine = _of_order(order, assets)

            def halted() -> bool:
                return stop() or self._jobs.job(order.job).state is not JobState.RUNNING

            if has_turn and job.state is JobState.RUNNING:
                if any(asset.crashes >= CAREFUL_AFTER for asset in mine):
                    self._carefully(order, mine, halted)
                elif mine:
                    self._work(order, mine, halted)
        # What this process did not get to itself may be under way elsewhere.
        return self._follow(order, here=bool(mine) and not stop())

    @contextmanager
    def _turn(self, stage: Stage, stop: Stop) -> Iterator[bool]:
        """Waits until there is room at a stage that chunks go on to; False where the process is to
        stop first.
        """
        turns = self._turns.get(stage)
        if turns is None:
            yield True
            return
        while not turns.acquire(timeout=_LOOK_S):
            if stop():
                yield False
                return
        try:
            yield True
        finally:
            turns.release()

    def _work(self, order: Order, assets: Sequence[Tracked], stop: Stop) -> None:
        marked = [replace(asset, crashes=asset.crashes + 1) for asset in assets]
        self._jobs.mark(order.job, [asset.number for asset in assets], order.trail)
        try:
            work = self._stages[order.stage].work(marked, _seldom(stop))
            settled = [self._settled(worked, order) for worked in work]
        except StorageError:
            with suppress(StorageError):  # nothing crashed: the marks go back
                self._jobs.update(assets, order.trail)
            raise
        except Exception as error:  # noqa: BLE001 - whose fault it is shows where each is alone
            if len(marked) > 1:
                for asset in marked:
                    self._work(order, [asset], stop)
                return
            settled = [self._settled(Worked(marked[0], error), order)]
        self._jobs.update(settled, order.trail)

    def _carefully(self, order: Order, assets: Sequence[Tracked], stop: Stop) -> None:
        for asset in sorted(assets, key=lambda asset: asset.crashes):  # the suspected one last
            if stop():
                return
            if asset.crashes >= CAREFUL_AFTER + CRASHES_ALONE:
                cause = f"the process ended {CRASHES_ALONE} times while it worked on this alone"
                dead = replace(asset, state=AssetState.DEAD, cause=cause)
                self._jobs.update([dead], order.trail)
            else:
                self._work(order, [asset], stop)

    def _settled(self, worked: Worked, order: Order) -> Tracked:
        """How an asset stands after an order, and which one it waits for then."""
        asset, failure = replace(worked.asset, crashes=0), worked.failure
        if failure is None:
            # Sent back, since what it needs is not known, or past what has nothing to do.
            moved = asset.stage is not order.stage
            after = asset.stage if moved else _NEXT[order.stage]
            done = AssetState.DONE if after is Stage.DONE else AssetState.WAITING
            trail = order.trail + SIGNS[after]
            return replace(asset, stage=after, state=done, attempts=0, trail=trail)
        attempts = asset.attempts + 1
        dead = attempts >= self._tries
        if not isinstance(failure, DatelineError):
            log.error("%s failed at %s", asset.id, order.stage, exc_info=failure)
        return replace(
            asset,
            state=AssetState.DEAD if dead else AssetState.WAITING,
            attempts=attempts,
            cause=cause_of(failure),
            trail=order.trail + _RETRY,
        )

    def _follow(self, order: Order, *, here: bool) -> Sequence[Order]:
        """Gives out what follows: an order for each trail that continues this one, also where an
        ended process had gone further by itself. What it did not get to do is to be done again. It
        may run twice: orders with one trail are one order. Those that are carried out `here` are
        not given out.
        """
        job, awaited = self._jobs.following(order.job, order.chunk)
        if job.state is not JobState.RUNNING:
            return ()
        if any(each.trail == order.trail for each in awaited):
            assets = _of_order(order, self._jobs.of_chunk(order.job, order.chunk))
            again = order.trail + _RETRY
            self._jobs.update([replace(a, trail=again, crashes=0) for a in assets], order.trail)
            job, awaited = self._jobs.following(order.job, order.chunk)
        if not awaited:
            self._jobs.finish(order.job)
        after = [each for each in awaited if each.trail.startswith(order.trail)]
        trails = {each.trail: each for each in after if each.trail != order.trail}
        ready = ready_orders(((order.chunk, each.stage, t) for t, each in trails.items()), ())
        following: list[Order] = []
        for chunk, stage, trail in ready:
            is_next = trail[:-1] == order.trail and trail[-1] != _RETRY
            if here and is_next and stage in self._turns:
                following.append(Order(order.job, chunk, stage, trail))
                continue
            tried = trails[trail]
            is_later = trail[-1] == _RETRY and tried.least_attempts > 0
            delay = self._first_retry_s * 2 ** (tried.most_attempts - 1) if is_later else 0.0
            self._orders.give(job, chunk, stage, trail, delay_s=delay)
        return following

    def _tell(self, job_id: str, trouble: str) -> None:
        """Notes what holds a job up, for whoever looks; as far as anything can be noted now."""
        if trouble:
            log.warning("job %s waits: %s", job_id, trouble)
        try:
            if self._jobs.job(job_id).trouble != trouble:
                self._jobs.change(job_id, trouble=trouble)
        except StorageError as error:
            log.warning("job %s: %s", job_id, error)


def ready_orders(
    awaited: Iterable[tuple[int, Stage, str]], under_way: Iterable[tuple[int, str]]
) -> list[tuple[int, Stage, str]]:
    """Those of the awaited orders (chunk, stage, trail) that may be given out. Where an order of a
    chunk is not done yet, more assets will come to wait for what follows it, and an order that was
    carried out is never carried out again: what follows is given out by its end. Where one is
    `under_way` (chunk, trail), what follows may be under way with it. One that only waits holds
    nothing up where none of its assets do: who takes it will find nothing to do.
    """
    found = list(awaited)
    trails: dict[int, set[str]] = {}
    for chunk, trail in (*((chunk, trail) for chunk, _, trail in found), *under_way):
        trails.setdefault(chunk, set()).add(trail)
    return [
        (chunk, stage, trail)
        for chunk, stage, trail in found
        if not any(trail.startswith(t) and trail != t for t in trails[chunk])
    ]


def cause_of(failure: BaseException) -> str:
    """What a person needs to know of a failure; of an unforeseen one also where it happened."""
    if isinstance(failure, DatelineError):
        return str(failure)
    last = traceback.extract_tb(failure.__traceback__)[-1:]
    place = "".join(f" ({frame.name}, line {frame.lineno})" for frame in last)
    return f"{type(failure).__name__}: {failure}{place}"


def _of_order(order: Order, assets: Sequence[Tracked]) -> list[Tracked]:
    """Those that wait for an order."""
    waiting = (asset for asset in assets if asset.state is AssetState.WAITING)
    return [asset for asset in waiting if asset.trail == order.trail]


def _pauses() -> Iterator[float]:
    yield from _PATIENCE_S
    yield from repeat(_PATIENCE_S[-1])


def _seldom(stop: Stop) -> Stop:
    """Asks at most twice a second, since an answer takes a look into the database."""
    asked, said = 0.0, False

    def cached() -> bool:
        nonlocal asked, said
        now = time.monotonic()
        if now - asked > 0.5:
            asked, said = now, stop()
        return said

    return cached
