"""The audit log: entries in a chain of digests, which shows whether one was changed.

The digest of an entry is the sha256 of the digest before it and of the entry with its number. So
whoever changes, removes or reorders entries has to make every later digest again, and then the
newest one, the head, differs from a head that was noted elsewhere before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

START = "0" * 64  # stands before the first entry


class AuditAction(StrEnum):
    """What was done."""

    KILL = "kill"
    WITHHOLD = "withhold"
    EMBARGO = "embargo"
    RELEASE = "release"  # usable again, or an embargo lifted
    CORRECT = "correct"  # a version whose texts the desk changed
    DOWNLOAD = "download"
    VOID = "void"  # a download that was charged and not sent
    ACCOUNT = "account.create"
    QUOTA = "account.quota"
    ENTITLEMENT = "entitlement.put"
    ENTITLEMENT_REMOVE = "entitlement.remove"
    PLAN = "plan.add"
    PLAN_REMOVE = "plan.remove"
    KEY = "key.create"
    KEY_ROTATE = "key.rotate"
    KEY_EXPIRE = "key.expire"
    KEY_REVOKE = "key.revoke"
    PROFILE = "profile"  # a version of a ranking profile was put in force
    ERASE = "use.erase"  # what an account did was deleted from the use log


DESK_ACTIONS = frozenset(
    {
        AuditAction.KILL,
        AuditAction.WITHHOLD,
        AuditAction.EMBARGO,
        AuditAction.RELEASE,
        AuditAction.CORRECT,
    }
)
"""What is done to an item."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what. `who` is the account, `key` the name of the key, `item` a uri or "", `detail`
    the rest in words and numbers. No entry has the text of a query.
    """

    at: datetime
    who: str
    key: str
    action: str
    item: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The number and the digest of the newest entry."""

    n: int = 0
    digest: str = START

    def __str__(self) -> str:
        return f"{self.n}:{self.digest}"


@dataclass(frozen=True, slots=True)
class Chained:
    """An entry in the chain, with its number, from 1, and its digest."""

    n: int
    entry: AuditEntry
    digest: str

    def members(self) -> dict[str, str | int]:
        """Return the entry as a row of the log and as JSON have it."""
        entry = self.entry
        return {
            "n": self.n,
            "at": moment(entry.at),
            "who": entry.who,
            "key": entry.key,
            "action": entry.action,
            "item": entry.item,
            "detail": entry.detail,
            "digest": self.digest,
        }


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are shown; "", None and no `actions` for all."""

    who: str = ""
    action: str = ""
    item: str = ""
    since: datetime | None = None
    actions: frozenset[AuditAction] = frozenset()


class Fault(StrEnum):
    """What is wrong with a log."""

    MISSING = "missing"  # an entry is not there
    CHANGED = "changed"  # an entry, or the order of entries, is not what its digest says
    TRUNCATED = "truncated"  # the newest entries are not there
    ANOTHER = "another"  # the entry with the number of a noted head has another digest


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: the last good entry, and the first fault, if any, at number `n`."""

    head: AuditHead
    fault: Fault | None = None
    n: int = 0


def moment(at: datetime) -> str:
    """Return a moment as text, as the digest takes it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def digest_of(before: str, n: int, entry: AuditEntry) -> str:
    """Return the digest of entry `n` after the digest `before`."""
    fields = [n, moment(entry.at), entry.who, entry.key, entry.action, entry.item, entry.detail]
    text = f"{before}\n{json.dumps(fields, ensure_ascii=True)}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def chained(head: AuditHead, entries: Iterable[AuditEntry]) -> list[Chained]:
    """Return the entries as they follow a head."""
    found: list[Chained] = []
    n, before = head.n, head.digest
    for entry in entries:
        n += 1
        before = digest_of(before, n, entry)
        found.append(Chained(n, entry, before))
    return found


def verified(rows: Iterable[Chained], kept: AuditHead, noted: AuditHead | None = None) -> Verdict:
    """Check every row, in the order of their numbers, the head that the log `kept`, and a head that
    was `noted` elsewhere.
    """
    good = AuditHead()
    for row in rows:
        if row.n != good.n + 1:
            return Verdict(good, Fault.MISSING, good.n + 1)
        if digest_of(good.digest, row.n, row.entry) != row.digest:
            return Verdict(good, Fault.CHANGED, row.n)
        if noted is not None and noted.n == row.n and noted.digest != row.digest:
            return Verdict(good, Fault.ANOTHER, row.n)
        good = AuditHead(row.n, row.digest)
    if good.n < max(kept.n, noted.n if noted else 0):
        return Verdict(good, Fault.TRUNCATED, good.n + 1)
    if good != kept:
        return Verdict(good, Fault.CHANGED, good.n)
    return Verdict(good)
