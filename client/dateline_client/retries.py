"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

import httpx

from dateline_client.errors import AnswerError, SessionEndedError, UnreachableError

_PASSING = frozenset({429, 502, 503, 504})
_NOT_DONE = frozenset({429, 503})  # the service did nothing: any request may be sent again


@dataclass(frozen=True, slots=True)
class Retries:
    """At most `attempts`, with waits that double from `first_s`, at most `longest_s` each. A
    Retry-After of the service is honoured up to `longest_s`.
    """

    attempts: int = 5
    first_s: float = 0.5
    longest_s: float = 60.0

    def wait_s(self, attempt: int, answer: httpx.Response | None, *, safe: bool) -> float | None:
        """Return seconds to wait after the attempt of this number (from 1); None to give up.
        `answer` is None if there was none. `safe` says that the request may be carried out twice.
        """
        if attempt >= self.attempts:
            return None
        if answer is None:
            passing = safe
        else:
            passing = answer.status_code in (_PASSING if safe else _NOT_DONE)
        if not passing:
            return None
        said = _retry_after(answer)
        if said > self.longest_s:
            return None
        doubled = min(self.longest_s, self.first_s * 2.0 ** (attempt - 1))
        return max(said, doubled * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


def _retry_after(answer: httpx.Response | None) -> float:
    text = answer.headers.get("retry-after", "") if answer is not None else ""
    return float(text) if text.isdecimal() else 0.0


def refusal(answer: httpx.Response) -> AnswerError:
    """Return the error of an answer that is not a success. Its body was read."""
    try:
        error = answer.json()["error"]
        code, message = str(error["code"]), str(error["message"])
        mend = str(error.get("mend", ""))
    except (ValueError, KeyError, TypeError):
        code, message, mend = "", answer.reason_phrase, ""
    kind = SessionEndedError if code == "session_ended" else AnswerError
    return kind(answer.status_code, code, message, mend)


def unreachable(cause: httpx.TransportError) -> UnreachableError:
    """Return the error for no answer. It names the address without its parameters, which can hold
    a signature.
    """
    asked = cause.request.url.copy_with(query=None)
    return UnreachableError(f"no answer from {asked}: {type(cause).__name__} {cause}".rstrip())
