"""A bounded pool of threads for the synchronous core: its callers take turns, refusal is fast."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from math import inf
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

from core.callers import Caller
from core.errors import BusyError
from core.priority import step_back

Result = TypeVar("Result")
_BURST_S = 0.1  # for which calls may be refused before that is more than a burst
_CALM_S = 1.0  # without a refusal, and it is over


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """What somebody waits for."""

    work: Callable[[], Any]
    places: int  # that it takes in the queue
    future: Future[Any] = field(default_factory=Future)

    def carry_out(self) -> None:
        """Does the work, unless nobody waits for it any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.work())
        except BaseException as error:  # noqa: BLE001  it belongs to whoever waits
            self.future.set_exception(error)

    def refuse(self, error: BusyError) -> None:
        """Ends it without doing it."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


@dataclass(slots=True)
class _Line:
    """The calls of one caller: how many run, and which wait."""

    name: str
    running: int = 0
    waiting: deque[_Call] = field(default_factory=deque)

    @property
    def calls(self) -> int:
        """How many there are."""
        return self.running + len(self.waiting)


@dataclass(slots=True)
class _Refusals:
    """When the present run of refusals began, and when the last one was, by the monotonic clock."""

    began: float = -inf
    last: float = -inf

    def note(self) -> None:
        """There is one now."""
        now = monotonic()
        if now - self.last > _CALM_S:
            self.began = now
        self.last = now

    @property
    def go_on(self) -> bool:
        """Whether more comes than can be done, and not only at once."""
        return self.last - self.began > _BURST_S and monotonic() - self.last <= _CALM_S


class WorkPool:
    """At most `threads` calls run and more queue, on `waiting` places, in a line for each caller's
    name.

    A free thread goes to the caller with the fewest running calls; of several, to the one that has
    waited longest for a turn. So nobody waits behind all the calls of another. A full queue refuses
    the newest call of whoever has the most calls: a caller alone may fill it, and keeps nobody out.

    A queue is for bursts. Where more calls come than can be done, a long one makes everybody wait
    and gets nothing more done. So while refusals go on, there are only `crowded` places.

    The threads of a pool that is `behind` compute while those of others wait.

    A thread is taken until the call has ended, also when its client has gone: a thread can't be
    stopped, and a place given back early would let a crowd of impatient clients pile up work.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        waiting: int,
        crowded: int | None = None,
        *,
        behind: bool = False,
    ) -> None:
        self.name = name
        self._idle = threads
        self._waiting = waiting
        self._crowded = waiting if crowded is None else min(waiting, crowded)
        self._taken = 0  # places
        self._refusals = _Refusals()
        self._lock = Lock()
        self._lines: dict[str, _Line] = {}  # of those who have calls here
        self._turns = count(1)
        self._last_turns: defaultdict[str, int] = defaultdict(int)  # by name
        begin = step_back if behind else None
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=begin)

    async def run(self, work: Callable[[], Result], caller: Caller, places: int = 1) -> Result:
        """The result of `work()`. Raises BusyError where the queue lacks the `places` for it."""
        answer: Result = await asyncio.wrap_future(self._entered(work, caller, places))
        return answer

    def offer(self, work: Callable[[], object], caller: Caller) -> bool:
        """Has `work()` done in its turn, where there is room; nobody waits for it."""
        try:
            self._entered(work, caller, 1)
        except BusyError:
            return False
        return True

    def _entered(self, work: Callable[[], Any], caller: Caller, places: int) -> Future[Any]:
        call = _Call(work, places)
        with self._lock:
            line = self._line(caller)
            while self._lacks(places):
                self._refuse_newest(self._claimed(line))
            self._lines[caller.name] = line
            line.waiting.append(call)
            self._taken += places
            self._start_waiting()
        call.future.add_done_callback(lambda done: self._forget(line, call, done))
        return call.future

    def check(self, caller: Caller) -> None:
        """Raises BusyError where a call of this caller would find no place now. Of a request that
        is refused here, nothing has to be read or made.
        """
        with self._lock:
            if self._lacks(1):
                self._claimed(self._line(caller))

    def _line(self, caller: Caller) -> _Line:
        return self._lines.get(caller.name) or _Line(caller.name)

    def _lacks(self, places: int) -> bool:
        """Whether a call has to wait, and there are not so many places for it."""
        while self._taken > self._places:  # a crowd came
            self._refuse_newest(max(self._queued(), key=self._had))
        return not self._idle and self._taken + places > self._places

    @property
    def _places(self) -> int:
        return self._crowded if self._refusals.go_on else self._waiting

    def leave(self, work: Callable[[], object]) -> None:
        """Has `work()` done by and by; nobody waits for it, and nothing is refused."""
        try:
            future = self._executor.submit(work)
        except RuntimeError:  # the executor is shut down, and the process ends
            work()
            return
        future.add_done_callback(lambda done: work() if done.cancelled() else None)

    def close(self) -> None:
        """Waits for what runs and drops what waits."""
        with self._lock:
            dropped = [call for line in self._lines.values() for call in line.waiting]
            self._lines.clear()
        for call in dropped:
            call.future.cancel()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _claimed(self, line: _Line) -> _Line:
        """Who has to give up a place to the next call in `line`: who has the most. Raises BusyError
        where that has no better claim.
        """
        self._refusals.note()
        longest = max(self._queued(), key=self._had, default=line)
        lead = longest.calls - line.calls
        first = not line.waiting and self._last_turns[line.name] < self._last_turns[longest.name]
        if lead > 1 or (lead == 1 and first):
            return longest
        raise self._refusal()

    def _queued(self) -> list[_Line]:
        return [line for line in self._lines.values() if line.waiting]

    def _had(self, line: _Line) -> tuple[int, int]:
        """How much a caller has of the pool: calls, and when it had a turn."""
        return line.calls, self._last_turns[line.name]

    def _refuse_newest(self, line: _Line) -> None:
        call = line.waiting.pop()
        self._taken -= call.places
        call.refuse(self._refusal())
        self._drop_idle_lines()

    def _refusal(self) -> BusyError:
        return BusyError(
            f"Too many {self.name} at once; yours was not started.",
            where=self.name,
            mend="Try again in a second.",
        )

    def _start_waiting(self) -> None:
        """Gives the idle threads to those whose turn it is."""
        while self._idle:
            lines = self._queued()
            if not lines:
                return
            line = min(lines, key=lambda one: (one.running, self._last_turns[one.name]))
            call = line.waiting.popleft()
            self._taken -= call.places
            try:
                self._executor.submit(self._carry_out, line, call)
            except RuntimeError:  # the executor is shut down
                call.refuse(BusyError("The service is stopping.", mend="Try again in a while."))
                continue
            self._idle -= 1
            line.running += 1
            self._last_turns[line.name] = next(self._turns)

    def _carry_out(self, line: _Line, call: _Call) -> None:
        call.carry_out()
        with self._lock:
            self._idle += 1
            line.running -= 1
            self._start_waiting()
            self._drop_idle_lines()

    def _forget(self, line: _Line, call: _Call, done: Future[Any]) -> None:
        """Gives up the place of a call whose client has gone before it was started."""
        if not done.cancelled():
            return
        with self._lock:
            if call in line.waiting:
                line.waiting.remove(call)
                self._taken -= call.places
                self._drop_idle_lines()

    def _drop_idle_lines(self) -> None:
        idle = [name for name, line in self._lines.items() if not line.running and not line.waiting]
        for name in idle:
            del self._lines[name]
