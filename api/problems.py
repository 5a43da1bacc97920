"""One shape for every error: the status of an exception, and what the caller learns.

UnknownKeyError 401 no key, or an unknown one BodyTooLargeError 413 read no further than the limit
MediaTypeError 415 a content type that is not read here RangeError 416 the range has no byte of the
file, or there are several ranges BodyTimeoutError 408 the body did not arrive in time
ParameterError 400 a parameter is unknown, malformed or out of range MethodError 405 the path
exists, with other methods TooManyError 429 the caller has used up its share UnknownModelError 404 a
model that is not served here ModelAbsentError 503 the model for the task could not be loaded
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from core.errors import (
    AccessError,
    BusyError,
    ConflictError,
    DatelineError,
    DiskError,
    DocumentError,
    ExpiredError,
    HiddenHereError,
    InputError,
    NotFoundError,
    StorageFullError,
    UnavailableError,
)


class UnknownKeyError(AccessError):
    """No key was sent, or an unknown one."""

    code = "unauthorized"


class BodyTooLargeError(InputError):
    """The request's body is over the limit."""

    code = "too_large"


class MediaTypeError(InputError):
    """The content type of the request's body is not read here."""

    code = "unsupported_media_type"


class RangeError(InputError):
    """The range has no byte of the file, or there are several ranges."""

    code = "range_not_satisfiable"


class BodyTimeoutError(InputError):
    """The request's body did not arrive in time."""

    code = "timeout"


class MethodError(InputError):
    """The path exists, with other methods."""

    code = "method_not_allowed"


class ParameterError(InputError):
    """A parameter or a member of a body is unknown, malformed or out of range."""

    code = "bad_parameter"

    def __init__(self, what: str, *, field: str = "", mend: str = "") -> None:
        super().__init__(what, mend=mend)
        self.field = field


class UnknownParameterError(ParameterError):
    """There is no such parameter."""


class TooManyError(BusyError):
    """The caller has used up its share; it has some again in `retry_after` seconds."""

    code = "too_many_requests"

    def __init__(self, what: str, retry_after: float) -> None:
        super().__init__(what, mend="Wait as Retry-After says, or ask for a larger share.")
        self.retry_after = retry_after


class UnknownModelError(NotFoundError):
    """The service does not have the model that the request names."""

    code = "model_not_found"


class ModelAbsentError(UnavailableError):
    """The service's own model for this task could not be loaded; trying again does not help."""


def no_item(name: str) -> NotFoundError:
    """Return the error for an item that is not there, is hidden, or is not the caller's: the three
    can't be told apart.
    """
    return NotFoundError(
        f"There is no item '{name[:200]}' for this key.",
        mend="Check the uri or id and its percent-encoding, and that your plan includes the item."
        " The page /docs lists all addresses.",
    )


# The first class that matches counts, so special classes stand before general ones.
_STATUSES: tuple[tuple[type[DatelineError], int], ...] = (
    (UnknownKeyError, 401),
    (AccessError, 403),
    (NotFoundError, 404),
    (MethodError, 405),
    (BodyTimeoutError, 408),
    (ConflictError, 409),
    (ExpiredError, 410),
    (BodyTooLargeError, 413),
    (MediaTypeError, 415),
    (RangeError, 416),
    (InputError, 400),
    (TooManyError, 429),
    (StorageFullError, 507),
    (HiddenHereError, 507),
    (BusyError, 503),
    (DiskError, 503),
    (UnavailableError, 503),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a caller learns of an error. `retry_after` is in seconds, 0 if waiting does not help.
    `item` is the address of the item whose price has changed, "" for any other problem. `unknown`
    is whether the request has a parameter that there is not.
    """

    status: int
    code: str
    message: str
    mend: str = ""
    field: str = ""
    retry_after: int = 0
    item: str = ""
    unknown: bool = False


INTERNAL = Problem(
    500,
    "internal",
    "Something went wrong on our side; nothing of your request was at fault.",
    "Try again; if it stays, send us the id of this answer.",
)


def status_of(error: DatelineError) -> int:
    """Return the HTTP status of `error`; 500 for an error that the caller can't have caused."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def problem_of(error: DatelineError) -> Problem:
    """Return `error` as the caller gets it; an error of ours (500) shows no path and no cause."""
    status = status_of(error)
    if status == 500:
        return INTERNAL
    # `where` helps with a caller's own query or document; for our storage it would name our disks.
    place = f" ({error.where})" if error.where and isinstance(error, InputError) else ""
    field = error.field if isinstance(error, (DocumentError, ParameterError)) else ""
    return Problem(
        status,
        error.code,
        f"{error.what}{place}",
        error.mend,
        field,
        retry_after=_retry_after(error, status),
        unknown=isinstance(error, UnknownParameterError),
    )


def _retry_after(error: DatelineError, status: int) -> int:
    """Return whole seconds after which trying again may help, 0 if it does not."""
    if isinstance(error, TooManyError):
        return max(1, ceil(error.retry_after))
    return 1 if status == 503 and not isinstance(error, ModelAbsentError) else 0
