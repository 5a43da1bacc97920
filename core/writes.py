"""Writes to the record of truth and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto

from core.items import Item, PassageVectors, PubStatus


class Part(Enum):
    """Which part of a version is put."""

    WHOLE = auto()
    TEXT = auto()  # no model is asked: a new version has no vectors
    VECTORS = auto()  # those that a version lacks of which the text was put before


@dataclass(frozen=True, slots=True)
class PutItem:
    """A version of an item with its passage vectors, one entry per vector field.

    `only_vectors`: the version was put before, without them; where it has other products by now, or
    is not the newest, nothing is put.
    """

    item: Item
    vectors: tuple[PassageVectors, ...] = ()
    only_vectors: bool = False


@dataclass(frozen=True, slots=True)
class SetStatus:
    """An explicit change of state of an item: it covers every version that is recorded, and what it
    hides stays hidden in every version that comes later, until another change releases it.

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
    FORBIDDEN = "forbidden"  # a product of the version is not the writer's: refused
    RESERVED = "reserved"  # the uri or the story is reserved for another writer: refused
    TAKEN = "taken"  # the recorded item, or the story, has products not the writer's: refused
    # Of a status change; an item that is not the writer's is answered like one that is not there.
    HELD = "held"  # the item is not recorded: the change holds it as soon as it is
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
    """The acknowledgement: what is said here survives kill -9 and power loss. `held` is what an
    earlier kill, withhold or embargo made of a version: canceled, withheld, embargoed, or "".
    `words_only` are members of which only the beginning was embedded: the rest is found by words.
    `known` says of a stale version that it is recorded, with this content.
    """

    uri: str
    version: int
    outcome: Outcome
    change: int = 0
    held: str = ""
    words_only: tuple[str, ...] = ()
    known: bool = False
