"""One caller in a batch queue: its rows, and the answer of each."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.errors import BusyError, ModelError
from inference.serving.batches import longest_first

Row = TypeVar("Row", bound=Sized)
Answer = TypeVar("Answer")
Told = Callable[[Mapping[int, Answer | Exception]], None]
"""Hears the answers of rows, by their places, from the thread that ran them; must not take long."""

MOST_RETURNS = 2  # how often rows go back into the queue because the thread that ran them ended


@dataclass(slots=True, eq=False)
class Ticket(Generic[Row, Answer]):
    """The rows of one caller. Only the queue changes it, under the queue's lock.

    - `left`: rows that no batch has taken yet, longest first; with `headed`, row 0 before all
      others
    - `told`: gets answers as they come; `open`: how many rows have no answer yet
    - `until`: when the caller gives up, as a reading of perf_counter
    - `leading`: the caller's thread has a lane of the queue; `gone`: the caller waits no longer
    - `cut`: how many rows each of its batches has; empty where a batch takes what fits
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
