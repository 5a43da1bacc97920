"""One model, many callers: rows that wait at the same time go through the model together.

A caller that finds a lane free runs its rows at once, in its own thread: a lone query does not wait
for another thread. When every lane is taken, callers queue. A lane that becomes free goes to the
caller that has waited longest. It runs that caller's rows and, up to the token budget, rows of the
callers behind it. So a thread works for others only in batches that have its own rows, and a large
request lets the next one in after each batch.

A batch that fails is tried again row by row, so that a bad row fails alone.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Generic, TypeVar

from core.errors import BusyError, ModelError, UnavailableError
from core.observation import UNWATCHED, Event, ModelWatch, Stage
from inference.serving.batches import BatchLimits, longest_first
from inference.serving.spare_threads import SpareThreads

Row = TypeVar("Row", bound=Sized)
Answer = TypeVar("Answer")
# One answer, or the row's own error, for each row; an exception is about all of them.
Work = Callable[[Sequence[Row]], Sequence[Answer | Exception]]

MOST_FAILURES = 8  # in a row, of rows tried alone: then the model is at fault, not the rows


def attempt(work: Work[Row, Answer], rows: Sequence[Row]) -> list[Answer | Exception]:
    """Return the answers of `work` for `rows`. If `work` fails for all of them, each row is tried
    alone, and a row that fails has its error in place of an answer.

    Raises only what ends a thread (`BaseException`).
    """
    try:
        return _worked(work, rows)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer of its row
        # A busy or unreachable model is not a row's fault: asking row by row would make it worse.
        if len(rows) == 1 or isinstance(error, BusyError | UnavailableError):
            return [error] * len(rows)
    return _one_by_one(work, rows)


def _one_by_one(work: Work[Row, Answer], rows: Sequence[Row]) -> list[Answer | Exception]:
    """Return the answers for each row alone. After several failures in a row the other rows fail
    too.
    """
    answers: list[Answer | Exception] = []
    failures = 0
    for row in rows:
        if failures >= MOST_FAILURES:
            answers.append(answers[-1])
            continue
        try:
            answers += _worked(work, [row])
            failures = 0
        except Exception as error:  # noqa: BLE001 - as above
            answers.append(error)
            failures += 1
    return answers


def _worked(work: Work[Row, Answer], rows: Sequence[Row]) -> list[Answer | Exception]:
    """Return the answers of one call. Raises ModelError if there are not as many answers as
    rows.
    """
    answers = list(work(rows))
    if len(answers) != len(rows):
        raise ModelError(f"the model gave {len(answers)} answers for {len(rows)} texts")
    return answers


Told = Callable[[Mapping[int, Answer | Exception]], None]
"""Hears the answers of rows, by their places, from the thread that ran them; must not take long."""

MOST_RETURNS = 2  # how often rows go back into the queue because the thread that ran them ended


@dataclass(slots=True, eq=False)
class Ticket(Generic[Row, Answer]):
    """The rows of one caller. Only the queue changes it, under the queue's lock.

    - `left`: rows that no batch has taken yet, longest first; with `headed`, row 0 before all
      others
    - `told`: gets answers as they arrive; `open`: how many rows have no answer yet
    - `until`: when the caller gives up, as a reading of perf_counter
    - `leading`: the caller's thread has a lane of the queue; `gone`: the caller waits no longer
    - `cut`: how many rows each of its batches has; empty if a batch takes what fits
    """

    rows: Sequence[Row]
    until: float | None
    queued: float
    headed: bool = False
    told: Told[Answer] | None = None
    entered: float = 0.0  # when the first of the rows went into the model
    leading: bool = False
    gone: bool = False
    returns: int = 0
    open: int = 0
    left: deque[int] = field(default_factory=deque)
    cut: deque[int] = field(default_factory=deque)
    answers: list[Answer | Exception] = field(default_factory=list)
    wake: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.open = len(self.rows)
        order = longest_first([len(row) for row in self.rows])
        if self.headed:
            order = [0, *(index for index in order if index)]
        self.left = deque(order)
        late = BusyError("the model was still busy when the time was up", mend="try again")
        self.answers = [late] * len(self.rows)

    @property
    def waiting_tokens(self) -> int:
        """Tokens of the rows that no batch has taken yet."""
        return sum(self.lengths)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row that no batch has taken yet, in the order in which they are taken."""
        return [len(self.rows[index]) for index in self.left]

    def settle(self, index: int, answer: Answer | Exception) -> None:
        """Keep the answer of row `index`; the last answer wakes the caller."""
        self.answers[index] = answer
        self.open -= 1
        if not self.open:
            self.wake.set()

    def tell(self, found: Mapping[int, Answer | Exception]) -> None:
        """Pass answers to `told`. The thread of another caller may do it, so an error of `told` is
        dropped. The answers themselves are kept already.
        """
        if self.told is not None:
            with suppress(Exception):
                self.told(found)

    def give_up(self) -> int:
        """Stop waiting for rows that no batch has taken; return how many they are."""
        dropped = len(self.left)
        self.left.clear()
        self.open -= dropped
        if not self.open:
            self.wake.set()
        return dropped

    def put_back(self, indexes: Sequence[int]) -> bool:
        """Let rows wait again whose thread ended; return whether they wait. After two such ends
        they fail.
        """
        self.returns += 1
        self.cut.clear()
        if self.returns <= MOST_RETURNS:
            self.left.extendleft(reversed(indexes))
            return True
        for index in indexes:
            what = "the threads that ran this text ended before it was done"
            self.settle(index, ModelError(what, mend="try again; see the log for why they ended"))
        return False


