"""Asks a provider repeatedly, within the bill, its limits and its health.

Every attempt reserves its price, waits for its turn in the rates, and passes a breaker that opens
after FAILURES in a row: then the provider is left alone for REST_S seconds, and calls fail at once.
Between attempts there is a pause with jitter, or the one that Retry-After asks for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.media import ToCaption
from indexing.captions.failures import Unanswered
from indexing.captions.prompt import question
from indexing.captions.provider import Answer, Provider
from indexing.captions.rates import Rates
from indexing.captions.spending import Spending, TokenEstimate, Usage

ATTEMPTS = 4
FAILURES = 5
REST_S = 30.0
PATIENCE_S = 120.0  # for a turn in the rates
FIRST_PAUSE_S = 0.5  # at most, before the second attempt; doubled each time
LONGEST_PAUSE_S = 20.0
CAP = "spend cap of the day"
LEFT_ALONE = "the provider failed again and again and is left alone for a while"


def new_breaker(failures: int = FAILURES, rest_s: float = REST_S) -> Any:
    """Return a breaker that counts only failures of the provider."""
    from pybreaker import CircuitBreaker

    return CircuitBreaker(
        fail_max=failures,
        reset_timeout=rest_s,
        exclude=[lambda error: not getattr(error, "down", False)],
        throw_new_error_on_trip=False,
    )


@dataclass(frozen=True, slots=True)
class Calls:
    """Questions to one provider. Thread-safe; the breaker belongs to this process, rates and
    spending are shared.
    """

    provider: Provider
    rates: Rates
    spending: Spending
    estimate: TokenEstimate = field(default_factory=TokenEstimate)
    breaker: Any = field(default_factory=new_breaker)
    attempts: int = ATTEMPTS
    sleep: Callable[[float], None] = time.sleep
    owned: tuple[Callable[[], None], ...] = ()  # what else is closed with it

    def ask(self, still: ToCaption) -> Answer:
        """Return the answer for one still. Raises Unanswered; raises StorageError, and sends
        nothing, if spending can't be recorded.
        """
        from tenacity import Retrying, retry_if_exception, stop_after_attempt

        retrying = Retrying(
            stop=stop_after_attempt(self.attempts),
            wait=_pause,
            retry=retry_if_exception(_passing),
            sleep=self.sleep,
            reraise=True,
        )
        return retrying(self._attempt, still)

    def close(self) -> None:
        """Closes the connections, and what it owns."""
        self.provider.close()
        for close in self.owned:
            close()

    def _attempt(self, still: ToCaption) -> Answer:
        from pybreaker import CircuitBreakerError

        try:
            # Not `call`: it holds the breaker's lock, so requests would run one after another.
            with self.breaker.calling():
                return self._paid(still)
        except CircuitBreakerError:
            raise Unanswered(LEFT_ALONE) from None

    def _paid(self, still: ToCaption) -> Answer:
        text = question(still)
        expected = self.estimate.before(text)
        price = self._price(expected)
        key = self.spending.reserve(price)
        if key is None:
            raise Unanswered(CAP)
        settle = self.spending.book.settle
        try:
            if not self.rates.take(expected.tokens_in + expected.tokens_out, PATIENCE_S):
                raise Unanswered("no turn within the rates")
            answer = self.provider.chat(still)
        except Unanswered as failure:
            settle(key, price if failure.billed else 0.0)
            raise
        if answer.usage is not None:
            self.estimate.learn(text, answer.usage)
        settle(key, self._price(answer.usage or expected))
        return answer

    def _price(self, usage: Usage) -> float:
        return self.spending.prices.of(usage.tokens_in, usage.tokens_out)


def _passing(error: BaseException) -> bool:
    return isinstance(error, Unanswered) and error.wait is not None


def _pause(state: Any) -> float:
    """Seconds before the next attempt: the requested ones plus a random part of a growing pause."""
    from tenacity import wait_random_exponential

    jitter = wait_random_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S)(state)
    failure = state.outcome.exception()
    asked = failure.wait if isinstance(failure, Unanswered) and failure.wait else 0.0
    return float(asked + jitter)
