"""AP Media API's integer error codes: what each means, its HTTP status, and who says so.

`GUIDE` and `UPDATES` are pages of AP's developer's guide. A code without a source is ours: it
repeats the HTTP status, so that a client can tell it from AP's.
"""

from __future__ import annotations

from dataclasses import dataclass

from api.problems import Problem

GUIDE = "AP's guide, API Codes"
UPDATES = "AP's guide, Getting Content Updates"


@dataclass(frozen=True, slots=True)
class Code:
    """An integer code, the HTTP status that it comes with, and the page that gives it, "" for
    none.
    """

    number: int
    status: int
    means: str
    source: str = ""


SYNTAX = Code(1000, 400, "the request can't be read", GUIDE)
UNKNOWN = Code(5000, 400, "a parameter is unknown", GUIDE)
INVALID = Code(5001, 400, "a parameter has an invalid value", GUIDE)
RANGE = Code(5003, 400, "min_date and max_date are too far apart", GUIDE)
FUTURE = Code(5004, 400, "min_date is not before today", GUIDE)
ORDER = Code(5005, 400, "min_date is not before max_date", GUIDE)
AGE = Code(5006, 400, "min_date is too long ago", GUIDE)
EXPIRED = Code(6060, 400, "the session has ended; begin again with the query", UPDATES)
NO_KEY = Code(401, 401, "no key, or an unknown one")
FORBIDDEN = Code(403, 403, "the key may not do this")
ABSENT = Code(404, 404, "nothing there, or nothing there for this key")
METHOD = Code(405, 405, "the address has other methods")
PRICE = Code(402, 400, "a price is not acknowledged; `item` has the present one")
CONFLICT = Code(409, 400, "it contradicts what is kept")
QUOTA = Code(429, 429, "a quota is used up; Retry-After says when to come back")
INTERNAL = Code(500, 500, "an error of the service")
BUSY = Code(503, 503, "too much work at once; Retry-After says when to come back")

CODES = (
    *(SYNTAX, UNKNOWN, INVALID, RANGE, FUTURE, ORDER, AGE, EXPIRED),
    *(NO_KEY, FORBIDDEN, ABSENT, METHOD, PRICE, CONFLICT, QUOTA, INTERNAL, BUSY),
)

# By the word that our own routes answer with, where the status alone does not say it.
_WORDS = {
    "bad_request": SYNTAX,
    "bad_parameter": INVALID,
    "bad_query": INVALID,
    "cursor_expired": EXPIRED,
    "session_ended": EXPIRED,
    "price_not_acknowledged": PRICE,
    "range_too_long": RANGE,
    "min_date_in_future": FUTURE,
    "min_date_after_max_date": ORDER,
    "min_date_too_old": AGE,
}
_STATUSES = {
    **{code.status: code for code in (NO_KEY, FORBIDDEN, ABSENT, METHOD, QUOTA, INTERNAL, BUSY)},
    409: CONFLICT,
    410: EXPIRED,
    507: BUSY,
}


def code_of(problem: Problem) -> Code:
    """Return AP's code for a problem; `SYNTAX` for one that nothing else describes."""
    if problem.unknown:
        return UNKNOWN
    return _WORDS.get(problem.code) or _STATUSES.get(problem.status, SYNTAX)