class BatchQueue(Generic[Row, Answer]):
    """Runs rows through `work` and gives each caller its answers in order.

    `work` gives one answer, or the row's own error, for each row, in order; several threads may
    call it. A row's `len` is its number of tokens. Where there are several lanes, threads of the
    queue help with a request of several batches. They start when they are first needed and end with
    `close`.
    """

    def __init__(
        self,
        work: Work[Row, Answer],
        limits: BatchLimits,
        *,
        watch: ModelWatch = UNWATCHED,
    ) -> None:
        self.limits = limits
        self._work = work
        self._watch = watch
        self._helpers = SpareThreads(limits.lanes - 1, name="model")
        self._closed = False
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)  # notified when rows are added
        self._queue: deque[Ticket[Row, Answer]] = deque()  # tickets with waiting rows
        self._running = 0  # lanes taken
        self._waiting = 0  # tokens

    def run(self, rows: Sequence[Row], *, until: float | None = None) -> list[Answer]:
        """Return an answer for each of `rows`, in order.

        Raises the first row's error. Raises BusyError if too much waits already, or where not all
        rows have answers at `until`, a reading of perf_counter; rows that entered the model at once
        in this thread are waited for.
        """
        answers: list[Answer] = []
        for found in self.run_each(rows, until=until):
            if isinstance(found, Exception):
                raise found
            answers.append(found)
        return answers

    def run_each(
        self,
        rows: Sequence[Row],
        *,
        until: float | None = None,
        headed: bool = False,
        told: Told[Answer] | None = None,
    ) -> list[Answer | Exception]:
        """Return an answer for each of `rows`, in order, or the row's error in its place.

        Rows without an answer at `until` have BusyError, also those that another thread is working
        on. Only where too much waits already is BusyError raised. With `headed`, row 0 goes in
        before the others, which are no use without it. Where there are several batches, `told` gets
        the answers of each batch when it ends, until the caller gives up: this thread may be in a
        batch of its own at `until`.
        """
        if not rows:
            return []
        began = perf_counter()
        if self._enter_at_once(rows, until, began):
            try:
                found = self._attempt(rows)
            finally:
                self._leave()
            self._tell(began, began)
            return found
        ticket: Ticket[Row, Answer] = Ticket(rows, until, began, headed, told)
        self._admit(ticket)
        try:
            self._see_through(ticket)
        finally:
            found = self._withdraw(ticket)
        self._tell(began, ticket.entered or perf_counter())
        return found

    def close(self) -> None:
        """End the helpers when they have finished their batches. Callers go on without them, each
        in its own thread.
        """
        with self._lock:
            self._closed = True
        self._helpers.close()

    @property
    def free_lanes(self) -> int:
        """How many more batches could run now."""
        return self.limits.lanes - self._running

    @property
    def waiting(self) -> int:
        """Tokens that wait now."""
        return self._waiting

    def _tell(self, began: float, entered: float) -> None:
        """Report the two stages of a call that has just ended."""
        self._watch.timed(Stage.QUEUE, began, entered)
        self._watch.timed(Stage.INFERENCE, entered, perf_counter())

    def _enter_at_once(self, rows: Sequence[Row], until: float | None, now: float) -> bool:
        """Take a lane if one is free, nobody waits, and all rows fit in one batch."""
        limits = self.limits
        if limits.wait_ms > 0 or (until is not None and now >= until):
            return False
        lengths = [len(row) for row in rows] if len(rows) > 1 else []
        if lengths and not limits.fit(min(lengths), max(lengths), len(rows)):
            return False
        with self._lock:
            free = limits.lanes - self._running
            if free < 1 or self._queue or (lengths and limits.shared(lengths, free) > 1):
                return False
            self._running += 1
            return True

    def _leave(self) -> None:
        with self._lock:
            self._hand_over()

    def _admit(self, ticket: Ticket[Row, Answer]) -> None:
        """Queue a ticket and give it the lanes that are free. Raises BusyError if too much
        waits.
        """
        lengths, free = ticket.lengths, self._lanes_alone()
        tokens, batches = sum(lengths), self.limits.needed(lengths)
        # Before the lock is taken, which every lone query needs: this may take milliseconds.
        cut = self.limits.cut(lengths, free, headed=ticket.headed)
        with self._lock:
            if self._queue and self._waiting + tokens > self.limits.waiting_tokens:
                self._watch.counted(Event.REFUSED, 1)
                raise BusyError(
                    f"{self._waiting} tokens wait for the model already; yours were not added",
                    mend="try again in a second, or send less at once",
                )
            if cut and self._lanes_alone() == free:  # nobody came or went meanwhile
                ticket.cut.extend(cut)
                batches = len(cut)
            self._queue.append(ticket)
            self._waiting += tokens
            self._watch.counted(Event.WAITING, len(ticket.rows))
            if self._running < self.limits.lanes:
                self._running += 1
                ticket.leading = True
            for _ in range(batches - 1):
                if self._running >= self.limits.lanes or not self._ask_for_help():
                    break
                self._running += 1
            self._more.notify_all()

    def _lanes_alone(self) -> int:
        """Return how many lanes a caller that comes now has to itself. None if others wait, or
        where batches wait until they are full.
        """
        return 0 if self._queue or self.limits.wait_ms > 0 else self.free_lanes

    def _see_through(self, ticket: Ticket[Row, Answer]) -> None:
        """Run batches while this thread has a lane, and wait while it has none, until every row has
        an answer or time is up.
        """
        while ticket.open:
            left = None if ticket.until is None else ticket.until - perf_counter()
            if left is not None and left <= 0:
                return
            if not ticket.leading:
                ticket.wake.wait(left)
                ticket.wake.clear()
            elif not ticket.left or not self._lead(ticket):
                with self._lock:  # its last rows run elsewhere
                    ticket.leading = False
                    self._hand_over()

    def _withdraw(self, ticket: Ticket[Row, Answer]) -> list[Answer | Exception]:
        """Take the caller out of the queue and return its answers so far. Its waiting rows leave
        the queue and its lane goes to another caller. Rows that still run elsewhere can't change
        the returned answers.
        """
        with self._lock:
            self._drop(ticket)
            ticket.gone = True
            if ticket.leading:
                ticket.leading = False
                self._hand_over()
            return list(ticket.answers)

    def _hand_over(self) -> None:
        """Give a free lane to the first caller that waits without one, else to a helper."""
        for ticket in self._queue:
            if not ticket.leading:
                ticket.leading = True
                ticket.wake.set()
                return
        if not self._queue or not self._ask_for_help():
            self._running -= 1

    def _ask_for_help(self) -> bool:
        """Start a helper that has a lane; False if no thread can be had."""
        return not self._closed and self._helpers.start(self._help)

    def _help(self) -> None:
        """Run batches as a helper until nothing waits or the queue is closed."""
        try:
            while self._lead(None):
                pass
        finally:
            self._leave()

    def _lead(self, own: Ticket[Row, Answer] | None) -> bool:
        """Take a batch and run it; False if nothing waits that this thread may run."""
        with self._lock:
            if own is not None and self.limits.wait_ms > 0:
                self._wait_for_more(own)
            # Otherwise `close` would wait for as long as callers add rows.
            batch = [] if own is None and self._closed else self._gather()
        if not batch:
            return False
        try:
            answers = self._attempt([ticket.rows[index] for ticket, index in batch])
        except BaseException:  # this thread is ending: others must not wait for it
            with self._lock:
                self._put_back(batch)
            raise
        heard: dict[Ticket[Row, Answer], dict[int, Answer | Exception]] = {}
        with self._lock:
            for (ticket, index), answer in zip(batch, answers, strict=True):
                ticket.settle(index, answer)
                if ticket.told is not None and not ticket.gone:
                    heard.setdefault(ticket, {})[index] = answer
        for ticket, found in heard.items():
            ticket.tell(found)
        return True

    def _wait_for_more(self, own: Ticket[Row, Answer]) -> None:
        """Wait until a batch is full or the longest wait is over."""
        end = own.queued + self.limits.wait_ms / 1000
        while self._waiting < self.limits.tokens and (left := end - perf_counter()) > 0:
            self._more.wait(left)

    def _gather(self) -> list[tuple[Ticket[Row, Answer], int]]:
        """Return the next batch: rows of the first caller in the queue, then rows of others where
        they fit. If the first has rows left, it goes to the end of the queue.
        """
        now = perf_counter()
        batch: list[tuple[Ticket[Row, Answer], int]] = []
        shortest, longest = 0, 0
        alone = len(self._queue) == 1
        for ticket in list(self._queue):
            if ticket.until is not None and now >= ticket.until:
                self._drop(ticket)
                continue
            first = not batch
            if not alone:
                ticket.cut.clear()  # batches are to be full
            rows = ticket.cut.popleft() if ticket.cut else 0
            while ticket.left and (not rows or len(batch) < rows):
                tokens = len(ticket.rows[ticket.left[0]])
                low, high = (
                    (min(shortest, tokens), max(longest, tokens)) if batch else (tokens,) * 2
                )
                if not rows and not self.limits.fit(low, high, len(batch) + 1):
                    break
                shortest, longest = low, high
                batch.append((ticket, ticket.left.popleft()))
                self._waiting -= tokens
                ticket.entered = ticket.entered or now
            if not ticket.left or first:
                self._queue.remove(ticket)
            if ticket.left and first:
                self._queue.append(ticket)
        self._watch.counted(Event.WAITING, -len(batch))
        return batch

    def _drop(self, ticket: Ticket[Row, Answer]) -> None:
        """Remove a ticket's waiting rows from the queue; they stay without answers."""
        if not ticket.left:
            return
        self._waiting -= ticket.waiting_tokens
        self._queue.remove(ticket)
        self._watch.counted(Event.WAITING, -ticket.give_up())

    def _put_back(self, batch: Sequence[tuple[Ticket[Row, Answer], int]]) -> None:
        """Queue the rows of a batch again whose thread ended, or let them fail after two such
        ends.
        """
        for ticket in dict.fromkeys(ticket for ticket, _ in batch):
            indexes = [index for other, index in batch if other is ticket]
            queued = bool(ticket.left)
            # A lane that was handed to a caller who is gone would be lost.
            if ticket.gone or not ticket.put_back(indexes):
                continue
            self._waiting += sum(len(ticket.rows[index]) for index in indexes)
            self._watch.counted(Event.WAITING, len(indexes))
            if not queued:
                self._queue.append(ticket)

    def _attempt(self, rows: Sequence[Row]) -> list[Answer | Exception]:
        """Run one batch through the model."""
        longest = len(rows[0]) if len(rows) == 1 else max(len(row) for row in rows)
        self._watch.counted(Event.BATCH_ROWS, len(rows))
        self._watch.counted(Event.BATCH_TOKENS, longest * len(rows))
        return attempt(self._work, rows)
