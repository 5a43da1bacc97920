"""A bounded pool of threads for the synchronous core: its callers take turns, refusal is fast."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any, TypeVar

from core.callers import Caller
from core.errors import BusyError

Result = TypeVar("Result")


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
    """The calls of one caller: how many run, which wait, and when it last had a turn."""

    running: int = 0
    turn: int = 0
    waiting: deque[_Call] = field(default_factory=deque)


class WorkPool:
    """At most `threads` calls run and more queue, on `waiting` places, in a line for each caller's
    name.

    A free thread goes to the caller with the fewest running calls; of several, to the one that has
    waited longest for a turn. So nobody waits behind all the calls of another. A full queue refuses
    the newest call of whoever has the most there: a caller alone may fill it, and keeps nobody out.

    A thread is taken until the call has ended, also when its client has gone: a thread can't be
    stopped, and a place given back early would let a crowd of impatient clients pile up work.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name = name
        self._idle = threads
        self._room = waiting
        self._lock = Lock()
        self._lines: dict[str, _Line] = {}  # of those who have calls here
        self._turns = count(1)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

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
            line = self._lines.setdefault(caller.name, _Line())
            while not self._idle and self._room < places:
                self._make_room(line)
            line.waiting.append(call)
            self._room -= places
            self._start_waiting()
        call.future.add_done_callback(lambda done: self._forget(line, call, done))
        return call.future

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

    def _make_room(self, line: _Line) -> None:
        """Refuses the newest call of the longest line; raises BusyError where that is `line`."""
        refusal = BusyError(
            f"Too many {self.name} at once; yours was not started.",
            where=self.name,
            mend="Try again in a second.",
        )
        longest = max(self._lines.values(), key=lambda other: len(other.waiting))
        if len(longest.waiting) < len(line.waiting) + 2:
            self._drop_idle_lines()
            raise refusal
        refused = longest.waiting.pop()
        self._room += refused.places
        refused.refuse(refusal)

    def _start_waiting(self) -> None:
        """Gives the idle threads to those whose turn it is."""
        while self._idle:
            lines = [line for line in self._lines.values() if line.waiting]
            if not lines:
                return
            line = min(lines, key=lambda one: (one.running, one.turn))
            call = line.waiting.popleft()
            self._room += call.places
            try:
                self._executor.submit(self._carry_out, line, call)
            except RuntimeError:  # the executor is shut down
                call.refuse(BusyError("The service is stopping.", mend="Try again in a while."))
                continue
            self._idle -= 1
            line.running += 1
            line.turn = next(self._turns)

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
                self._room += call.places
                self._drop_idle_lines()

    def _drop_idle_lines(self) -> None:
        idle = [name for name, line in self._lines.items() if not line.running and not line.waiting]
        for name in idle:
            del self._lines[name]
