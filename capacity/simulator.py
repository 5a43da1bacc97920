"""A service as a queueing network, played event by event.

A request is a list of steps. It takes a place at a station (a lock, a search process, a
connection), works on a machine, waits for something that is no work, gives the place back.

Work is in milliseconds of one undisturbed hardware thread. What runs on a machine at one moment
shares it alike: with `k` busy threads the machine does `curve(k)` times the work of one, and each
of them goes at `curve(k) / k` of its full speed. So hyperthreads that slow each other, more work
than processors, and a task that uses a thread and a half all follow from one measured curve.

All tasks of a machine go at the same rate, so each ends when the machine's own clock, which runs at
that rate, has passed its amount of work: a heap by that moment gives the next one to end.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from core.errors import InputError

Floats64: TypeAlias = npt.NDArray[np.float64]
_REFUSED = -1.0
_NOBODY = -1  # the request of work that nobody waits for


@dataclass(frozen=True, slots=True)
class Take:
    """Take a place at a station, waiting in turn; refused if its queue is full."""

    station: int


@dataclass(frozen=True, slots=True)
class Give:
    """Give a place back."""

    station: int


@dataclass(frozen=True, slots=True)
class Work:
    """Work on a machine, as many milliseconds as the request has in `column`. Alone it keeps
    `width` threads busy. What is not done `deadline` milliseconds after the request's last `Take`
    is left undone, but for the piece in progress: it ends, and nobody waits for it. A piece is
    `piece` milliseconds of work. With a `pause` it is done only if the place that the request took
    last had been free for so many milliseconds.
    """

    machine: int
    column: int
    width: float = 1.0
    deadline: float | None = None
    piece: float = 0.0
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait as many milliseconds as the request has in `column`, using no processor: a network, a
    disk.
    """

    column: int


Step: TypeAlias = Take | Give | Work | Wait


@dataclass(frozen=True, slots=True)
class Station:
    """`places` at the same time; `queue` requests may wait, None for any number."""

    name: str
    places: int
    queue: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """Work done at the same time by 1, 2, 3 … busy threads, of which one alone does 1. Beyond the
    last entry nothing more is done.
    """

    name: str
    curve: tuple[float, ...]

    def rate(self, busy: float) -> float:
        """Return the speed of each of `busy` threads, 1 for one that is alone."""
        if busy <= 1:
            return self.curve[0]
        last = len(self.curve)
        whole = min(int(busy), last)
        done = self.curve[whole - 1]
        if whole < last:
            done += (busy - whole) * (self.curve[whole] - done)
        return done / busy


