"""Writes to the record of truth and what became of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum, auto

from core.items import Item, PassageVectors, PubStatus


class Part(Enum):
    """Which part of a version is put."""

    WHOLE = auto()
    TEXT = auto()  # no model runs: a new version has no vectors
    VECTORS = auto()  # the vectors of a version whose text was put before


@dataclass(frozen=True, slots=True)
class PutItem:
    """A version of an item with its passage vectors, one entry per vector field.

    `only_vectors` says that the version was put before, without its vectors. If it has other
    products by now, or is not the newest version, nothing is put. A version with a `reason` is a
    correction, and the reason goes to the audit log.
    """

    item: Item
    vectors: tuple[PassageVectors, ...] = ()
    only_vectors: bool = False
    reason: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SetStatus:
    """An explicit change of an item's state. It covers every recorded version. What it hides stays
    hidden in later versions until another change releases it.

    `embargoed` None leaves the embargo as it is; `lift_embargo` removes it. The `reason` goes to
    the audit log.
    """

    uri: str
    pubstatus: PubStatus | None = None
    embargoed: datetime | None = None
    lift_embargo: bool = False
    reason: str = field(default="", compare=False)

    @property
    def hides(self) -> bool:
        """Whether the change only takes an item away: a kill, a withhold or an embargo."""
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
    FORBIDDEN = "forbidden"  # a product of the version is not the writer's: refused
    RESERVED = "reserved"  # the uri or the story is reserved for another writer: refused
    TAKEN = "taken"  # the recorded item, or the story, has products not the writer's: refused
    # These are outcomes of a status change. An item that is not the writer's gets the same answer
    # as an unknown one.
    HELD = "held"  # the item is not recorded yet: the change holds it once it is
    RELEASED = "released"  # the item is not recorded, and nothing holds it any more
    MISSING = "missing"  # the item is not recorded, and there was nothing to release


REFUSED = frozenset(
    {
        Outcome.STALE,
        Outcome.CONFLICT,
        Outcome.FORBIDDEN,
        Outcome.RESERVED,
        Outcome.TAKEN,
        Outcome.MISSING,
    }
)


@dataclass(frozen=True, slots=True)
class Written:
    """The acknowledgement of a write. What it says survives kill -9 and power loss.

    `held` is the state that an earlier kill, withhold or embargo gives the version: canceled,
    withheld, embargoed, or "". `words_only` are members whose rest after the beginning was not
    embedded and is found by words only. `known` says of a stale version that it is recorded, with
    this content.
    """

    uri: str
    version: int
    outcome: Outcome
    change: int = 0
    held: str = ""
    words_only: tuple[str, ...] = ()
    known: bool = False
