"""The use log: what may be kept of a search, of whom, and for how long.

Only accounts that the settings name as agreed are in it. A caller is kept as a keyed hash, and so
are the words of a query until enough callers asked the same. Words that look like personal data
stay a hash for ever. The secret of the hashes rotates: each period of 30 days has its own, which is
deleted with the last query that it was used for.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import uuid4

from core.audit import AuditAction, AuditEntry
from core.callers import OPERATOR, Caller
from core.customers.use import Event, LoggedQuery
from core.errors import StorageError
from core.ports.customers import UseStore
from core.ports.engine import Clock
from search.answers import SearchRequest, SearchResponse

EVERYBODY = "*"
_LONGEST = 200  # characters of a query whose words may be kept
_HASH = 32  # characters in hex
_ROTATES = 30 * 86_400  # seconds
_DATE = re.compile(r"\b\d{4}-\d{2}(-\d{2})?\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b", re.ASCII)
_PERSONAL = (
    re.compile(r"\S@\S"),  # a mail address, or a name on a network
    re.compile(r"(?:\d[\s().+/-]*){7}"),  # a telephone number, a card, an account
    re.compile(r"://|\bwww\."),  # an address may have a name or a key in it
)
_log = logging.getLogger("dateline.use")


@dataclass(frozen=True, slots=True)
class UseRules:
    """Who agreed (`accounts`, EVERYBODY for all), for how many `days` the log is kept, and how many
    `callers` must ask the same before its words are.
    """

    accounts: frozenset[str]
    days: int
    callers: int

    def agreed(self, caller: Caller) -> bool:
        """Return whether what the caller does may be kept."""
        return bool({EVERYBODY, caller.account} & self.accounts)


@dataclass(frozen=True, slots=True)
class Trial:
    """The part of a logged query that an experiment needs; see `LoggedQuery`."""

    experiment: str = ""
    arm: str = ""
    unit: str = ""


NO_TRIAL = Trial()


class UseLog:
    """Keeps searches and events by the rules. Thread-safe. A log that fails stops no search."""

    def __init__(self, store: UseStore, rules: UseRules, clock: Clock) -> None:
        self.store, self.rules, self._clock = store, rules, clock
        self._secret = lru_cache(2)(store.secret)
        self._failed = False

    def keeps(self, request: SearchRequest, caller: Caller) -> bool:
        """Return whether the answer to this request is kept: the first page of a query in words, of
        an account that agreed, whose reader did not refuse.
        """
        plain = request.q.strip() and not (request.text or request.similar_to or request.cursor)
        allowed = request.use_log and self.rules.agreed(caller)
        return bool(plain) and request.page == 1 and allowed

    def searched(
        self,
        request: SearchRequest,
        caller: Caller,
        answer: SearchResponse,
        trial: Trial = NO_TRIAL,
    ) -> str:
        """Keep an answer; return the id of the query, "" if it could not be kept."""
        try:
            now = self._clock()
            period = _period(now)
            words = normalized(request.q)
            logged = LoggedQuery(
                id=str(uuid4()),
                at=now,
                period=period,
                caller=self._hash(period, caller.account),
                query=hashed(self._secret(period), "query", words),
                profile=answer.profile,
                hits=tuple(hit.item.uri for hit in answer.hits),
                total=answer.total.value,
                milliseconds=round(float(answer.milliseconds.get("total", 0.0)), 3),
                unknown=any(name.known is None for name in answer.understood.entities),
                experiment=trial.experiment,
                arm=trial.arm,
                unit=trial.unit,
                teams="".join(hit.team for hit in answer.hits),
            )
            kept = "" if is_personal(words) else words
            self.store.add(logged, kept, self.rules.callers)
            self._failed = False
        except StorageError as error:
            if not self._failed:
                _log.error("searches are not logged for now: %s", error)
            self._failed = True
            return ""
        return logged.id

    def note(self, events: Sequence[Event], caller: Caller) -> int:
        """Keep what the caller did with hits of its own queries; return how many events were kept.
        Times are those of this service.
        """
        if not self.rules.agreed(caller):
            return 0
        now = self._clock()
        # A query of an hour ago may have the hash of the period before.
        periods = {_period(now), _period(now - timedelta(days=1))}
        mine = {self._hash(period, caller.account) for period in periods}
        return sum(any(self.store.note(replace(e, at=now), one) for one in mine) for e in events)

    def erase(self, account: str, by: Caller = OPERATOR) -> int:
        """Delete what an account did, under every secret that is kept; return how many queries. The
        audit log has who did it.
        """
        hashes = [hashed(secret, "caller", account) for secret in self.store.secrets().values()]
        action, detail = AuditAction.ERASE, f"account={account}"
        entry = AuditEntry(self._clock(), by.account, by.name, action, detail=detail)
        return self.store.erase(hashes, self.rules.callers, entry)

    def drop_old(self) -> int:
        """Delete what is older than the settings allow; return how many queries."""
        return self.store.drop(self._clock() - timedelta(days=self.rules.days), self.rules.callers)

    def kept(self) -> Iterator[LoggedQuery]:
        """Yield what is in the log, the oldest first, but nothing that is older than allowed, even
        if it is not deleted yet.
        """
        now = self._clock()
        since = now - timedelta(days=self.rules.days)
        yield from self.store.logged(since, now + timedelta(seconds=1))

    def _hash(self, period: int, account: str) -> str:
        return hashed(self._secret(period), "caller", account)


def _period(now: datetime) -> int:
    return int(now.timestamp() // _ROTATES)


def hashed(secret: bytes, kind: str, text: str) -> str:
    """Return the keyed hash of a text of this kind, in hex."""
    message = f"{kind}\0{text}".encode("utf-8", "surrogatepass")
    return hmac.digest(secret, message, "sha256").hex()[:_HASH]


def normalized(query: str) -> str:
    """Return the words of a query in the form in which two of them are the same."""
    return " ".join(query.casefold().split())


def is_personal(words: str) -> bool:
    """Return whether the words are too long, or look like personal data: a mail address, a number
    that is no date, an address of the web.
    """
    without_dates = _DATE.sub(" ", words)
    return len(words) > _LONGEST or any(each.search(without_dates) for each in _PERSONAL)