@dataclass(frozen=True, slots=True)
class Network:
    """The machines, the stations, and the steps of every request."""

    machines: tuple[Machine, ...]
    stations: tuple[Station, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """What became of the requests that were counted.

    - `milliseconds`: float64 [n], from arrival to answer, of those that were answered
    - `refused`, `cut`: shares that were refused, and that lost work to a deadline
    - `done`: the share of the work with a deadline that was done, 1 if there was none; a piece in
      progress is lost
    - `per_second`: answers of the whole play over its length
    - `busy`: the share of each machine's most work that was done, by its name
    - `held`: the share of each station's places that were taken, by its name
    """

    milliseconds: Floats64
    refused: float
    cut: float
    done: float
    per_second: float
    busy: dict[str, float]
    held: dict[str, float]

    def at(self, percent: float) -> float:
        """Return a percentile of the milliseconds; infinite if nothing was answered."""
        if not len(self.milliseconds):
            return float("inf")
        return float(np.percentile(self.milliseconds, percent))


def play(network: Network, arrivals: Floats64, work: Floats64, *, warm_up: float = 0.1) -> Played:
    """Play requests that arrive at `arrivals`, float64 [n], rising milliseconds, with `work`,
    float64 [n, columns], milliseconds. The first `warm_up` of them are played and not counted.
    Raises InputError for arrays that don't fit together.
    """
    if len(arrivals) != len(work) or np.any(np.diff(arrivals) < 0):
        raise InputError("each arrival needs a row of work, and arrivals must rise")
    game = _Game(network, work)
    game.run(arrivals)
    first = int(len(arrivals) * warm_up)
    took = game.ended[first:] - arrivals[first:]
    refused = game.ended[first:] == _REFUSED
    span = max(game.now, 1e-9)
    return Played(
        took[~refused],
        float(refused.mean()) if len(refused) else 0.0,
        float(game.cut[first:].mean()) if len(refused) else 0.0,
        1.0 - float(game.lost[first:][~refused].mean()) if not refused.all() else 1.0,
        float((game.ended != _REFUSED).sum()) / span * 1000.0,
        {
            m.name: s.done / span / max(m.curve)
            for m, s in zip(network.machines, game.shares, strict=True)
        },
        {
            s.name: q.held / span / s.places
            for s, q in zip(network.stations, game.queues, strict=True)
        },
    )


def answered(network: Network, clients: int, work: Floats64) -> float:
    """Return the answers a second to `clients` that each ask again when they have their answer,
    until every row of `work`, float64 [n, columns], was asked.
    """
    game = _Game(network, work, asked=clients)
    game.run(np.zeros(min(clients, len(work))))
    return len(work) / max(game.now, 1e-9) * 1000.0


@dataclass(slots=True, eq=False)
class _Share:
    """What runs on one machine. `clock` runs at the rate of each task."""

    machine: Machine
    clock: float = 0.0
    busy: float = 0.0
    rate: float = 1.0
    since: float = 0.0
    done: float = 0.0
    running: list[tuple[float, int, int, float]] = field(default_factory=list)
    stopped: set[int] = field(default_factory=set)  # tasks in `running` that a deadline ended

    def advance(self, now: float) -> None:
        passed = (now - self.since) * self.rate
        self.clock += passed
        self.done += passed * self.busy
        self.since = now

    def weigh(self, more: float) -> None:
        self.busy = max(0.0, self.busy + more) if self.running else max(0.0, more)
        self.rate = self.machine.rate(self.busy)

    def next_end(self) -> float:
        while self.running and self.running[0][1] in self.stopped:
            self.stopped.discard(heapq.heappop(self.running)[1])
        if not self.running:
            return float("inf")
        return self.since + max(0.0, self.running[0][0] - self.clock) / self.rate


@dataclass(slots=True, eq=False)
class _Queue:
    """Who has a place at a station, and who waits. `freed` says since when places are free; the
    last one is taken first.
    """

    station: Station
    taken: int = 0
    held: float = 0.0
    since: float = 0.0
    waiting: deque[int] = field(default_factory=deque)
    freed: list[float] = field(default_factory=list)

    def pause(self, now: float) -> float:
        """Return how long the place that is taken now was free; the first time for ever."""
        return now - self.freed.pop() if self.freed else float("inf")

    def change(self, now: float, more: int) -> None:
        self.held += self.taken * (now - self.since)
        self.since = now
        self.taken += more


class _Game:
    """The state of a play: one pass over its events. Of clients that ask again, `asked` requests
    are asked first, and each answer lets the next one begin.
    """

    def __init__(self, network: Network, work: Floats64, asked: int | None = None) -> None:
        self.now = 0.0
        self._asked = len(work) if asked is None else asked
        self.shares = [_Share(machine) for machine in network.machines]
        self.queues = [_Queue(station) for station in network.stations]
        self.ended = np.full(len(work), _REFUSED)
        self.cut = np.zeros(len(work), np.bool_)
        self.lost = np.zeros(len(work))  # the share of a request's work that a deadline cut
        self._steps = network.steps
        self._work = work.tolist()
        self._at = [0] * len(work)  # each request's next step
        self._taken_at = [0.0] * len(work)
        self._paused = [0.0] * len(work)  # how long the place that it took last was free
        self._task = [0] * len(work)  # the number of its running task
        self._alarms: list[tuple[float, int, int, int]] = []  # waits that end, and deadlines
        self._numbers = count(1)

    def run(self, arrivals: Floats64) -> None:
        """Play until every request has left."""
        times = arrivals.tolist()
        place, last = 0, len(times)
        while True:
            arrival = times[place] if place < last else float("inf")
            alarm = self._alarms[0][0] if self._alarms else float("inf")
            end, share = min(
                ((each.next_end(), n) for n, each in enumerate(self.shares)),
                default=(float("inf"), 0),
            )
            now = min(arrival, alarm, end)
            if now == float("inf"):
                return
            self.now = now
            if end == now:
                self._end_task(self.shares[share])
            elif alarm == now:
                self._ring()
            else:
                place += 1
                self._go_on(place - 1)

    def _end_task(self, share: _Share) -> None:
        share.advance(self.now)
        _, _, request, width = heapq.heappop(share.running)
        share.weigh(-width)
        if request != _NOBODY:
            self._go_on(request)

    def _ring(self) -> None:
        """A wait is over, or a deadline has come: that of a task that still runs cuts it."""
        _, task, request, machine = heapq.heappop(self._alarms)
        if machine < 0:
            self._go_on(request)
            return
        if self._task[request] != task:
            return  # it ended before
        share = self.shares[machine]
        share.advance(self.now)
        until, width = next((each[0], each[3]) for each in share.running if each[1] == task)
        share.stopped.add(task)
        undone = (until - share.clock) * width
        left = self._left(request, undone)
        self.lost[request] = self._lost(request, undone)
        if left > 0:
            ends = share.clock + left / width
            heapq.heappush(share.running, (ends, next(self._numbers), _NOBODY, width))
        else:
            share.busy -= width
            share.rate = share.machine.rate(share.busy)
        self.cut[request] = True
        self._go_on(request)

    def _left(self, request: int, undone: float) -> float:
        """Return the rest of the piece in progress of a task with this much work undone."""
        step = self._steps[self._at[request] - 1]
        if not isinstance(step, Work) or step.piece <= 0:
            return 0.0
        done = self._work[request][step.column] - undone
        return float(min(undone, step.piece - done % step.piece))

    def _lost(self, request: int, undone: float) -> float:
        """Return the share of a task that nobody has if this much of it is undone."""
        step = self._steps[self._at[request] - 1]
        assert isinstance(step, Work)
        amount = self._work[request][step.column]
        done = amount - undone
        whole = done - done % step.piece if step.piece > 0 else done
        return float(1.0 - max(0.0, whole) / amount)

    def _go_on(self, request: int) -> None:
        """Take a request's next steps, up to one that lasts."""
        self._task[request] = 0
        while self._at[request] < len(self._steps):
            step = self._steps[self._at[request]]
            self._at[request] += 1
            match step:
                case Work():
                    if self._begins(request, step):
                        return
                case Take(station):
                    if not self._takes(request, self.queues[station]):
                        return
                case Give(station):
                    self._gives(self.queues[station])
                case Wait(column):
                    until = self.now + self._work[request][column]
                    heapq.heappush(self._alarms, (until, next(self._numbers), request, -1))
                    return
        self.ended[request] = self.now
        if self._asked < len(self._work):
            heapq.heappush(self._alarms, (self.now, next(self._numbers), self._asked, -1))
            self._asked += 1

    def _begins(self, request: int, step: Work) -> bool:
        """Begin a task; False if there is nothing to do."""
        amount = self._work[request][step.column]
        if amount <= 0 or self._paused[request] < step.pause:
            return False
        if step.deadline is not None and self.now >= self._taken_at[request] + step.deadline:
            self.cut[request] = True
            self.lost[request] = 1.0
            return False
        share, task = self.shares[step.machine], next(self._numbers)
        share.advance(self.now)
        until = share.clock + amount / step.width
        heapq.heappush(share.running, (until, task, request, step.width))
        share.weigh(step.width)
        self._task[request] = task
        if step.deadline is not None:
            due = self._taken_at[request] + step.deadline
            heapq.heappush(self._alarms, (due, task, request, step.machine))
        return True

    def _takes(self, request: int, queue: _Queue) -> bool:
        """Take a place. Return False if the request has to wait, or is refused."""
        if queue.taken < queue.station.places:
            queue.change(self.now, 1)
            self._taken_at[request], self._paused[request] = self.now, queue.pause(self.now)
            return True
        if queue.station.queue is None or len(queue.waiting) < queue.station.queue:
            queue.waiting.append(request)
        return False

    def _gives(self, queue: _Queue) -> None:
        """Give a place to who waits longest."""
        if queue.waiting:
            follower = queue.waiting.popleft()
            self._taken_at[follower], self._paused[follower] = self.now, 0.0
            # it goes on as an event of its own: the one who gives has steps left
            heapq.heappush(self._alarms, (self.now, next(self._numbers), follower, -1))
        else:
            queue.change(self.now, -1)
            queue.freed.append(self.now)


# --- when requests arrive


def poisson(rate: float, size: int, seed: int) -> Floats64:
    """Return moments in milliseconds, float64 [size], of a Poisson process of `rate` a second."""
    chance = np.random.default_rng(seed)
    return np.asarray(np.cumsum(chance.exponential(1000.0 / rate, size)), np.float64)


def bursty(
    rate: float, burst: float, size: int, seed: int, *, calm_s: float = 540.0, burst_s: float = 60.0
) -> Floats64:
    """Return moments in milliseconds, float64 [size], of a Poisson process whose rate is `rate` a
    second in calm times and `burst` times that in bursts. Both last an exponential time, on average
    `calm_s` and `burst_s`.
    """
    chance = np.random.default_rng(seed)
    parts: list[Floats64] = []
    start, made, rushing = 0.0, 0, False
    while made < size:
        length = chance.exponential(burst_s if rushing else calm_s) * 1000.0
        pace = rate * (burst if rushing else 1.0) / 1000.0
        here = start + np.sort(chance.uniform(0, length, chance.poisson(pace * length)))
        parts.append(here)
        made += len(here)
        start += length
        rushing = not rushing
    return np.concatenate(parts)[:size]


def from_log(moments: Sequence[float]) -> Floats64:
    """Return arrivals in milliseconds, float64 [n], from 0 on, of a log's `moments` in seconds.
    Raises InputError for fewer than two.
    """
    if len(moments) < 2:
        raise InputError("a log of arrivals needs two lines at least", mend="one moment a line")
    found = np.sort(np.asarray(moments, np.float64))
    return np.asarray((found - found[0]) * 1000.0, np.float64)
