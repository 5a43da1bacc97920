"""Asks a provider repeatedly, within the bill, its limits and its health.

Every attempt reserves its price, waits for its turn in the rates, and passes a breaker that opens
after FAILURES in a row: then the provider is left alone for REST_S seconds, and calls fail at once.
Between attempts there is a pause with jitter, or the one that Retry-After asks for. The rates limit
requests and tokens a minute over all processes together. `ProviderCaptioner` asks several questions
at once and gives an outcome for every still.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from core.errors import StorageError
from core.media import Caption, ToCaption, Uncaptioned
from core.threads import Threads
from core.tracing import Span, Value
from indexing.captions.answer import caption_of
from indexing.captions.failures import Unanswered
from indexing.captions.prompt import made_by, prompt_digest, question
from indexing.captions.provider import Answer
from indexing.captions.rights import refusal
from indexing.captions.spending import Spending, TokenEstimate, Usage

_JITTER, _MOST_JITTER_S = (
    0.1,
    1.0,
)  # random part of a pause, so that waiting callers do not all ask at once


class RateLog(Protocol):
    """Keeps the requests of the last minute, for every process of an archive."""

    def take(
        self,
        name: str,
        tokens: int,
        most_requests: float,
        most_tokens: float,
        minute_s: float,
    ) -> float:
        """Note one request of `tokens` under a provider's name and return 0, unless a sum over the
        last `minute_s` seconds would pass its limit: then returns the seconds until there may be
        room. One step; a request has at most `most_tokens`. Raises StorageError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rates:
    """Limits over any sliding minute; 0 is no limit. Without limits `log` is not asked.
    Thread-safe.
    """

    log: RateLog | None = None
    name: str = ""
    requests: int = 0
    tokens: int = 0
    minute_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def take(self, tokens: int, patience_s: float) -> bool:
        """Wait until one request of `tokens` may be made; return False if that would take more than
        `patience_s` seconds. Raises StorageError.

        A request of more tokens than a minute allows takes the whole minute.
        """
        if self.log is None or not (self.requests or self.tokens):
            return True
        most_requests, most_tokens = self.requests or float("inf"), self.tokens or float("inf")
        tokens = min(tokens, self.tokens or tokens)
        deadline = time.monotonic() + patience_s
        while True:
            pause = self.log.take(self.name, tokens, most_requests, most_tokens, self.minute_s)
            if pause <= 0:
                return True
            if time.monotonic() + pause > deadline:
                return False
            jitter = min(pause * _JITTER, _MOST_JITTER_S)
            self.sleep(pause + random.uniform(0, jitter))  # noqa: S311 - no secret


ATTEMPTS = 4
FAILURES = 5
REST_S = 30.0
PATIENCE_S = 120.0  # for a turn in the rates
FIRST_PAUSE_S = 0.5  # at most, before the second attempt; doubled each time
LONGEST_PAUSE_S = 20.0
CAP = "spend cap of the day"
LEFT_ALONE = "the provider failed again and again and is left alone for a while"


# Gets a model, the tokens that it read and wrote, and what that cost.
Paid: TypeAlias = Callable[[str, int, int, float], object]


def new_breaker(failures: int = FAILURES, rest_s: float = REST_S) -> Any:
    """Return a breaker that counts only failures of the provider."""
    from pybreaker import CircuitBreaker

    return CircuitBreaker(
        fail_max=failures,
        reset_timeout=rest_s,
        exclude=[lambda error: not getattr(error, "down", False)],
        throw_new_error_on_trip=False,
    )


class Asked(Protocol):
    """A provider of answers to one question at a time (`provider.py`, `bedrock.py`)."""

    @property
    def model(self) -> str:
        """The model's name."""
        ...

    def chat(self, still: ToCaption) -> Answer:
        """Return the answer for one still. Raises Unanswered."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


Provided = TypeVar("Provided", bound=Asked)


@dataclass(frozen=True, slots=True)
class Calls(Generic[Provided]):
    """Questions to one provider. Thread-safe; the breaker belongs to this process, rates and
    spending are shared.
    """

    provider: Provided
    rates: Rates
    spending: Spending
    estimate: TokenEstimate = field(default_factory=TokenEstimate)
    breaker: Any = field(default_factory=new_breaker)
    attempts: int = ATTEMPTS
    sleep: Callable[[float], None] = time.sleep
    owned: tuple[Callable[[], None], ...] = ()  # what else is closed with it
    paid: Paid = lambda model, tokens_in, tokens_out, price: None  # hears of each answer

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
        """Close the connections, and what it owns."""
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
            answer = self._asked(still)
        except Unanswered as failure:
            settle(key, price if failure.billed else 0.0)
            if failure.billed:
                self.paid(self.provider.model, expected.tokens_in, expected.tokens_out, price)
            raise
        if answer.usage is not None:
            self.estimate.learn(text, answer.usage)
        used = answer.usage or expected
        settle(key, self._price(used))
        self.paid(self.provider.model, used.tokens_in, used.tokens_out, self._price(used))
        return answer

    def _asked(self, still: ToCaption) -> Answer:
        model = self.provider.model
        told: dict[str, Value] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
        with Span(f"chat {model}", told, kind="client") as span:
            answer = self.provider.chat(still)
            if answer.usage is not None:
                used = answer.usage
                span.set({"gen_ai.usage.input_tokens": used.tokens_in})
                span.set({"gen_ai.usage.output_tokens": used.tokens_out})
            return answer

    def _price(self, usage: Usage) -> float:
        return self.spending.prices.of(usage.tokens_in, usage.tokens_out)


def _passing(error: BaseException) -> bool:
    return isinstance(error, Unanswered) and error.wait is not None


def _pause(state: Any) -> float:
    """Return seconds before the next attempt: the requested ones plus a random part of a growing
    pause.
    """
    from tenacity import wait_random_exponential

    jitter = wait_random_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S)(state)
    failure = state.outcome.exception()
    asked = failure.wait if isinstance(failure, Unanswered) and failure.wait else 0.0
    return float(asked + jitter)


AT_ONCE = 4
UNUSABLE = "the provider's answer holds no caption"


class ProviderCaptioner:
    """Captions from an outside service. Thread-safe.

    A still whose rights forbid it, or that is larger than `edge` pixels, is never sent.
    """

    leaves = True  # stills are sent to another service

    def __init__(self, calls: Calls[Any], edge: int, at_once: int = AT_ONCE) -> None:
        self.calls = calls
        self.edge = edge
        self.model = calls.provider.model
        self._pool = Threads(max(1, at_once), thread_name_prefix="captions")

    @property
    def digest(self) -> str:
        """The sha256 over model, prompt and schema."""
        return prompt_digest(self.model)

    def caption(self, stills: Sequence[ToCaption]) -> tuple[Caption | Uncaptioned, ...]:
        """Return a caption of each still, or why there is none; never raises for a single still."""
        return tuple(self._pool.map(self._one, stills))

    def close(self) -> None:
        """End the threads and close the connections."""
        self._pool.shutdown()
        self.calls.close()

    def _one(self, still: ToCaption) -> Caption | Uncaptioned:
        refused = refusal(still, self.edge)
        if refused is not None:
            return refused
        try:
            content = self.calls.ask(still).content
        except Unanswered as failure:
            return Uncaptioned(failure.reason, failure.again)
        except StorageError as error:
            return Uncaptioned(f"what is spent can't be written down: {error.what}", again=True)
        found = caption_of(content, context=still.context, made_by=made_by(self.model))
        return found if found is not None else Uncaptioned(UNUSABLE, again=True)
