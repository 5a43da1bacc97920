"""The errors of the client.

DatelineError
├── AnswerError         the service refused; status, code, message and mend say why
│   └── SessionEndedError   a feed's session is over: begin a new one
├── UnreachableError    no answer, after all attempts
└── SignatureError      a webhook that the service did not sign, or an old one
"""

from __future__ import annotations


class DatelineError(Exception):
    """Any error of this client."""


class AnswerError(DatelineError):
    """The service refused the request. `code` is a word, `mend` says what to do about it."""

    def __init__(self, status: int, code: str, message: str, mend: str = "") -> None:
        super().__init__(f"{status} {code}: {message} {mend}".strip())
        self.status = status
        self.code = code
        self.message = message
        self.mend = mend


class SessionEndedError(AnswerError):
    """The session of a feed has ended: unused for 72 hours, or a backup was restored."""


class UnreachableError(DatelineError):
    """There was no answer, after all attempts."""


class SignatureError(DatelineError):
    """A webhook has no valid signature, or its time is too far from now."""
