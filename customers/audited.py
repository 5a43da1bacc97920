"""Kills, withholds, embargoes and releases in the audit log.

An entry is written after the change is in force, because nothing delays a kill. A change is
answered when its entry is written, but waits no longer than half a second for it: a log that can't
be written holds up no kill, and its entry follows when it can.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import wait
from datetime import datetime
from typing import Protocol

from core.audit import AuditAction, AuditEntry, AuditHead
from core.callers import OPERATOR, Caller
from core.errors import DatelineError
from core.items import Item, PubStatus
from core.ports.engine import Engine
from core.threads import Threads
from core.writes import REFUSED, Outcome, PutItem, SetStatus, Written

log = logging.getLogger(__name__)
_PATIENCE_S = 0.5
_NOTHING_NEW = frozenset({*REFUSED, Outcome.UNCHANGED})
_STATES = {
    PubStatus.CANCELED: AuditAction.KILL,
    PubStatus.WITHHELD: AuditAction.WITHHOLD,
    PubStatus.USABLE: AuditAction.RELEASE,
}


class Appended(Protocol):
    """What this module needs of the audit log."""

    def append(self, entries: Sequence[AuditEntry]) -> AuditHead:
        """Add entries, durable when it returns. Raises StorageError."""
        ...


class AuditTrail:
    """Writes entries in its own thread, in their order."""

    def __init__(
        self,
        audit: Appended,
        clock: Callable[[], datetime],
        closed: Callable[[], None] | None = None,
    ) -> None:
        """`closed` is called at the end, after the last entry."""
        self._audit = audit
        self._clock = clock
        self._closed = closed
        self._thread = Threads(1, thread_name_prefix="audit")

    def add(self, by: Caller, told: Iterable[tuple[AuditAction, str, str]]) -> None:
        """Add an entry for each action, uri and detail; return when they are written, or after half
        a second.
        """
        now = self._clock()
        entries = [
            AuditEntry(now, by.account, by.name, action, uri, detail)
            for action, uri, detail in told
        ]
        if entries:
            wait([self._thread.submit(self._write, entries)], _PATIENCE_S)

    def close(self) -> None:
        """Write the rest."""
        self._thread.shutdown()
        if self._closed is not None:
            self._closed()

    def _write(self, entries: Sequence[AuditEntry]) -> None:
        try:
            self._audit.append(entries)
        except DatelineError as error:
            uris = ", ".join(f"{one.action} {one.item}" for one in entries)
            log.error("the audit log lacks %s: %s", uris, error.what)


class AuditedWriter:
    """A writer whose changes of states are in the audit log, those among them that come with a
    document: by a request, a file or a worker.
    """

    def __init__(self, writer: Engine, trail: AuditTrail) -> None:
        self._writer = writer
        self._trail = trail

    def put(self, writes: Sequence[PutItem], by: Caller = OPERATOR) -> tuple[Written, ...]:
        """Return what became of the first of `writes`, in order; durable when it returns."""
        written = self._writer.put(writes, by)
        self._trail.add(by, [*hidden(writes, written), *corrected(writes, written)])
        return written

    def unknown(self, items: Sequence[Item], by: Caller = OPERATOR) -> tuple[bool, ...]:
        """Return, for each item, whether its put would change anything."""
        return self._writer.unknown(items, by)

    def set_status(
        self, changes: Sequence[SetStatus], by: Caller = OPERATOR
    ) -> tuple[Written, ...]:
        """Change states; in force on every surface when it returns."""
        written = self._writer.set_status(changes, by)
        self._trail.add(by, changed(changes, written))
        return written

    def cover(self) -> str:
        """Make recorded items searchable by words."""
        return self._writer.cover()


def changed(
    changes: Sequence[SetStatus], written: Sequence[Written]
) -> list[tuple[AuditAction, str, str]]:
    """Return the actions of changes of states that were not refused."""
    return [
        (action, change.uri, _detail(one, change.reason))
        for change, one in zip(changes, written, strict=True)
        if one.outcome not in REFUSED
        for action in _actions(change)
    ]


def _detail(one: Written, reason: str) -> str:
    """Return the detail of an entry; the reason, which is any text, comes last."""
    return f"version={one.version} outcome={one.outcome}" + (f" reason={reason}" if reason else "")


def _actions(change: SetStatus) -> list[AuditAction]:
    actions = [_STATES[change.pubstatus]] if change.pubstatus is not None else []
    if change.embargoed is not None and not change.lift_embargo:
        actions.append(AuditAction.EMBARGO)
    elif change.lift_embargo and AuditAction.RELEASE not in actions:
        actions.append(AuditAction.RELEASE)
    return actions


def hidden(
    writes: Sequence[PutItem], written: Sequence[Written]
) -> list[tuple[AuditAction, str, str]]:
    """Return the actions of versions that hide their own item and were recorded. A correction
    leaves its item as it was.
    """
    return [
        (action, one.uri, f"version={one.version} outcome={one.outcome} by=document")
        for write, one in zip(writes, written, strict=False)
        if one.outcome not in _NOTHING_NEW and not (write.only_vectors or write.reason)
        for action in _hiding(write.item)
    ]


def corrected(
    writes: Sequence[PutItem], written: Sequence[Written]
) -> list[tuple[AuditAction, str, str]]:
    """Return the actions of corrections that were recorded."""
    return [
        (AuditAction.CORRECT, one.uri, _detail(one, write.reason))
        for write, one in zip(writes, written, strict=False)
        if write.reason and one.outcome not in _NOTHING_NEW
    ]


def _hiding(item: Item) -> list[AuditAction]:
    if item.pubstatus is not PubStatus.USABLE:
        return [_STATES[item.pubstatus]]
    return [AuditAction.EMBARGO] if item.embargoed is not None else []
