"""When a message is sent again, and when it is given up."""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST_S = 5.0
LONGEST_S = 3600.0
MOST_ATTEMPTS = 20  # about half a day
MOST_AGE_S = 72 * 3600.0  # a feed's session waits as long for its reader
_GONE = 410
_WAITS = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered: its `status`, or 0 with the reason in `why`; `retry_after` in
    seconds, 0 if it named none.
    """

    status: int
    why: str = ""
    retry_after: float = 0.0
    seconds: float = 0.0

    @property
    def accepted(self) -> bool:
        """Return whether the message has arrived."""
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Return whether the receiver wants no more messages."""
        return self.status == _GONE


def delay_s(failures: int, answer: Answer) -> float:
    """Return the seconds before the next attempt after this number of failures in a row. They
    double each time, and are up to a half longer or shorter by chance, so that a receiver does not
    get all messages at once.
    """
    doubled = min(LONGEST_S, FIRST_S * 2.0 ** min(failures, 30))
    wait = doubled * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    return min(LONGEST_S, max(wait, answer.retry_after)) if answer.status in _WAITS else wait


def given_up(attempts: int, age_s: float) -> bool:
    """Return whether a message with this number of failures and this age becomes a dead letter."""
    return attempts >= MOST_ATTEMPTS or age_s >= MOST_AGE_S
