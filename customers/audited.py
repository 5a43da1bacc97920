"""Kills, withholds, embargoes and releases in the audit log.

An entry is written after the change is in force, because nothing delays a kill. A change is
answered when its entry is written, but waits no longer than half a second for it: a log that can't
be written holds up no kill, and its entry follows when it can.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime
from typing import Any

from core.audit import AuditAction, AuditEntry
from core.callers import Caller
from core.customer_ports import AuditLog
from core.errors import DatelineError
from core.items import PubStatus
from core.ports import IngestPort, Rejection, StatusWriter
from core.writes import REFUSED, Part, SetStatus, Written

log = logging.getLogger(__name__)
_PATIENCE_S = 0.5
_STATES = {
    PubStatus.CANCELED: AuditAction.KILL,
    PubStatus.WITHHELD: AuditAction.WITHHOLD,
    PubStatus.USABLE: AuditAction.RELEASE,
}


class AuditTrail:
    """Writes entries in a thread of its own, in their order."""

    def __init__(self, audit: AuditLog, clock: Callable[[], datetime]) -> None:
        self._audit = audit
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")

    def add(self, by: Caller, told: Iterable[tuple[AuditAction, str, str]]) -> None:
        """Adds an entry for each action, uri and detail; returns when they are written, or after
        half a second.
        """
        now = self._clock()
        entries = [
            AuditEntry(now, by.account, by.name, action, uri, detail)
            for action, uri, detail in told
        ]
        if entries:
            wait([self._thread.submit(self._write, entries)], _PATIENCE_S)

    def close(self) -> None:
        """Writes the rest."""
        self._thread.shutdown()

    def _write(self, entries: Sequence[AuditEntry]) -> None:
        try:
            self._audit.append(entries)
        except DatelineError as error:
            uris = ", ".join(f"{one.action} {one.item}" for one in entries)
            log.error("the audit log lacks %s: %s", uris, error.what)


class AuditedWriter:
    """A writer whose changes of states are in the audit log."""

    def __init__(self, writer: StatusWriter, trail: AuditTrail) -> None:
        self._writer = writer
        self._trail = trail

    def set_status(self, changes: Sequence[SetStatus], by: Caller) -> tuple[Written, ...]:
        """Changes states; in force on every surface when it returns."""
        written = self._writer.set_status(changes, by)
        self._trail.add(by, changed(changes, written))
        return written

    def cover(self) -> str:
        """Makes recorded items searchable by words."""
        return self._writer.cover()


class AuditedIntake:
    """An intake whose documents that hide their item are in the audit log."""

    def __init__(self, intake: IngestPort, trail: AuditTrail) -> None:
        self._intake = intake
        self._trail = trail

    def put_documents(
        self,
        documents: Sequence[Mapping[str, Any]],
        products: Sequence[str],
        by: Caller,
        part: Part = Part.WHOLE,
    ) -> Sequence[Written | Rejection | DatelineError]:
        """One outcome per document, in order."""
        outcomes = self._intake.put_documents(documents, products, by, part)
        if part is not Part.VECTORS:  # whose text was put, and told, before
            self._trail.add(by, hidden(documents, outcomes))
        return outcomes


def changed(
    changes: Sequence[SetStatus], written: Sequence[Written]
) -> list[tuple[AuditAction, str, str]]:
    """The actions of changes of states that were not refused."""
    return [
        (action, change.uri, f"version={one.version} outcome={one.outcome}")
        for change, one in zip(changes, written, strict=True)
        if one.outcome not in REFUSED
        for action in _actions(change)
    ]


def _actions(change: SetStatus) -> list[AuditAction]:
    actions = [_STATES[change.pubstatus]] if change.pubstatus is not None else []
    if change.embargoed is not None and not change.lift_embargo:
        actions.append(AuditAction.EMBARGO)
    elif change.lift_embargo and AuditAction.RELEASE not in actions:
        actions.append(AuditAction.RELEASE)
    return actions


def hidden(
    documents: Sequence[Mapping[str, Any]], outcomes: Sequence[Any]
) -> list[tuple[AuditAction, str, str]]:
    """The actions of documents that hide their own item."""
    told = []
    for document, one in zip(documents, outcomes, strict=True):
        if isinstance(one, Written) and one.outcome not in REFUSED:
            state = str(document.get("pubstatus", "")).strip().lower()
            detail = f"version={one.version} outcome={one.outcome}"
            if state in (PubStatus.CANCELED, PubStatus.WITHHELD):
                told.append((_STATES[PubStatus(state)], one.uri, detail))
            elif document.get("embargoed"):
                told.append((AuditAction.EMBARGO, one.uri, detail))
    return told
