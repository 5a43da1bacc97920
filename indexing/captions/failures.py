"""Why a provider gave no answer, and what follows for this still, for the next and for the bill.

HTTP 429 wait as told and ask again; the provider is well 408, 5xx, cut off, too slow wait and ask
again; after several in a row it is left alone 401, 403, 404, no quota no still can succeed until
somebody mends it 400, 413, 422 this request is wrong; asking again does not help
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping

from indexing.captions.answer import clean_line
from indexing.captions.connection import Exchange

LONGEST_WAIT_S = 60.0
_LONGEST_REASON = 200
_REFUSED = frozenset({401, 403, 404})
_NO_MONEY = "insufficient_quota"


class Unanswered(Exception):  # noqa: N818 - not an error of ours: a still without a caption
    """One attempt without a result.

    `again`: a later try may succeed. `wait`: the least seconds before the next attempt, None for no
    further attempt now. `down`: it counts against the provider. `billed`: the provider may have
    done the work.
    """

    def __init__(
        self,
        reason: str,
        *,
        again: bool = True,
        wait: float | None = None,
        down: bool = False,
        billed: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.wait = wait
        self.down = down
        self.billed = billed


def of_status(status: int, headers: Mapping[str, str], message: str, code: str) -> Unanswered:
    """Return the failure that an answer other than 200 means; `message` and `code` are from its
    body.
    """
    said = clean_line(message, _LONGEST_REASON)
    reason = f"the provider answered HTTP {status}" + (f": {said}" if said else "")
    if status in _REFUSED or code == _NO_MONEY:
        return Unanswered(reason, down=True)
    if status == 429 or status in (408, 409) or status >= 500:
        wait = seconds_to_wait(headers)
        if wait > LONGEST_WAIT_S:
            return Unanswered(f"{reason}; it asks to wait {wait:.0f} s", down=status != 429)
        return Unanswered(reason, wait=wait, down=status != 429)
    if status >= 400:
        return Unanswered(reason, again=False)
    return Unanswered(reason, down=True)


def of_connection(exchange: Exchange, name: str, *, sent: bool) -> Unanswered:
    """Return the failure that a broken exchange means. `name` is the kind of error, `sent` says
    whether the request may have reached the provider.
    """
    if exchange.late:
        return Unanswered("the provider did not answer in time", wait=0.0, down=True, billed=True)
    if exchange.long:
        what = f"the provider answered more than {exchange.most_bytes:,} bytes"
        return Unanswered(what, down=True, billed=True)
    word = "cut the connection" if sent else "can't be reached"
    return Unanswered(f"the provider {word} ({name})", wait=0.0, down=True, billed=sent)


def seconds_to_wait(headers: Mapping[str, str]) -> float:
    """Return Retry-After, a number or a date, in seconds from now (RFC 9110, section 10.2.3), or
    the finer `retry-after-ms`; 0 without either.
    """
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        said = headers.get(name, "").strip()
        if said.isascii() and said.replace(".", "", 1).isdigit() and len(said) < 16:
            return float(said) / divisor
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return 0.0
    return max(0.0, date.timestamp() - time.time())
