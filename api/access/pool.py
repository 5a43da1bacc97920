"""A bounded pool of threads for the synchronous core: callers take turns, and refusal is fast."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from math import inf
from threading import Lock
from time import monotonic, perf_counter
from typing import Any, TypeVar

from core.callers import Caller
from core.errors import BusyError
from core.priority import step_back
from core.threads import Threads, carried
from core.tracing import done

Result = TypeVar("Result")
_BURST_S = 0.1  # a shorter run of refusals is only a burst
_CALM_S = 1.0  # a time without refusals that ends a run of them
_TURN_S = (
    1.0  # a caller that waits this long for a turn gets the place of any caller with more calls
)
_LEAD = 2  # other callers get only the place of one that has more than this many calls more
_NO_TURN = (-inf, 0)


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """Work that a client waits for."""

    work: Callable[[], Any]
    places: int  # its places in the queue
    future: Future[Any] = field(default_factory=Future)

    def carry_out(self) -> None:
        """Do the work, unless nobody waits for it any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.work())
        except BaseException as error:  # noqa: BLE001  the one who waits gets it
            self.future.set_exception(error)

    def refuse(self, error: BusyError) -> None:
        """End the call without doing the work."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


@dataclass(slots=True)
class _Line:
    """The calls of one caller: how many run, which wait, and how many more will come at once."""

    name: str
    running: int = 0
    waiting: deque[_Call] = field(default_factory=deque)
    coming: int = 0

    @property
    def calls(self) -> int:
        """How many calls the caller has here."""
        return self.running + len(self.waiting) + self.coming


@dataclass(slots=True)
class _Refusals:
    """When the present run of refusals began, and when the last refusal was, by the monotonic
    clock.
    """

    began: float = -inf
    last: float = -inf

    def note(self) -> None:
        """Record a refusal now."""
        now = monotonic()
        if now - self.last > _CALM_S:
            self.began = now
        self.last = now

    @property
    def go_on(self) -> bool:
        """Whether refusals go on, for longer than a burst."""
        return self.last - self.began > _BURST_S and monotonic() - self.last <= _CALM_S


class WorkPool:
    """Runs at most `threads` calls. Others queue, on `waiting` places, in a line for each caller's
    name.

    A free thread takes a call of the caller with the fewest running calls; among equals, of the
    caller that has waited longest for a turn. So no caller waits behind all calls of another one. A
    full queue refuses the newest call of the caller with the most calls: a caller alone may fill
    the queue, and keeps nobody out. A lead of one or two calls counts only against a caller without
    a turn for a second: a call that gives up its place has cost as much as twenty that are refused
    at once, and with many equal callers nearly every new call would take the place of another one.

    A queue is for bursts. When more calls come than can be done, a long queue makes everybody wait
    and gets nothing more done. So while refusals go on, there are only `crowded` places.

    The threads of a pool that is `behind` have a lower priority than others.

    A thread is taken until its call has ended, even if the client has gone. A thread can't be
    stopped, and a place that is freed early would let impatient clients pile up work.
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
        self._coming = 0  # calls that `check` has let in
        self._turn: asyncio.Handle | None = None
        self._refusals = _Refusals()
        self._lock = Lock()
        self._lines: dict[str, _Line] = {}  # only of callers with calls here
        self._turns = count(1)
        # When each caller had its last turn, by name, and the turn's number.
        self._last_turns: defaultdict[str, tuple[float, int]] = defaultdict(lambda: _NO_TURN)
        begin = step_back if behind else None
        self._executor = Threads(threads, thread_name_prefix=name, initializer=begin)

    async def run(self, work: Callable[[], Result], caller: Caller, places: int = 1) -> Result:
        """Return the result of `work()`. Raises BusyError if the queue lacks the `places` for
        it.
        """
        answer: Result = await asyncio.wrap_future(self._entered(work, caller, places))
        return answer

    def offer(self, work: Callable[[], object], caller: Caller) -> bool:
        """Queue `work()` if there is room; nobody waits for it. Returns whether there was."""
        try:
            self._entered(work, caller, 1)
        except BusyError:
            return False
        return True

    def _entered(self, work: Callable[[], Any], caller: Caller, places: int) -> Future[Any]:
        entered = perf_counter()

        def turn() -> Any:
            done("wait", entered, perf_counter(), {"dateline.pool": self.name})
            return work()

        call = _Call(carried(turn), places)
        with self._lock:
            line = self._line(caller)
            while self._lacks(places):
                self._refuse_newest(self._claimed(line, self._queued()))
            self._lines[caller.name] = line
            line.waiting.append(call)
            self._taken += places
            self._start_waiting()
        call.future.add_done_callback(lambda done: self._forget(line, call, done))
        return call.future

    def check(self, caller: Caller) -> None:
        """Raise BusyError if a call of this caller would find no place now, so that a refused
        request need not be read first. Else its call counts until the event loop's next turn, in
        which it comes: requests that are read in one turn do not all see the same free place.
        """
        with self._lock:
            line = self._line(caller)
            waiting = max(0, self._coming + 1 - self._idle)
            if waiting and self._lacks(waiting):
                lines = [one for one in self._lines.values() if one.waiting or one.coming > 0]
                self._claimed(line, lines).coming -= 1
            else:
                self._coming += 1
            line.coming += 1
            self._lines[caller.name] = line
            if self._turn is None:
                self._turn = asyncio.get_running_loop().call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        with self._lock:
            self._turn, self._coming = None, 0
            for line in self._lines.values():
                line.coming = 0
            self._drop_idle_lines()

    def _line(self, caller: Caller) -> _Line:
        return self._lines.get(caller.name) or _Line(caller.name)

    def _lacks(self, places: int) -> bool:
        """Return whether a call has to wait and the queue has too few places for it."""
        while self._taken > self._places:  # refusals go on, so there are fewer places now
            self._refuse_newest(max(self._queued(), key=self._had))
        return not self._idle and self._taken + places > self._places

    @property
    def _places(self) -> int:
        return self._crowded if self._refusals.go_on else self._waiting

    def leave(self, work: Callable[[], object]) -> None:
        """Have `work()` done later; nobody waits for it, and it is never refused."""
        try:
            future = self._executor.submit(work)
        except RuntimeError:  # the executor is shut down, and the process ends
            work()
            return
        future.add_done_callback(lambda done: work() if done.cancelled() else None)

    def close(self) -> None:
        """Wait for running calls and drop waiting ones."""
        with self._lock:
            dropped = [call for line in self._lines.values() for call in line.waiting]
            self._lines.clear()
        for call in dropped:
            call.future.cancel()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _claimed(self, line: _Line, lines: list[_Line]) -> _Line:
        """Return the one of the `lines` that gives up a place to the next call in `line`: the one
        with the most calls. Raises BusyError if that line has at least as good a claim.
        """
        self._refusals.note()
        longest = max(lines, key=self._had, default=line)
        lead = longest.calls - line.calls
        late = not line.calls and monotonic() - self._last_turns[line.name][0] > _TURN_S
        if lead > (0 if late else _LEAD):
            return longest
        raise self._refusal()

    def _queued(self) -> list[_Line]:
        return [line for line in self._lines.values() if line.waiting]

    def _had(self, line: _Line) -> tuple[int, tuple[float, int]]:
        """Return how much of the pool a caller has: its calls, and when it had its last turn."""
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
        """Give the idle threads to the calls whose turn it is."""
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
            self._last_turns[line.name] = monotonic(), next(self._turns)

    def _carry_out(self, line: _Line, call: _Call) -> None:
        call.carry_out()
        with self._lock:
            self._idle += 1
            line.running -= 1
            self._start_waiting()
            self._drop_idle_lines()

    def _forget(self, line: _Line, call: _Call, done: Future[Any]) -> None:
        """Free the place of a waiting call whose client has gone."""
        if not done.cancelled():
            return
        with self._lock:
            if call in line.waiting:
                line.waiting.remove(call)
                self._taken -= call.places
                self._drop_idle_lines()

    def _drop_idle_lines(self) -> None:
        for name, line in [*self._lines.items()]:
            if not (line.running or line.waiting or line.coming):
                del self._lines[name]
