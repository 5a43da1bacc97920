"""Writes to the record of truth and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.items import Item, PassageVectors, PubStatus


@dataclass(frozen=True, slots=True)
class PutItem:
    """A version of an item with its passage vectors, one entry per vector field."""

    item: Item
    vectors: tuple[PassageVectors, ...] = ()


@dataclass(frozen=True, slots=True)
class SetStatus:
    """A change of state of an item's newest version; it covers every version of the item.

    `embargoed` None leaves the embargo as it is; `lift_embargo` removes it.
    """

    uri: str
    pubstatus: PubStatus | None = None
    embargoed: datetime | None = None
    lift_embargo: bool = False

    @property
    def hides(self) -> bool:
        """Whether it only ever takes an item away: a kill, a withhold or an embargo."""
        if self.pubstatus is None:
            return self.embargoed is not None and not self.lift_embargo
        return self.pubstatus is not PubStatus.USABLE


class Outcome(StrEnum):
    """What a write did."""

    CREATED = "created"
    SUPERSEDED = "superseded"  # a newer version took the place of an older one
    UPDATED = "updated"  # the same version: its products or its vectors changed
    UNCHANGED = "unchanged"  # exactly this is recorded already
    STALE = "stale"  # a newer version is recorded: refused
    CONFLICT = "conflict"  # the same version is recorded with other content: refused
    MISSING = "missing"  # a status change for an item that is not recorded


REFUSED = frozenset({Outcome.STALE, Outcome.CONFLICT, Outcome.MISSING})


@dataclass(frozen=True, slots=True)
class Written:
    """The acknowledgement: what is said here survives kill -9 and power loss."""

    uri: str
    version: int
    outcome: Outcome
    change: int = 0
