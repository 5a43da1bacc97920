"""Carries out one order: a stage for a chunk, each asset separately.

An asset that succeeds goes on to the next stage at once. One that fails is tried again later, up to
`tries` times, and is then a dead letter with its cause. If the record or the ledger can't be
written (a full disk, a database that is restarted), nothing counts as a failure: the order waits
and goes on.

If an order was begun several times and never ended, a file in it may end the whole process. From
then on the chunk is done one asset at a time. Each asset is marked while it is worked on. If the
process ended again and again while one asset was worked on alone, that asset is a dead letter, and
the others go on.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import repeat
from time import perf_counter

from core.errors import DatelineError, StorageError
from core.ports.work import Jobs, Orders
from core.tracing import Value, done
from core.work import AssetState, JobState, Order, Stage, Tracked
from indexing.work.stages.stage import StageWork, Stop, Worked

log = logging.getLogger(__name__)

TRIES = 3
CAREFUL_AFTER = 3  # times that an order was begun and not ended
CRASHES_ALONE = (
    30  # tries of an asset alone before it is a dead letter: hosts fail often, files seldom
)
FIRST_RETRY_S = 2.0
_PATIENCE_S = (0.5, 1, 2, 5, 10, 30)
# The next stage, if a stage names no other for an asset.
_NEXT = {
    Stage.DECODE: Stage.DESCRIBE,
    Stage.SHOTS: Stage.DESCRIBE,
    Stage.DESCRIBE: Stage.APPLY,
    Stage.TRANSCRIBE: Stage.APPLY,
    Stage.LOOK: Stage.APPLY,
    Stage.READ_TEXT: Stage.APPLY,
    Stage.EMBED: Stage.APPLY,
    Stage.APPLY: Stage.DONE,
}

Wait = Callable[[float], bool]  # waits, and returns whether the process must stop


class ChunkRunner:
    """Carries out orders, several at a time. `wait` ends early when the process must stop."""

    def __init__(
        self,
        jobs: Jobs,
        orders: Orders,
        stages: Mapping[Stage, StageWork],
        wait: Wait,
        *,
        tries: int = TRIES,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self._jobs = jobs
        self._orders = orders
        self._stages = stages
        self._wait = wait
        self._tries = tries
        self._first_retry_s = first_retry_s

    def run(self, order: Order, stop: Stop) -> None:
        """Do the rest of an order and end it. Raises StorageError if it must stop while the
        database can't be written: the order stays leased.
        """
        trouble = ""
        for pause in _pauses():
            try:
                self._run(order, stop)
            except StorageError as error:
                trouble = str(error)
                self._tell(order.job, trouble)
                if self._wait(pause) or stop():
                    raise
            else:
                if trouble:
                    self._tell(order.job, "")
                return

    def _run(self, order: Order, stop: Stop) -> None:
        job, assets = self._jobs.standing(order.job, order.chunk)
        mine = [asset for asset in assets if _waits_for(order.stage, asset)]

        def halted() -> bool:
            return stop() or self._jobs.job(order.job).state is not JobState.RUNNING

        settled: Sequence[Tracked] = ()
        if mine and job.state is JobState.RUNNING and not stop():
            careful = order.taken > CAREFUL_AFTER
            settled = (self._carefully if careful else self._work)(order, mine, _seldom(halted))
        kept = {asset.number: asset for asset in (*mine, *settled)}
        again = [asset for asset in kept.values() if _waits_for(order.stage, asset)]
        if not self._orders.complete(order, settled, self._pause_before(again)):
            log.warning("another worker has taken chunk %s of %s", order.chunk, order.job)

    def _work(self, order: Order, assets: Sequence[Tracked], stop: Stop) -> list[Tracked]:
        """Return the assets after the stage; only those that it began before `stop`."""
        began, settled = perf_counter(), []
        try:
            for worked in self._stages[order.stage].work(assets, stop):
                done("asset", began, perf_counter(), _described(worked))
                settled.append(self._settled(worked, order.stage))
            return settled
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - trying each alone shows which one failed
            if len(assets) == 1:
                return [self._settled(Worked(assets[0], error), order.stage)]
            return [done for asset in assets for done in self._work(order, [asset], stop)]

    def _carefully(self, order: Order, assets: Sequence[Tracked], stop: Stop) -> list[Tracked]:
        """Do `_work` one asset at a time; each is recorded before the next is begun."""
        done: list[Tracked] = []
        for asset in sorted(assets, key=lambda asset: asset.crashes):  # the suspected one last
            if stop():
                break
            settled = [self._given_up(asset)] if asset.crashes >= CRASHES_ALONE else []
            settled = settled or self._alone(order, asset, stop)
            if not self._orders.record(order, settled):
                break
            done += settled
        return done

    def _alone(self, order: Order, asset: Tracked, stop: Stop) -> list[Tracked]:
        self._orders.mark(order, asset.number)
        try:
            return self._work(order, [asset], stop)
        except StorageError:
            with suppress(StorageError):  # nothing crashed: the mark goes back
                self._orders.record(order, [asset])
            raise

    def _given_up(self, asset: Tracked) -> Tracked:
        cause = f"the process ended {CRASHES_ALONE} times while it worked on this alone"
        return replace(asset, state=AssetState.DEAD, cause=cause)

    def _settled(self, worked: Worked, stage: Stage) -> Tracked:
        """Return an asset as it stands after a stage."""
        asset, failure = replace(worked.asset, crashes=0), worked.failure
        if failure is None:
            # Sent back if what it needs is unknown, or past a stage with nothing to do.
            after = _NEXT[stage] if asset.stage is stage else asset.stage
            done = AssetState.DONE if after is Stage.DONE else AssetState.WAITING
            return replace(asset, stage=after, state=done, attempts=0)
        attempts = asset.attempts + 1
        dead = attempts >= self._tries
        if not isinstance(failure, DatelineError):
            log.error("%s failed at %s", asset.id, stage, exc_info=failure)
        return replace(
            asset,
            state=AssetState.DEAD if dead else AssetState.WAITING,
            attempts=attempts,
            cause=cause_of(failure),
        )

    def _pause_before(self, again: Sequence[Tracked]) -> float:
        """Return seconds until the next try of assets that wait for the same stage again; 0 if one
        of them was not tried yet.
        """
        if not again or any(asset.attempts == 0 for asset in again):
            return 0.0
        return self._first_retry_s * 2.0 ** (max(asset.attempts for asset in again) - 1)

    def _tell(self, job_id: str, trouble: str) -> None:
        """Note, for people to read, what holds a job up, if anything can be written now."""
        if trouble:
            log.warning("job %s waits: %s", job_id, trouble)
        try:
            if self._jobs.job(job_id).trouble != trouble:
                self._jobs.change(job_id, trouble=trouble)
        except StorageError as error:
            log.warning("job %s: %s", job_id, error)


def cause_of(failure: BaseException) -> str:
    """Return the cause of a failure for a person; of an unforeseen one also its place."""
    if isinstance(failure, DatelineError):
        return str(failure)
    last = traceback.extract_tb(failure.__traceback__)[-1:]
    place = "".join(f" ({frame.name}, line {frame.lineno})" for frame in last)
    return f"{type(failure).__name__}: {failure}{place}"


def _described(worked: Worked) -> dict[str, Value]:
    """Return the attributes of an asset's span, which lasts from the stage's begin to its end for
    this asset.
    """
    told: dict[str, Value] = {"dateline.asset": worked.asset.id}
    if worked.failure is not None:
        told["error.type"] = type(worked.failure).__name__
    return told


def _waits_for(stage: Stage, asset: Tracked) -> bool:
    return asset.state is AssetState.WAITING and asset.stage is stage


def _pauses() -> Iterator[float]:
    yield from _PATIENCE_S
    yield from repeat(_PATIENCE_S[-1])


def _seldom(stop: Stop) -> Stop:
    """Return a `stop` that asks at most twice a second, because asking reads the database."""
    asked, said = 0.0, False

    def cached() -> bool:
        nonlocal asked, said
        now = time.monotonic()
        if now - asked > 0.5:
            asked, said = now, stop()
        return said

    return cached
