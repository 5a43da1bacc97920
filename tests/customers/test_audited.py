"""Kills, withholds and embargoes in the audit log, whichever way they come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from core.audit import AuditAction, AuditEntry, AuditHead
from core.callers import OPERATOR, Caller
from core.items import Item, PubStatus
from core.writes import Outcome, PutItem, SetStatus, Written
from customers.audited import AuditedWriter, AuditTrail
from tests.storage.world import HOUR, NOW, make_item

DESK = Caller("gazette/desk", frozenset({"wire"}), customer="gazette")
KILL, EMBARGO, WITHHOLD = AuditAction.KILL, AuditAction.EMBARGO, AuditAction.WITHHOLD
RELEASE = AuditAction.RELEASE


class Log:
    """An audit log in memory."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def append(self, entries: Sequence[AuditEntry]) -> AuditHead:
        self.entries += entries
        return AuditHead(len(self.entries), "")

    def told(self) -> list[tuple[str, str, str, str]]:
        return [(one.who, one.key, one.action, one.item) for one in self.entries]


class Taking:
    """A writer that answers with one outcome, for all writes or the first of them."""

    def __init__(self, outcome: Outcome = Outcome.CREATED, most: int = 99) -> None:
        self.outcome = outcome
        self.most = most

    def put(self, writes: Sequence[PutItem], by: Caller = OPERATOR) -> tuple[Written, ...]:
        pairs = [(one.item.uri, one.item.version) for one in writes[: self.most]]
        return tuple(Written(uri, version, self.outcome) for uri, version in pairs)

    def set_status(
        self, changes: Sequence[SetStatus], by: Caller = OPERATOR
    ) -> tuple[Written, ...]:
        return tuple(Written(one.uri, 1, self.outcome) for one in changes)

    def unknown(self, items: Sequence[Item], by: Caller = OPERATOR) -> tuple[bool, ...]:
        return tuple(True for _ in items)

    def cover(self) -> str:
        return ""


def writer_and_log(taking: Taking) -> tuple[AuditedWriter, AuditTrail, Log]:
    log = Log()
    trail = AuditTrail(log, lambda: NOW)
    return AuditedWriter(taking, trail), trail, log


ITEMS = [
    PutItem(make_item("killed", pubstatus=PubStatus.CANCELED)),
    PutItem(make_item("plain")),
    PutItem(make_item("late", embargoed=NOW + HOUR)),
    PutItem(make_item("withheld", pubstatus=PubStatus.WITHHELD, embargoed=NOW + HOUR)),
    PutItem(make_item("vectors", pubstatus=PubStatus.CANCELED), only_vectors=True),
]


@pytest.mark.parametrize("by", [OPERATOR, DESK])
def test_a_document_that_hides_its_item_is_in_the_log(by: Caller) -> None:
    writer, trail, log = writer_and_log(Taking())
    writer.put(ITEMS, by)
    trail.close()
    who = (by.account, by.name)
    assert log.told() == [
        (*who, KILL, "killed"),
        (*who, EMBARGO, "late"),
        (*who, WITHHOLD, "withheld"),
    ]


@pytest.mark.parametrize("outcome", [Outcome.UNCHANGED, Outcome.STALE, Outcome.FORBIDDEN])
def test_what_changes_nothing_is_not_in_the_log(outcome: Outcome) -> None:
    writer, trail, log = writer_and_log(Taking(outcome))
    writer.put(ITEMS)
    trail.close()
    assert log.entries == []


def test_of_writes_that_were_cut_short_those_that_were_made_are_in_the_log() -> None:
    writer, trail, log = writer_and_log(Taking(most=1))
    writer.put(ITEMS)
    trail.close()
    assert [item for *_, item in log.told()] == ["killed"]


def test_changes_of_states_are_in_the_log() -> None:
    writer, trail, log = writer_and_log(Taking(Outcome.UPDATED))
    later: dict[str, Any] = {"embargoed": NOW + timedelta(days=1)}
    changes = [
        SetStatus("a", PubStatus.CANCELED, reason="reason=a wrong name"),
        SetStatus("a", PubStatus.USABLE, lift_embargo=True),
        SetStatus("b", **later),
        SetStatus("c", PubStatus.WITHHELD, **later),
    ]
    writer.set_status(changes, DESK)
    trail.close()
    assert [(action, item) for *_, action, item in log.told()] == [
        (KILL, "a"),
        (RELEASE, "a"),
        (EMBARGO, "b"),
        (WITHHOLD, "c"),
        (EMBARGO, "c"),
    ]
    assert log.entries[0].detail == "version=1 outcome=updated reason=reason=a wrong name"
    assert log.entries[1].detail == "version=1 outcome=updated"


def test_a_correction_is_in_the_log_with_its_reason() -> None:
    writer, trail, log = writer_and_log(Taking(Outcome.SUPERSEDED))
    writer.put([PutItem(make_item("a"), reason="a wrong name"), PutItem(make_item("b"))], DESK)
    trail.close()
    assert [(one.action, one.item) for one in log.entries] == [(AuditAction.CORRECT, "a")]
    assert log.entries[0].detail.endswith(" reason=a wrong name")
